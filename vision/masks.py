"""Masks of full frames: COCO run lengths and back, and head masks pasted into the frame."""

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from contracts.results import Box, Mask

Bitmap = NDArray[np.bool_]


def encode_mask(bitmap: Bitmap) -> Mask:
    """A mask of shape (H, W) as COCO run lengths; `decode_mask` is the inverse."""
    encoded = coco.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    height, width = bitmap.shape
    return Mask((height, width), encoded["counts"].decode("ascii"))


def decode_mask(mask: Mask) -> Bitmap:
    """
    The mask as booleans, shape (H, W).

    Raises:
        ValueError: The run lengths do not fill the frame.
    """
    height, width = mask.size
    runs = _run_lengths(mask.counts)
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise ValueError(f"run lengths of a {width}×{height} mask add up to {sum(runs)} pixels")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def paste_mask(probabilities: NDArray[np.float32], box: Box, frame_size: tuple[int, int]) -> Bitmap:
    """
    A mask head's answer for one box, laid into the frame as torchvision does it.

    https://github.com/pytorch/vision/blob/main/torchvision/models/detection/roi_heads.py
    (`paste_masks_in_image`, then the threshold of its documentation, 0.5): padded by one cell,
    the box grown alike and truncated to whole pixels, interpolated linearly.

    Args:
        probabilities: Of one box, shape (M, M).
        box: In the frame's pixels; parts outside the frame are cut off.
        frame_size: `(width, height)`.
    """
    cells_y, cells_x = probabilities.shape
    x_min, x_max = _grown(box[0], box[2], (cells_x + 2) / cells_x)
    y_min, y_max = _grown(box[1], box[3], (cells_y + 2) / cells_y)
    padded = np.pad(probabilities, 1)
    size = (max(x_max - x_min + 1, 1), max(y_max - y_min + 1, 1))
    resized = cv2.resize(padded, size, interpolation=cv2.INTER_LINEAR)
    width, height = frame_size
    bitmap = np.zeros((height, width), np.bool_)
    left, right = max(x_min, 0), min(x_max + 1, width)
    top, bottom = max(y_min, 0), min(y_max + 1, height)
    if left < right and top < bottom:
        inside = resized[top - y_min : bottom - y_min, left - x_min : right - x_min]
        bitmap[top:bottom, left:right] = inside > 0.5
    return bitmap


def _grown(low: float, high: float, factor: float) -> tuple[int, int]:
    center, half = (low + high) / 2, (high - low) / 2 * factor
    return int(center - half), int(center + half)


def _run_lengths(counts: str) -> list[int]:
    """
    COCO's compressed counts taken apart: six bits a character, from the fourth run on as
    differences from the run before the last.

    https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c (`rleFrString`); its own
    decoder does not notice counts that do not fill the frame.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
