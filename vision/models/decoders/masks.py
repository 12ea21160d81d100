"""The forms in which graphs give instance masks, and their way into the source picture."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.results import Box, Mask
from vision.frames import Placement
from vision.masks import Patch, encode_head_mask, encode_patch, sample_grid

Values = NDArray[np.float32]

_HUGE = 1e6
"""Stands for what is not finite, so that it spoils no cell but its own."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadMasks:
    """
    Of the box alone, as a mask head has them.

    Attributes:
        probabilities: Shape (N, h, w).
    """

    probabilities: Values

    def __len__(self) -> int:
        return len(self.probabilities)

    def encode(self, row: int, box: Box, placement: Placement) -> Mask:
        """Pasted into the source picture; the head saw the padding around the picture too."""
        return encode_head_mask(
            self.probabilities[row].astype(np.float32),
            _beyond_edges(box, placement),
            placement.source_size,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CanvasMasks:
    """
    Of the whole canvas, at any resolution.

    Attributes:
        values: Shape (N, h, w).
        threshold: A pixel above it belongs to the object: 0.5 of probabilities, 0 of logits.
    """

    values: Values
    threshold: float

    def __len__(self) -> int:
        return len(self.values)

    def encode(self, row: int, box: Box, placement: Placement) -> Mask:  # noqa: ARG002
        """In the source picture, cut by no box: the graph itself said where the object is."""
        values = self.values[row].astype(np.float32)
        pixels = _reached(values > self.threshold, placement)
        patch = _sampled(values, pixels, placement)
        return encode_patch(Patch(patch > self.threshold, pixels[:2]), placement.source_size)


@dataclass(frozen=True, slots=True, eq=False)
class PrototypeMasks:
    """
    Sums of prototypes over the canvas, as YOLACT and the YOLO segmentation models have them.

    https://docs.ultralytics.com/reference/utils/ops (`process_mask_native`): summed, enlarged,
    cut to the box, above 0.

    Attributes:
        coefficients: Shape (N, K).
        prototypes: Shape (K, h, w).
    """

    coefficients: Values
    prototypes: Values

    def __len__(self) -> int:
        return len(self.coefficients)

    def encode(self, row: int, box: Box, placement: Placement) -> Mask:
        """In the source picture, cut to the box."""
        x_min, y_min, x_max, y_max = (math.ceil(side) for side in placement.to_source(box))
        logits = np.tensordot(self.coefficients[row], self.prototypes, axes=1)
        patch = _sampled(logits.astype(np.float32), (x_min, y_min, x_max, y_max), placement)
        return encode_patch(Patch(patch > 0, (x_min, y_min)), placement.source_size)


def _reached(cells: NDArray[np.bool_], placement: Placement) -> tuple[int, int, int, int]:
    """Source pixels, `(x, y, x_end, y_end)`, that are interpolated from any of these cells."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    scale_x = placement.canvas_size[0] / cells.shape[1]
    scale_y = placement.canvas_size[1] / cells.shape[0]
    # A cell's value reaches as far as the centres of its neighbours.
    reached = (
        (columns[0] - 0.5) * scale_x,
        (rows[0] - 0.5) * scale_y,
        (columns[-1] + 1.5) * scale_x,
        (rows[-1] + 1.5) * scale_y,
    )
    x_min, y_min, x_end, y_end = placement.to_source(reached)
    return math.floor(x_min), math.floor(y_min), math.ceil(x_end), math.ceil(y_end)


def _beyond_edges(box: Box, placement: Placement) -> Box:
    """A canvas box in source pixels, uncut: a mask head saw the padding around the picture too."""
    x, y, inner_width, inner_height = placement.inner
    scale_x = placement.source_size[0] / inner_width
    scale_y = placement.source_size[1] / inner_height
    return (
        (box[0] - x) * scale_x,
        (box[1] - y) * scale_y,
        (box[2] - x) * scale_x,
        (box[3] - y) * scale_y,
    )


def _sampled(grid: Values, pixels: tuple[int, int, int, int], placement: Placement) -> Values:
    """A grid over the canvas at these source pixels, `(x, y, x_end, y_end)`; shape (h, w)."""
    x_min, y_min, x_end, y_end = pixels
    if x_min >= x_end or y_min >= y_end:
        return np.zeros((max(y_end - y_min, 0), max(x_end - x_min, 0)), np.float32)
    rows_count, columns_count = grid.shape
    left, top, inner_width, inner_height = placement.inner
    (width, height), (canvas_width, canvas_height) = placement.source_size, placement.canvas_size
    scale_x, scale_y = columns_count / canvas_width, rows_count / canvas_height
    columns = ((np.arange(x_min, x_end) + 0.5) * (inner_width / width) + left) * scale_x - 0.5
    rows = ((np.arange(y_min, y_end) + 0.5) * (inner_height / height) + top) * scale_y - 0.5
    # The picture's edge goes on: what the graph says of the padding has no part in it.
    return sample_grid(
        np.nan_to_num(grid, nan=-_HUGE, posinf=_HUGE, neginf=-_HUGE),
        rows.clip(top * scale_y, (top + inner_height) * scale_y - 1),
        columns.clip(left * scale_x, (left + inner_width) * scale_x - 1),
    )
