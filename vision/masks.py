"""
Masks of full frames as COCO run lengths, made from the part of the frame they lie in.

A mask fills a small part of its frame: working on that part alone, and writing its run lengths as
those of the frame, costs a tenth of painting the frame.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from contracts.results import Box, Mask

Bitmap = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """
    A part of a frame's mask; around it the mask is empty.

    Attributes:
        bitmap: Booleans, shape (h, w); it may have no pixel at all.
        corner: `(x, y)` of its first pixel in the frame.
    """

    bitmap: Bitmap
    corner: tuple[int, int]

    def in_frame(self, frame_size: tuple[int, int]) -> Bitmap:
        """The mask of the whole frame of `(width, height)`, shape (H, W)."""
        width, height = frame_size
        (x, y), (rows, columns) = self.corner, self.bitmap.shape
        whole = np.zeros((height, width), np.bool_)
        whole[y : y + rows, x : x + columns] = self.bitmap
        return whole


def encode_mask(bitmap: Bitmap) -> Mask:
    """A mask of shape (H, W) as COCO run lengths; `decode_mask` is the inverse."""
    encoded = coco.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    height, width = bitmap.shape
    return Mask((height, width), encoded["counts"].decode("ascii"))


def encode_patch(patch: Patch, frame_size: tuple[int, int]) -> Mask:
    """
    The same run lengths as `encode_mask(patch.in_frame(frame_size))`, without the frame.

    Args:
        frame_size: `(width, height)`; the patch lies within.
    """
    width, height = frame_size
    (x, y), rows = patch.corner, patch.bitmap.shape[0]
    # A column at a time, with an empty cell at both ends, so that each run ends in its column.
    columns = np.zeros((patch.bitmap.shape[1], rows + 2), np.uint8)
    columns[:, 1:-1] = patch.bitmap.T
    flat = columns.reshape(-1)
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), rows + 2)
    edges = (column + x) * height + row + y
    # A run down to the frame's last row goes on where the next column begins with one.
    if rows == height and len(edges) > 2:
        joined = np.flatnonzero(edges[1:-1:2] == edges[2::2])
        edges = np.delete(edges, np.concatenate([2 * joined + 1, 2 * joined + 2]))
    runs = np.diff(edges, prepend=0, append=width * height)
    if len(runs) > 1 and runs[-1] == 0:
        runs = runs[:-1]
    encoded = coco.frPyObjects({"size": [height, width], "counts": runs.tolist()}, height, width)
    return Mask((height, width), encoded["counts"].decode("ascii"))


def decode_mask(mask: Mask) -> Bitmap:
    """
    The mask as booleans, shape (H, W).

    Raises:
        ValueError: The run lengths do not fill the frame.
    """
    height, width = mask.size
    runs = _run_lengths(mask)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def mask_area(mask: Mask) -> int:
    """
    How many pixels the mask has.

    Raises:
        ValueError: The run lengths do not fill the frame.
    """
    return sum(_run_lengths(mask)[1::2])


def mask_box(mask: Mask) -> tuple[int, int, int, int]:
    """
    The least box that holds the mask, `(x_min, y_min, x_max, y_max)`; zeros for an empty mask.

    Whole pixels as in a `Box`: the mask's last column is `x_max - 1`.

    Raises:
        ValueError: The run lengths do not fill the frame.
    """
    height = mask.size[0]
    ends = np.cumsum(_run_lengths(mask))
    first, last = ends[:-1:2], ends[1::2] - 1
    first, last = first[first <= last], last[first <= last]
    if not len(last):
        return 0, 0, 0, 0
    (columns, rows), (end_columns, end_rows) = np.divmod(first, height), np.divmod(last, height)
    # A run over a column's end touches both the last row and the first.
    whole = bool((columns != end_columns).any())
    return (
        int(columns[0]),
        0 if whole else int(rows.min()),
        int(end_columns[-1]) + 1,
        height if whole else int(end_rows.max()) + 1,
    )


def sample_grid(
    grid: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """
    A grid's values at these rows and columns, bilinear, shape (rows, columns).

    Cell (r, c) has its value at row r, column c; beyond the grid its edge goes on. Points may lie
    anywhere, so a part of an enlarged grid is had without enlarging the whole: every other way in
    OpenCV rounds the points to 1/32 of a cell.
    """
    (top, down), (left, across) = _weights(rows, len(grid)), _weights(columns, grid.shape[1])
    seen = grid[top : top + down.shape[1], left : left + across.shape[1]]
    return np.asarray((down @ seen) @ across.T, np.float32)


def paste_patch(probabilities: NDArray[np.float32], box: Box, frame_size: tuple[int, int]) -> Patch:
    """
    A mask head's answer for one box, laid into the frame as torchvision does it.

    https://github.com/pytorch/vision/blob/main/torchvision/models/detection/roi_heads.py
    (`expand_masks`, `expand_boxes`, `paste_mask_in_image`): padded by one empty cell, the box grown
    alike and cut to whole pixels towards zero, one pixel added at its end, interpolated linearly
    between cell centres; then the threshold of its documentation, 0.5.

    Args:
        probabilities: Of one box, shape (h, w).
        box: In the frame's pixels; parts outside the frame are cut off.
        frame_size: `(width, height)`.
    """
    padded = np.pad(probabilities, 1)
    cells_y, cells_x = padded.shape
    x_min, x_end = _grown(box[0], box[2], cells_x / (cells_x - 2))
    y_min, y_end = _grown(box[1], box[3], cells_y / (cells_y - 2))
    x, y = (
        np.arange(max(x_min, 0), min(x_end, frame_size[0])),
        np.arange(max(y_min, 0), min(y_end, frame_size[1])),
    )
    if not len(x) or not len(y):
        return Patch(np.zeros((0, 0), np.bool_), (0, 0))
    sampled = sample_grid(
        padded,
        (y - y_min + 0.5) * (cells_y / (y_end - y_min)) - 0.5,
        (x - x_min + 0.5) * (cells_x / (x_end - x_min)) - 0.5,
    )
    return Patch(sampled > 0.5, (int(x[0]), int(y[0])))


def paste_mask(probabilities: NDArray[np.float32], box: Box, frame_size: tuple[int, int]) -> Bitmap:
    """As `paste_patch`, the mask of the whole frame: booleans, shape (H, W)."""
    return paste_patch(probabilities, box, frame_size).in_frame(frame_size)


def encode_head_mask(
    probabilities: NDArray[np.float32], box: Box, frame_size: tuple[int, int]
) -> Mask:
    """As `paste_patch`, in run lengths: the fast way from a mask head to a result."""
    return encode_patch(paste_patch(probabilities, box, frame_size), frame_size)


def _grown(low: float, high: float, factor: float) -> tuple[int, int]:
    """Whole pixels from and to (exclusive) of a side grown about its middle."""
    center, half = (low + high) / 2, (high - low) / 2 * factor
    first = int(center - half)
    return first, first + max(int(center + half) - first + 1, 1)


def _weights(points: NDArray[np.float64], count: int) -> tuple[int, NDArray[np.float32]]:
    """The first cell that matters, and how much of each cell from there is in each point."""
    inside = np.clip(points, 0, count - 1)
    low = inside.astype(np.intp)
    high = np.minimum(low + 1, count - 1)
    first, order = int(low.min()), np.arange(len(points))
    weights = np.zeros((len(points), int(high.max()) - first + 1), np.float32)
    weights[order, low - first] = 1 - (inside - low)
    weights[order, high - first] += inside - low
    return first, weights


def _run_lengths(mask: Mask) -> list[int]:
    """
    COCO's compressed counts taken apart: six bits a character, from the fourth run on as
    differences from the run before the last.

    https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c (`rleFrString`); its own
    decoder does not notice counts that do not fill the frame.
    """
    runs: list[int] = []
    value = shift = 0
    for character in mask.counts:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    height, width = mask.size
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError(f"run lengths of a {width}×{height} mask add up to {sum(runs)} pixels")
    return runs
