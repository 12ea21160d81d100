"""
Pictures that cost a codec what filmed ones do, each with its own number drawn in it.

A textured background moves under a slow pan and zoom, textured objects cross it on paths of their
own, and every picture has fresh film grain. Along the top left lie 16 cells, black or white, that
spell the picture's number: they survive compression and scaling, so whoever gets a frame can read
which one it is.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

BITS = 16
_COLUMNS, _ROWS = 40, 24
"""A cell is this fraction of the picture's width and height."""
_OBJECTS = 7
_GRAINS = 8
_GRAIN_SIGMA = 3.0
_MARGIN = 1.25
_ROUGHNESS = 0.35


def moving_pictures(
    size: tuple[int, int], count: int, seed: int, first_number: int = 0
) -> Iterator[NDArray[np.uint8]]:
    """
    Numbered pictures as planar YUV 4:2:0, uint8 of shape (height × 3 / 2, width).

    Args:
        size: `(width, height)`, both multiples of 8.
    """
    width, height = size
    random = np.random.default_rng(seed)
    scene = _Scene(size, random)
    for index in range(count):
        luma = scene.luma(index)
        draw_number(luma, first_number + index)
        chroma = scene.chroma(index).reshape(height // 2, width)
        yield np.concatenate([luma, chroma])


def draw_number(picture: Plane, number: int) -> None:
    """Draw a number into a grey picture of shape (H, W); `read_number` is the inverse."""
    for bit, (x, y, width, height) in enumerate(_cells(picture.shape)):
        picture[y : y + height, x : x + width] = 235 if number >> bit & 1 else 16


def read_number(pixels: NDArray[np.uint8]) -> int:
    """The number drawn in an RGB picture of any size, shape (H, W, 3)."""
    number = 0
    for bit, (x, y, width, height) in enumerate(_cells(pixels.shape)):
        # The cell's inner half, clear of its neighbours.
        inner = pixels[
            y + height // 4 : y + height - height // 4, x + width // 4 : x + width - width // 4
        ]
        number |= int(inner.mean() > 127) << bit
    return number


class _Scene:
    def __init__(self, size: tuple[int, int], random: np.random.Generator) -> None:
        self._size = size
        large = (int(size[0] * _MARGIN), int(size[1] * _MARGIN))
        self._background = texture(large, random, contrast=34)
        small = (size[0] // 4, size[1] // 4)
        self._objects = [texture(small, random, contrast=48) for _ in range(_OBJECTS)]
        self._mask = np.zeros(small[::-1], np.uint8)
        cv2.ellipse(
            self._mask, (small[0] // 2, small[1] // 2), (small[0] // 2, small[1] // 2), 0, 0, 360,
            255, -1,
        )  # fmt: skip
        self._paths = random.uniform(0.2, 1.0, (_OBJECTS, 4))
        grain = random.normal(0, _GRAIN_SIGMA, (_GRAINS, size[1] + 64, size[0] + 64))
        self._grains = np.rint(grain).astype(np.int8)
        self._shifts = random.integers(0, 64, (4096, 2))
        half = (size[0] // 2, size[1] // 2)
        self._chroma = [texture(half, random, contrast=20) for _ in range(2)]

    def luma(self, index: int) -> Plane:
        time = index / 30
        zoom = 1.12 + 0.08 * np.sin(time * 0.4)
        left = self._size[0] * 0.06 * (1 + np.sin(time * 0.7))
        top = self._size[1] * 0.05 * (1 + np.cos(time * 0.5))
        view = np.array([[1 / zoom, 0, left], [0, 1 / zoom, top]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        picture = np.asarray(
            cv2.warpAffine(self._background, view, self._size, flags=flags), np.uint8
        )
        for patch, path in zip(self._objects, self._paths, strict=True):
            self._paste(picture, patch, path, time)
        dx, dy = self._shifts[index % len(self._shifts)]
        grain = self._grains[index % _GRAINS, dy : dy + self._size[1], dx : dx + self._size[0]]
        return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U), np.uint8)

    def chroma(self, index: int) -> Plane:
        shift = index // 3
        return np.stack([np.roll(plane, shift, axis=1) for plane in self._chroma])

    def _paste(self, picture: Plane, patch: Plane, path: NDArray[np.float64], time: float) -> None:
        height, width = patch.shape
        phase = path[2] * 6 + time * path[0]
        x = int((self._size[0] - width) * (0.5 + 0.5 * np.sin(phase)))
        y = int((self._size[1] - height) * (0.5 + 0.5 * np.cos(phase * (0.5 + path[1]) + path[3])))
        cv2.copyTo(patch, self._mask, picture[y : y + height, x : x + width])


def texture(size: tuple[int, int], random: np.random.Generator, contrast: float) -> Plane:
    """Noise in octaves, the finer the weaker; shape (height, width)."""
    width, height = size
    total = np.zeros((height, width), np.float32)
    for octave in range(1, 9):
        cells = (max(2, width >> octave), max(2, height >> octave))
        noise = random.standard_normal((cells[1], cells[0])).astype(np.float32)
        total += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) * 2.0 ** (
            _ROUGHNESS * (octave - 8)
        )
    scaled = 125 + contrast * total / total.std()
    return np.asarray(np.clip(scaled, 16, 235), np.uint8)


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """`(x, y, width, height)` of every cell, the lowest bit's first."""
    height, width = shape[:2]
    for bit in range(BITS):
        x = bit * width // _COLUMNS
        yield x, 0, (bit + 1) * width // _COLUMNS - x, height // _ROWS
