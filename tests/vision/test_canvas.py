"""Pixels on the canvas have the colours that the stream's matrix and range say, edge to edge."""

from itertools import product

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from vision.canvas import Converter, place
from vision.frames import Pixels
from vision.models.base import ModelInput, ResizeMode
from vision.pictures import Picture

SIZE = (192, 108)
LUMA_WEIGHTS = {Colorspace.ITU601: (0.299, 0.114), Colorspace.ITU709: (0.2126, 0.0722)}
"""Of red and blue (ITU-R BT.601, BT.709)."""
Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


@pytest.mark.parametrize("canvas", [SIZE, (128, 128), (256, 200), (64, 36), (63, 37), (90, 51)])
@pytest.mark.parametrize(
    ("pixel_format", "matrix", "range_"),
    [
        *product(["yuv420p"], LUMA_WEIGHTS, [ColorRange.MPEG, ColorRange.JPEG]),
        *product(["yuv420p"], LUMA_WEIGHTS, [ColorRange.UNSPECIFIED]),
        *product(["yuvj420p"], LUMA_WEIGHTS, [ColorRange.UNSPECIFIED, ColorRange.JPEG]),
    ],
)
def test_colours_are_those_of_matrix_and_range(
    pixel_format: str, matrix: Colorspace, range_: ColorRange, canvas: tuple[int, int]
) -> None:
    planes = textured(SIZE)
    is_full = pixel_format == "yuvj420p" or range_ == ColorRange.JPEG
    expected = scaled_rgb(planes, matrix, is_full, canvas)
    found = convert(frame_of(planes, pixel_format, matrix, range_), ModelInput(canvas))
    difference = np.abs(found - expected)
    assert difference.mean() < 2.3
    assert difference.max() < 12
    for edge in (difference[0], difference[-1], difference[:, 0], difference[:, -1]):
        assert edge.mean() < 2.6


@pytest.mark.parametrize("canvas", [(128, 128), (100, 128), (160, 64), (97, 128), (480, 480)])
def test_a_letterbox_holds_the_picture_as_it_is_without_one(canvas: tuple[int, int]) -> None:
    image = frame_of(textured(SIZE), "yuv420p", Colorspace.ITU709, ColorRange.MPEG)
    letterboxed = ModelInput(canvas, ResizeMode.LETTERBOX, pad_value=7)
    x, y, width, height = place(SIZE, letterboxed).inner
    found = convert(image, letterboxed)
    inner = np.s_[y : y + height, x : x + width]
    assert np.array_equal(found[inner], convert(image, ModelInput((width, height))))
    found[inner] = 7
    assert (found == 7).all()


def test_a_converter_takes_pictures_of_any_form_one_after_another() -> None:
    converter = Converter()
    forms = [
        ("yuv420p", Colorspace.ITU709, ColorRange.MPEG),
        ("yuvj420p", Colorspace.ITU601, ColorRange.JPEG),
        ("yuv420p", Colorspace.ITU601, ColorRange.JPEG),
    ]
    canvases = [(64, 64), (63, 64), SIZE, (64, 64)]
    for (pixel_format, matrix, range_), canvas in product(forms, canvases):
        image = frame_of(textured(SIZE), pixel_format, matrix, range_)
        alone = convert(image, ModelInput(canvas))
        assert np.array_equal(convert(image, ModelInput(canvas), converter), alone)


def convert(
    image: av.VideoFrame, model_input: ModelInput, converter: Converter | None = None
) -> Pixels:
    placement = place((image.width, image.height), model_input)
    converter = converter or Converter()
    pixels = converter.convert(Picture(image, 0), placement, model_input.pad_value)
    assert pixels.flags.c_contiguous
    return pixels.copy()


def textured(size: tuple[int, int]) -> Planes:
    """Smooth planes whose colours reach far into the gamut, 4:2:0."""
    width, height = size
    random = np.random.default_rng(3)

    def plane(size: tuple[int, int], spread: float) -> NDArray[np.uint8]:
        noise = random.standard_normal((3, 4)).astype(np.float32)
        wide = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(np.clip(128 + spread * wide / wide.std(), 16, 235), np.uint8)

    half = (width // 2, height // 2)
    return plane(size, 35), plane(half, 25), plane(half, 25)


def frame_of(
    planes: Planes, pixel_format: str, matrix: Colorspace, range_: ColorRange
) -> av.VideoFrame:
    height, width = planes[0].shape
    image = av.VideoFrame(width, height, pixel_format)
    for plane, content in zip(image.planes, planes, strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        rows[: content.shape[0], : content.shape[1]] = content
    image.colorspace, image.color_range = matrix, range_
    return image


def scaled_rgb(
    planes: Planes, matrix: Colorspace, is_full: bool, size: tuple[int, int]
) -> NDArray[np.float64]:
    """By the definition: chroma to full size, the matrix in floats, then area averaging."""
    luma, *half = (np.asarray(plane, np.float64) for plane in planes)
    whole = (luma.shape[1], luma.shape[0])
    blue, red = (np.asarray(cv2.resize(plane - 128, whole), np.float64) for plane in half)
    if not is_full:
        luma, blue, red = (luma - 16) * (255 / 219), blue * (255 / 224), red * (255 / 224)
    of_red, of_blue = LUMA_WEIGHTS[matrix]
    reds, blues = luma + 2 * (1 - of_red) * red, luma + 2 * (1 - of_blue) * blue
    greens = (luma - of_red * reds - of_blue * blues) / (1 - of_red - of_blue)
    rgb = np.clip(np.stack([reds, greens, blues], axis=-1), 0, 255)
    is_smaller = size[0] < whole[0]
    interpolation = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=interpolation), np.float64)
