"""What is truly in a clip, and how well detections agree with it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.documents import from_json, to_json
from contracts.results import Box, FrameResult

MATCH_IOU = 0.5
"""As in the PASCAL VOC challenge: a detection is right from half an overlap on."""
LEAST_VISIBLE = 0.5


@dataclass(frozen=True, slots=True)
class TrueFigure:
    """
    One figure in one frame.

    Attributes:
        figure: The same number for the same figure through the clip.
        box: Of the whole figure, in pixels, cut at the picture's edges.
        visible: The part of the figure that is seen, 0 to 1: inside the picture, nobody before it.
    """

    figure: int
    box: Box
    visible: float


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """The figures of one frame."""

    frame_index: int
    time_s: float
    figures: tuple[TrueFigure, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many figures were found, missed, and how many detections were of nobody."""

    hits: int
    misses: int
    false_alarms: int

    @property
    def precision(self) -> float:
        """The part of the detections that is right; 1 without any."""
        found = self.hits + self.false_alarms
        return self.hits / found if found else 1.0

    @property
    def recall(self) -> float:
        """The part of the figures that was found; 1 without any."""
        present = self.hits + self.misses
        return self.hits / present if present else 1.0


def write_truth(frames: Iterable[TrueFrame], target: Path) -> None:
    """Write one line of JSON for each frame; `read_truth` is the inverse."""
    with target.open("w", encoding="utf-8") as file:
        file.writelines(to_json(frame) + "\n" for frame in frames)


def read_truth(path: Path) -> Iterator[TrueFrame]:
    """
    The frames of a file that `write_truth` wrote.

    Raises:
        DocumentError: A line is something else.
    """
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield from_json(TrueFrame, line)


def agreement(results: Iterable[FrameResult], truth: Mapping[int, TrueFrame]) -> Agreement:
    """
    Compare detections with the truth, by frame index.

    In each frame the detection with the highest score chooses first, the best-fitting figure that
    is left, at an IoU of at least 0.5. Figures less than half visible are neither hit nor missed,
    and a detection that fits only such a one is no false alarm.

    Raises:
        ValueError: A frame is not in the truth.
    """
    hits = misses = false_alarms = 0
    for result in results:
        index = result.frame.frame_index
        if index not in truth:
            raise ValueError(f"the truth has no frame {index}; it has {len(truth)} frames")
        figures = truth[index].figures
        left = {figure.figure: figure for figure in figures if figure.visible >= LEAST_VISIBLE}
        ignored = [figure for figure in figures if figure.visible < LEAST_VISIBLE]
        for detection in sorted(result.detections, key=lambda found: -found.score):
            best = max(left.values(), key=lambda it: iou(it.box, detection.box), default=None)
            if best is not None and iou(best.box, detection.box) >= MATCH_IOU:
                hits += 1
                del left[best.figure]
            elif not any(iou(figure.box, detection.box) >= MATCH_IOU for figure in ignored):
                false_alarms += 1
        misses += len(left)
    return Agreement(hits, misses, false_alarms)


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes; 0 where neither has an area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    intersection = max(width, 0.0) * max(height, 0.0)
    union = _area(one) + _area(other) - intersection
    return intersection / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
