"""Pictures to an H.264 MP4, one at a time: memory does not grow with the video."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from vision.frames import Pixels

TIME_BASE = Fraction(1, 90_000)
"""MPEG's clock: common frame rates have whole periods in it."""
QUALITY_CRF = 21


class VideoWriter:
    """
    An MP4 that any player shows: H.264, yuv420p, `moov` first.

    Odd sizes gain one row or column, a copy of the last, since yuv420p needs even ones.

    Args:
        target: Written in place; a caller that must not leave a part of a file renames it after.
        size: `(width, height)` of every picture.
        preset: Of x264, from `ultrafast` on.
    """

    def __init__(self, target: Path, size: tuple[int, int], *, preset: str = "veryfast") -> None:
        self._size = size
        width, height = size
        self._container = av.open(
            str(target), "w", format="mp4", options={"movflags": "+faststart"}
        )
        stream = self._container.add_stream(
            "libx264", options={"preset": preset, "crf": str(QUALITY_CRF)}
        )
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        self._stream = stream
        self._last_pts = -1

    def write(self, pixels: Pixels, time_s: float) -> None:
        """
        Add a picture that is shown from this time on.

        Args:
            pixels: uint8 RGB, shape (H, W, 3).

        Raises:
            ValueError: The picture has another size, or the time does not lie after the last one.
        """
        height, width = pixels.shape[:2]
        if (width, height) != self._size:
            raise ValueError(f"the video is {self._size}, the picture is {(width, height)}")
        pts = round(time_s / TIME_BASE)
        if pts <= self._last_pts:
            raise ValueError(
                f"times must ascend, got {time_s} s after {self._last_pts * TIME_BASE}"
            )
        self._last_pts = pts
        if width % 2 or height % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = pts, TIME_BASE
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._last_pts >= 0:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
