"""
Decoders: from a graph's output tensors of one frame to candidate boxes on the canvas.

A decoder neither suppresses nor maps to the source picture; `vision.models.detections` does, the
same for all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.models.base import Task
from vision.models.bundle import BundleError
from vision.models.spec import BoxOrder, BoxUnits, DecoderSpec

Floats = NDArray[np.float64]
Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    What a decoder found in one frame, in any order, unchecked.

    Attributes:
        boxes: Corners `(x_min, y_min, x_max, y_max)` in canvas pixels, shape (N, 4).
        scores: Shape (N,).
        class_ids: Shape (N,).
        masks: Probabilities, shape (N, h, w): of the canvas where they have its size, else of the
            box; None for boxes alone.
    """

    boxes: Floats
    scores: Floats
    class_ids: NDArray[np.int64]
    masks: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        shapes = (self.boxes.shape, self.scores.shape, self.class_ids.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise BundleError(
                f"boxes, scores and labels must have shapes (N, 4), (N,), (N,); got {shapes}"
            )
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != count):
            raise BundleError(f"{count} boxes need masks (N, h, w), got {self.masks.shape}")


@dataclass(frozen=True, slots=True)
class Decoder:
    """
    A way to read outputs.

    Attributes:
        ranks: For each task it serves, the outputs it reads and their number of axes for one
            frame; a graph may put a batch axis before them.
        decode: Outputs of one frame, thresholds, and `(width, height)` of the canvas.
        channels: For a number of labels, the output and length of its first axis (of one frame)
            that goes with it; None where the graph's shape does not tell.
    """

    ranks: Mapping[Task, Mapping[str, int]]
    decode: Callable[[Outputs, DecoderSpec, tuple[int, int]], Candidates]
    channels: Callable[[int], tuple[str, int]] | None = None


def decode_boxes_labels_scores(
    outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]
) -> Candidates:
    """Outputs `boxes` (N, 4), `labels` (N,) and `scores` (N,), as SSD graphs have them."""
    boxes = outputs["boxes"].astype(np.float64)
    if spec.box_order is BoxOrder.YXYX and boxes.ndim == 2 and boxes.shape[1] == 4:
        boxes = boxes[:, [1, 0, 3, 2]]
    if spec.box_units is BoxUnits.FRACTIONS:
        boxes *= np.tile(np.array(canvas_size, np.float64), 2)
    scores = outputs["scores"].astype(np.float64)
    return Candidates(boxes, scores, _class_ids(outputs["labels"]))


def decode_torchvision(
    outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]
) -> Candidates:
    """
    As torchvision's detection models have it; Mask R-CNN adds `masks` (N, 1, h, w).

    Masks of the canvas's size were pasted by the graph; others (28×28) are the mask head's.
    """
    found = decode_boxes_labels_scores(outputs, spec, canvas_size)
    if "masks" not in outputs:
        return found
    masks = outputs["masks"]
    if masks.shape[1] != 1:
        raise BundleError(f"masks must have shape (N, 1, h, w), got {masks.shape}")
    return Candidates(
        found.boxes, found.scores, found.class_ids, masks[:, 0].astype(np.float32, copy=False)
    )


def decode_fastestdet(outputs: Outputs, _: DecoderSpec, canvas_size: tuple[int, int]) -> Candidates:
    """
    FastestDet's `output` (5 + classes, H, W): objectness, four box values, class scores by cell.

    https://github.com/dog-qiuqiu/FastestDet: score = objectness^0.6 × best class^0.4, centre =
    cell + tanh, size = sigmoid, all as fractions of the canvas.
    """
    grid = outputs["output"].astype(np.float64)
    objectness, offset_x, offset_y, log_width, log_height = grid[:5]
    classes = grid[5:]
    class_ids = classes.argmax(axis=0)
    with np.errstate(invalid="ignore"):
        scores = objectness**0.6 * classes.max(axis=0) ** 0.4
    rows, columns = np.indices(objectness.shape)
    grid_height, grid_width = objectness.shape
    width, height = canvas_size
    center_x = (columns + np.tanh(offset_x)) / grid_width * width
    center_y = (rows + np.tanh(offset_y)) / grid_height * height
    half_width, half_height = _sigmoid(log_width) * width / 2, _sigmoid(log_height) * height / 2
    corners = (
        center_x - half_width,
        center_y - half_height,
        center_x + half_width,
        center_y + half_height,
    )
    boxes = np.stack([side.reshape(-1) for side in corners], axis=1)
    return Candidates(boxes, scores.reshape(-1), class_ids.reshape(-1).astype(np.int64))


def decoder_named(name: str) -> Decoder:
    """
    The decoder of this name.

    Raises:
        BundleError: There is none.
    """
    if name not in DECODERS:
        raise BundleError(f"unknown decoder {name!r}; known are {', '.join(DECODERS)}")
    return DECODERS[name]


def _class_ids(labels: NDArray[Any]) -> NDArray[np.int64]:
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all()):
        labels = np.where(np.isfinite(labels), labels, -1)
    return labels.astype(np.int64)


def _sigmoid(values: Floats) -> Floats:
    return (1.0 + np.tanh(values / 2.0)) / 2.0


_PLAIN = {"boxes": 2, "labels": 1, "scores": 1}

DECODERS: Mapping[str, Decoder] = {
    "boxes_labels_scores": Decoder({Task.DETECTION: _PLAIN}, decode_boxes_labels_scores),
    "torchvision": Decoder(
        {Task.DETECTION: _PLAIN, Task.INSTANCE_SEGMENTATION: {**_PLAIN, "masks": 4}},
        decode_torchvision,
    ),
    "fastestdet": Decoder(
        {Task.DETECTION: {"output": 3}},
        decode_fastestdet,
        channels=lambda labels: ("output", 5 + labels),
    ),
}
