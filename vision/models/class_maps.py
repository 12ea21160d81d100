"""From a grid of classes over the canvas to a class map of the source picture."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.frames import Placement
from vision.models.bundle import BundleError

MAX_CLASSES = 256
"""A class map has eight bits."""
_HUGE = np.float32(1e30)


def source_class_map(
    values: NDArray[Any], class_count: int, placement: Placement
) -> NDArray[np.uint8]:
    """
    Class ids at source size, uint8 of shape (H, W).

    Args:
        values: Over the canvas: scores (classes, h, w), or class ids (h, w).

    Raises:
        BundleError: A score is no number, or a class is none of `class_count`.
    """
    if values.ndim == 2:
        return _nearest(_checked_ids(values, class_count), placement)
    if len(values) != class_count:
        raise BundleError(f"the graph knows {len(values)} classes, model.json {class_count} labels")
    if np.isnan(values).any():
        raise BundleError(
            f"{int(np.isnan(values).sum())} of {values.size} class scores are no numbers: does the "
            "graph overflow its number type (float16), or is mean, std or scale wrong?"
        )
    return _highest(values, placement)


def _highest(scores: NDArray[Any], placement: Placement) -> NDArray[np.uint8]:
    """
    The class with the highest score after enlarging, as segmentation models are evaluated: class
    borders are then smooth, not blocks. One plane at a time: all of them at source size may take
    gigabytes.
    """
    width, height = placement.source_size
    highest = np.full((height, width), -np.inf, np.float32)
    class_map = np.zeros((height, width), np.uint8)
    for class_id, plane in enumerate(scores):
        enlarged = _enlarged(plane.astype(np.float32).clip(-_HUGE, _HUGE), placement)
        above = enlarged > highest
        class_map[above] = class_id
        np.maximum(highest, enlarged, out=highest)
    return class_map


def _enlarged(plane: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    x, y, width, height = placement.inner
    canvas_width, canvas_height = placement.canvas_size
    rows, columns = plane.shape
    whole_cells = not (
        x * columns % canvas_width
        or width * columns % canvas_width
        or y * rows % canvas_height
        or height * rows % canvas_height
    )
    if whole_cells:
        left, top = x * columns // canvas_width, y * rows // canvas_height
        right = left + width * columns // canvas_width
        inner = plane[top : top + height * rows // canvas_height, left:right]
    else:
        # The picture begins within a cell: on the canvas it begins with a pixel.
        canvas = cv2.resize(plane, placement.canvas_size, interpolation=cv2.INTER_LINEAR)
        inner = np.asarray(canvas, np.float32)[y : y + height, x : x + width]
    enlarged = cv2.resize(inner, placement.source_size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.float32)


def _checked_ids(ids: NDArray[Any], class_count: int) -> NDArray[np.uint8]:
    if not np.isfinite(ids).all():
        raise BundleError("a class id is no number")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= class_count:
        wrong = low if low < 0 else high
        raise BundleError(
            f"the model found class {wrong}, but model.json names {class_count} labels, "
            f"0 to {class_count - 1}"
        )
    return ids.astype(np.uint8)


def _nearest(ids: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """For each source pixel the cell that its centre lies in."""
    x, y, inner_width, inner_height = placement.inner
    (width, height), (canvas_width, canvas_height) = placement.source_size, placement.canvas_size
    columns = ((np.arange(width) + 0.5) * inner_width / width + x) * ids.shape[1] / canvas_width
    rows = ((np.arange(height) + 0.5) * inner_height / height + y) * ids.shape[0] / canvas_height
    nearest: NDArray[np.uint8] = ids[rows.astype(np.intp)[:, None], columns.astype(np.intp)]
    return nearest
