"""What a decoder is, and what it makes of a frame's outputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.results import Box, Mask
from vision.frames import Placement
from vision.models.base import Task
from vision.models.bundle import BundleError
from vision.models.spec import BoxUnits, DecoderSpec

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Outputs = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int | None, ...]]
"""Of each output for one frame; None for a side that the graph leaves open."""

_SCORE_TOLERANCE = 0.01
"""Half precision takes a probability a little above 1."""


class InstanceMasks(Protocol):
    """A mask for each candidate, computed only for those that are kept."""

    def __len__(self) -> int: ...

    def encode(self, row: int, box: Box, placement: Placement) -> Mask:
        """The mask of a candidate in the source picture, given its box on the canvas."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    What a decoder found in one frame, in any order, unchecked.

    Attributes:
        boxes: Corners `(x_min, y_min, x_max, y_max)` in canvas pixels, shape (N, 4).
        scores: Shape (N,).
        class_ids: Shape (N,).
        masks: Of N candidates; None for boxes alone.
    """

    boxes: Floats
    scores: Floats
    class_ids: Ids
    masks: InstanceMasks | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        shapes = (self.boxes.shape, self.scores.shape, self.class_ids.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise BundleError(
                f"boxes, scores and labels must have shapes (N, 4), (N,), (N,); got {shapes}"
            )
        if self.masks is not None and len(self.masks) != count:
            raise BundleError(f"{count} boxes need as many masks, got {len(self.masks)}")


@dataclass(frozen=True, slots=True, eq=False)
class ClassMap:
    """
    What a decoder found in one frame, for semantic segmentation.

    Attributes:
        values: Scores of the classes over the canvas, shape (classes, h, w), the highest counts;
            or class ids, shape (h, w).
    """

    values: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Decoder:
    """
    A way to read outputs.

    Attributes:
        axes: For each task it serves, the outputs it reads and what their axes are for one frame,
            a number where the length is fixed; a graph may put a batch axis before them.
        decode: Outputs of one frame, thresholds, and `(width, height)` of the canvas.
        class_count: How many classes these shapes mean; None where they do not tell.
        suppresses: Whether what it reads is free of duplicates, so that no suppression is needed.
    """

    axes: Mapping[Task, Mapping[str, tuple[str, ...]]]
    decode: Callable[[Outputs, DecoderSpec, tuple[int, int]], Candidates | ClassMap]
    class_count: Callable[[Shapes], int | None] | None = None
    suppresses: bool = True


def confident_rows(scores: NDArray[Any], least: float) -> NDArray[np.intp]:
    """
    Indices of the scores that reach a threshold, of those that are numbers.

    Raises:
        BundleError: No score is a number, or one is above 1, as raw logits are.
    """
    finite = np.isfinite(scores)
    if scores.size and not finite.any():
        raise BundleError(
            f"none of the frame's {scores.size} scores is a finite number: does the graph overflow "
            "its number type (float16), or is mean, std or scale wrong?"
        )
    highest = float(scores[finite].max(initial=0.0))
    if highest > 1 + _SCORE_TOLERANCE:
        raise BundleError(
            f"the graph gives a score of {highest:g}; scores are 0 to 1: are these raw logits, or "
            "is another decoder meant?"
        )
    return np.flatnonzero(finite & (scores >= least))


def canvas_pixels(boxes: Floats, spec: DecoderSpec, canvas_size: tuple[int, int]) -> Floats:
    """Boxes in the spec's units, as canvas pixels."""
    if spec.box_units is BoxUnits.PIXELS:
        return boxes
    return boxes * np.tile(np.array(canvas_size, np.float64), 2)


def corners(centered: Floats) -> Floats:
    """Boxes `(centre x, centre y, width, height)` as corners, shape (N, 4)."""
    center, half = centered[:, :2], centered[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)


def sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    """The logistic function, without overflow."""
    return np.asarray((1.0 + np.tanh(values / 2.0)) / 2.0)


def whole_ids(labels: NDArray[Any]) -> Ids:
    """Class ids of any number type as integers; what is no number becomes -1."""
    if labels.dtype.kind == "f":
        labels = np.where(np.isfinite(labels), labels, -1)
    return labels.astype(np.int64)
