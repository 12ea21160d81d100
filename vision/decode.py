"""
Decode a video once, in order, and give out the wanted frames on a model's canvas.

Frames exist in memory only, one batch at a time. This is the plain way, which is always right and
which every faster one must equal: `vision.reader` chooses between them.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from contracts.results import FrameRecord
from vision.canvas import Converter, Frame, form_of, place
from vision.clock import PresentationClock
from vision.frames import FrameBatch
from vision.models.base import ModelInput
from vision.report import DecodeReport
from vision.selection import Candidate, Selector
from vision.video import Video, displayed_size

__all__ = ["Frame", "batches", "decode_frames"]


def decode_frames(
    video: Video,
    selector: Selector,
    model_input: ModelInput,
    report: DecodeReport,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Frame]:
    """
    The wanted frames of a video, in presentation order; may be used once per open video.

    Args:
        check: Called before every picture; what it raises ends the decoding.

    Raises:
        RejectedVideoError: The video turns out longer or larger than its limits.
    """
    clock = PresentationClock(video.facts.time_base, video.facts.average_frame_rate)
    converter = Converter()
    form = form_of(video.first)
    for picture in itertools.chain([video.first], video.pictures):
        check()
        _pass_over(picture.lost, clock, report)
        index = report.frame_count
        pts = clock.stamp(picture.pts)
        time = clock.since_first(pts)
        video.limits.check_duration(float(time))
        if (found := form_of(picture)) != form:
            form = found
            video.limits.check_pixels(picture.image.width, picture.image.height)
            if not report.changes:
                report.changes.append((index, form))
        report.frame_count += 1
        report.frames_decoded += 1
        report.is_numbered = video.pictures.is_numbered
        report.guessed_times = clock.guessed_count
        report.end_s = float((pts + (picture.image.duration or 0)) * clock.time_base)
        is_key_frame = bool(picture.image.key_frame)
        if selector.wants(Candidate(index, time, is_key_frame)):
            width, height = displayed_size(picture)
            placement = place((width, height), model_input)
            pixels = converter.convert(picture, placement, model_input.pad_value)
            record = FrameRecord(
                frame_index=index,
                pts=pts,
                time_base=clock.time_base,
                time_s=float(time),
                is_key_frame=is_key_frame,
                width=width,
                height=height,
            )
            yield Frame(record, pixels, placement)
        if selector.is_done:
            return
    _pass_over(video.pictures.lost_at_end(), clock, report)
    report.reached_end = True


def _pass_over(lost: Iterable[int | None], clock: PresentationClock, report: DecodeReport) -> None:
    """Frames that could not be decoded keep their indices and times."""
    for found in lost:
        report.lose(float(clock.since_first(clock.stamp(found))))


def batches(frames: Iterable[Frame], max_batch: int) -> Iterator[FrameBatch]:
    """Frames in batches of at most so many; a new one begins where the placement changes."""
    for placement, group in itertools.groupby(frames, key=lambda frame: frame.placement):
        while members := tuple(itertools.islice(group, max_batch)):
            yield FrameBatch(
                pixels=np.stack([frame.pixels for frame in members]),
                frames=tuple(frame.record for frame in members),
                placement=placement,
            )
