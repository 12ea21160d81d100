"""A video's results drawn onto its own frames, decoded again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.keys import DETECTIONS_FILE
from contracts.results import FrameResult
from contracts.selection import Selection
from vision.decode import decode_frames
from vision.frames import Pixels
from vision.models.base import ModelInput
from vision.render import write_annotated_picture, write_annotated_video
from vision.report import DecodeReport
from vision.results import read_detections
from vision.selection import make_selector
from vision.video import open_video

PICTURE_FILE = "annotated.png"
VIDEO_FILE = "annotated.mp4"


@dataclass(frozen=True, slots=True)
class Annotated:
    """
    What was drawn.

    Attributes:
        picture: The frame in which most was found, and surest.
        video: Every processed frame, each shown until the next.
    """

    picture: Path
    video: Path


def annotate_attempt(video: Path, selection: Selection, attempt: Path, target: Path) -> Annotated:
    """
    Draw an attempt's results onto the video's frames.

    Args:
        attempt: The folder with the attempt's files.
        target: The folder for the picture and the video.
    """
    target.mkdir(parents=True, exist_ok=True)
    drawn = Annotated(target / PICTURE_FILE, target / VIDEO_FILE)
    best = _fullest(attempt / DETECTIONS_FILE)
    pairs = _pairs(video, selection, attempt)

    def keeping_the_best() -> Iterator[tuple[Pixels, FrameResult]]:
        for pixels, result in pairs:
            if result.frame.frame_index == best:
                write_annotated_picture(pixels, result, drawn.picture, attempt=attempt)
            yield pixels, result

    write_annotated_video(keeping_the_best(), drawn.video, attempt=attempt)
    return drawn


def _fullest(detections: Path) -> int:
    fullest = max(
        read_detections(detections),
        key=lambda result: sum(found.score for found in result.detections),
    )
    return fullest.frame.frame_index


def _pairs(
    video: Path, selection: Selection, attempt: Path
) -> Iterator[tuple[Pixels, FrameResult]]:
    results = read_detections(attempt / DETECTIONS_FILE)
    with open_video(video) as opened:
        frames = decode_frames(
            opened, make_selector(selection), ModelInput(size=None), DecodeReport()
        )
        size = None
        for frame, result in zip(frames, results, strict=True):
            # An MP4 has one size: where a stream changes its own, what follows is left out.
            size = size or frame.pixels.shape
            if frame.pixels.shape == size:
                yield frame.pixels, result
