"""A decoded picture on a model's canvas: placed, scaled, turned, padded."""

import errno
from dataclasses import dataclass

import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from contracts.outcomes import RejectionCode
from contracts.results import FrameRecord
from vision.faults import RejectedVideoError
from vision.frames import Pixels, Placement, letterbox, stretch
from vision.models.base import ModelInput, ResizeMode
from vision.pictures import Picture
from vision.video import clockwise_rotation

_HALVED = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
"""The same colours and range, with all rows of chroma; `yuvj` means the full range."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """
    A wanted frame.

    Attributes:
        pixels: uint8 RGB on the canvas, shape (H, W, 3), C-contiguous.
    """

    record: FrameRecord
    pixels: Pixels
    placement: Placement


def place(source_size: tuple[int, int], model_input: ModelInput) -> Placement:
    """Where a picture of a size lies on a model's canvas."""
    canvas_size = model_input.size or source_size
    if model_input.resize is ResizeMode.LETTERBOX:
        return letterbox(source_size, canvas_size)
    return stretch(source_size, canvas_size)


class Converter:
    """
    Scales with area averaging straight to the canvas: faster than RGB first, then a resize.

    4:2:0 is scaled to 4:2:2 of the final size, which swscale then turns into RGB by its fast path:
    a quarter of the time of both in one step, and nearer to averaging RGB.
    """

    def __init__(self) -> None:
        self._scaler = VideoReformatter()
        self._painter = VideoReformatter()

    def convert(self, picture: Picture, placement: Placement, pad_value: int) -> Pixels:
        """
        Pixels as in `Frame`.

        Raises:
            RejectedVideoError: The picture's form cannot be converted.
        """
        rotation = clockwise_rotation(picture)
        x, y, width, height = placement.inner
        stored_size = (width, height) if rotation % 180 == 0 else (height, width)
        scaled = _turned(self._scale(picture.image, stored_size), rotation)
        if (width, height) == placement.canvas_size:
            return np.ascontiguousarray(scaled)
        canvas_width, canvas_height = placement.canvas_size
        canvas = np.full((canvas_height, canvas_width, 3), pad_value, np.uint8)
        canvas[y : y + height, x : x + width] = scaled
        return canvas

    def _scale(self, image: VideoFrame, size: tuple[int, int]) -> Pixels:
        width, height = size
        halved = _HALVED.get(image.format.name)
        is_even = width % 2 == height % 2 == 0
        try:
            if halved and is_even and size != (image.width, image.height):
                image = _reformatted(self._scaler, image, size, halved)
            painted = _reformatted(self._painter, image, size, "rgb24")
        except av.error.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("the scaler found no memory") from error
            raise RejectedVideoError(
                RejectionCode.UNREADABLE,
                f"Pictures of the form {image.format.name} cannot be converted to RGB here. "
                "Convert the video to 8-bit H.264.",
            ) from error
        return np.asarray(painted.to_ndarray(), np.uint8)


def _reformatted(
    reformatter: VideoReformatter, image: VideoFrame, size: tuple[int, int], pixel_format: str
) -> VideoFrame:
    return reformatter.reformat(
        image,
        width=size[0],
        height=size[1],
        format=pixel_format,
        interpolation=Interpolation.AREA,
        threads=1,
    )


def _turned(pixels: Pixels, rotation: int) -> Pixels:
    if rotation == 0:
        return pixels
    import cv2  # Costs a tenth of a second, and most videos are not turned.

    turns = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return np.asarray(cv2.rotate(pixels, turns[rotation]), np.uint8)


def form_of(picture: Picture) -> str:
    """Size, pixel format and rotation, for people to read and for changes to be seen by."""
    image = picture.image
    return (
        f"{image.width}×{image.height} {image.format.name}, turned {clockwise_rotation(picture)}°"
    )
