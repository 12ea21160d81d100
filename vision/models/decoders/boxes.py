"""Graphs that end in finished boxes: SSD, torchvision, and the grid of FastestDet."""

import numpy as np

from vision.models.bundle import BundleError
from vision.models.decoders.base import (
    Candidates,
    Outputs,
    Shapes,
    canvas_pixels,
    confident_rows,
    sigmoid,
    whole_ids,
)
from vision.models.decoders.masks import CanvasMasks, HeadMasks
from vision.models.spec import BoxOrder, DecoderSpec


def decode_boxes_labels_scores(
    outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]
) -> Candidates:
    """Outputs `boxes` (N, 4), `labels` (N,) and `scores` (N,), as SSD graphs have them."""
    boxes = outputs["boxes"].astype(np.float64)
    if spec.box_order is BoxOrder.YXYX and boxes.ndim == 2 and boxes.shape[1] == 4:
        boxes = boxes[:, [1, 0, 3, 2]]
    scores = outputs["scores"].astype(np.float64)
    found = Candidates(
        canvas_pixels(boxes, spec, canvas_size), scores, whole_ids(outputs["labels"])
    )
    confident_rows(scores, spec.score)
    return found


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
    pasted = masks.shape[2:] == canvas_size[::-1]
    return Candidates(
        found.boxes,
        found.scores,
        found.class_ids,
        CanvasMasks(masks[:, 0], 0.5) if pasted else HeadMasks(masks[:, 0]),
    )


def decode_fastestdet(
    outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]
) -> Candidates:
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
    half_width, half_height = sigmoid(log_width) * width / 2, sigmoid(log_height) * height / 2
    sides = (
        center_x - half_width,
        center_y - half_height,
        center_x + half_width,
        center_y + half_height,
    )
    boxes = np.stack([side.reshape(-1) for side in sides], axis=1)
    kept = confident_rows(scores.reshape(-1), spec.score)
    return Candidates(
        boxes[kept], scores.reshape(-1)[kept], class_ids.reshape(-1)[kept].astype(np.int64)
    )


def fastestdet_classes(shapes: Shapes) -> int | None:
    """Channels beyond objectness and box."""
    channels = shapes["output"][0]
    return None if channels is None else channels - 5
