"""
Decode a video once, in order, and give out the wanted frames on a model's canvas.

Frames exist in memory only, one batch at a time. `decode_frames` is the whole interface between how
frames are found and what is done with them: a faster plan replaces it and nothing else.
"""

import errno
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from contracts.outcomes import RejectionCode
from contracts.results import FrameRecord
from vision.faults import RejectedVideoError
from vision.frames import FrameBatch, Pixels, Placement, letterbox, stretch
from vision.models.base import ModelInput, ResizeMode
from vision.pictures import Picture
from vision.report import DecodeReport
from vision.selection import Candidate, Selector
from vision.video import Video, clockwise_rotation, displayed_size

_FALLBACK_FRAME_RATE = Fraction(25)
"""What FFmpeg assumes of a raw stream that names no frame rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """
    A wanted frame.

    Attributes:
        pixels: uint8 RGB on the canvas, shape (H, W, 3), C-contiguous.
    """

    record: FrameRecord
    pixels: Pixels
    placement: Placement


def decode_frames(
    video: Video, selector: Selector, model_input: ModelInput, report: DecodeReport
) -> Iterator[Frame]:
    """
    The wanted frames of a video, in presentation order; may be used once per open video.

    Raises:
        RejectedVideoError: The video turns out longer or larger than its limits.
    """
    clock = _Clock(video)
    converter = _Converter()
    form = _form(video.first)
    for index, picture in enumerate(itertools.chain([video.first], video.pictures)):
        pts = clock.stamp(picture, report)
        time = clock.since_first(pts)
        video.limits.check_duration(float(time))
        if (found := _form(picture)) != form:
            form = found
            video.limits.check_pixels(picture.image.width, picture.image.height)
            if not report.changes:
                report.changes.append((index, form))
        report.frames_decoded += 1
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
    report.reached_end = True


def batches(frames: Iterable[Frame], max_batch: int) -> Iterator[FrameBatch]:
    """Frames in batches of at most so many; a new one begins where the placement changes."""
    for placement, group in itertools.groupby(frames, key=lambda frame: frame.placement):
        while members := tuple(itertools.islice(group, max_batch)):
            yield FrameBatch(
                pixels=np.stack([frame.pixels for frame in members]),
                frames=tuple(frame.record for frame in members),
                placement=placement,
            )


def place(source_size: tuple[int, int], model_input: ModelInput) -> Placement:
    """Where a picture of a size lies on a model's canvas."""
    canvas_size = model_input.size or source_size
    if model_input.resize is ResizeMode.LETTERBOX:
        return letterbox(source_size, canvas_size)
    return stretch(source_size, canvas_size)


class _Clock:
    """Gives every frame a timestamp above the one before."""

    def __init__(self, video: Video) -> None:
        self.time_base = video.facts.time_base
        rate = video.facts.average_frame_rate or _FALLBACK_FRAME_RATE
        self._step = max(1, round(1 / (rate * self.time_base)))
        self._first: int | None = None
        self._last: int | None = None

    def stamp(self, picture: Picture, report: DecodeReport) -> int:
        pts = picture.pts
        if pts is None or (self._last is not None and pts <= self._last):
            report.guessed_times += 1
            pts = self._guess(pts)
        if self._first is None:
            self._first = pts
        self._last = pts
        return pts

    def since_first(self, pts: int) -> Fraction:
        return (pts - (self._first or 0)) * self.time_base

    def _guess(self, pts: int | None) -> int:
        if self._last is None:
            return 0
        # A repeated timestamp stays in its place; after a jump backwards time goes on evenly.
        is_repeated = pts is not None and self._last - pts < self._step
        return self._last + (1 if is_repeated else self._step)


class _Converter:
    """Scales with area averaging straight to the canvas: faster than RGB first, then a resize."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, picture: Picture, placement: Placement, pad_value: int) -> Pixels:
        rotation = clockwise_rotation(picture)
        x, y, width, height = placement.inner
        stored_size = (width, height) if rotation % 180 == 0 else (height, width)
        scaled = np.rot90(self._scale(picture.image, stored_size), -rotation // 90)
        if (width, height) == placement.canvas_size:
            return np.ascontiguousarray(scaled)
        canvas_width, canvas_height = placement.canvas_size
        canvas = np.full((canvas_height, canvas_width, 3), pad_value, np.uint8)
        canvas[y : y + height, x : x + width] = scaled
        return canvas

    def _scale(self, image: VideoFrame, size: tuple[int, int]) -> Pixels:
        try:
            scaled = self._reformatter.reformat(
                image,
                width=size[0],
                height=size[1],
                format="rgb24",
                interpolation=Interpolation.AREA,
                threads=1,
            )
        except av.error.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("the scaler found no memory") from error
            raise RejectedVideoError(
                RejectionCode.UNREADABLE,
                f"Pictures of the form {image.format.name} cannot be converted to RGB here. "
                "Convert the video to 8-bit H.264.",
            ) from error
        return np.asarray(scaled.to_ndarray(), np.uint8)


def _form(picture: Picture) -> str:
    image = picture.image
    return (
        f"{image.width}×{image.height} {image.format.name}, turned {clockwise_rotation(picture)}°"
    )
