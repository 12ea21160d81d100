"""Decoded frames on their way to a model, each with its identity and its place on the canvas."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.results import Box, FrameRecord

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Placement:
    """
    Where a source picture lies on a model's canvas: scaled to the inner rectangle, padded around.

    Attributes:
        source_size: `(width, height)` of the picture as displayed, in pixels.
        canvas_size: `(width, height)` of what the model is given.
        inner: `(x, y, width, height)` of the picture on the canvas.
    """

    source_size: tuple[int, int]
    canvas_size: tuple[int, int]
    inner: tuple[int, int, int, int]

    def to_source(self, box: Box) -> Box:
        """A box in canvas pixels as a box in source pixels, cut at the picture's edges."""
        x, y, inner_width, inner_height = self.inner
        width, height = self.source_size
        scale_x, scale_y = width / inner_width, height / inner_height
        x_min, y_min, x_max, y_max = box
        return (
            min(max((x_min - x) * scale_x, 0.0), float(width)),
            min(max((y_min - y) * scale_y, 0.0), float(height)),
            min(max((x_max - x) * scale_x, 0.0), float(width)),
            min(max((y_max - y) * scale_y, 0.0), float(height)),
        )


def stretch(source_size: tuple[int, int], canvas_size: tuple[int, int]) -> Placement:
    """The picture fills the canvas; its proportions may change."""
    return Placement(source_size, canvas_size, (0, 0, *canvas_size))


def letterbox(source_size: tuple[int, int], canvas_size: tuple[int, int]) -> Placement:
    """The picture keeps its proportions, centred on the canvas."""
    width, height = source_size
    scale = min(canvas_size[0] / width, canvas_size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (canvas_size[0] - inner[0]) // 2, (canvas_size[1] - inner[1]) // 2
    return Placement(source_size, canvas_size, (left, top, *inner))


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """
    Decoded frames in presentation order.

    Attributes:
        pixels: uint8 RGB on the model's canvas, shape (N, H, W, 3), C-contiguous.
        frames: The identity of each frame, length N.
        placement: Where the source picture lies on the canvas; the same for all N.
    """

    pixels: Pixels
    frames: tuple[FrameRecord, ...]
    placement: Placement

    def __post_init__(self) -> None:
        width, height = self.placement.canvas_size
        expected = (len(self.frames), height, width, 3)
        if self.pixels.shape != expected or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"a batch holds uint8 pixels {expected}, got "
                f"{self.pixels.dtype} {self.pixels.shape}"
            )
