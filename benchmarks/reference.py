"""
What the frames of a video are, by decoding all of it in order, and whether others gave the same.

A frame is known by its thumbnail: far finer than any difference between scalers, and different for
every picture that differs at all.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import CACHE
from benchmarks.measure import Answer, WrongAnswerError, in_worker

Pixels = NDArray[np.uint8]

_SIDE = 48
_SAME_COLOURS = 4.0
_SAME_PICTURE = 3.0
"""Mean difference of thumbnails, in grey levels: scalers stay below it."""
_AS_GOOD = 0.05
"""Pictures that differ by less cannot be told apart: a still scene."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """
    A video's frames in presentation order.

    Attributes:
        thumbnails: uint8 RGB, shape (N, 48, 48, 3).
        times: Exact seconds since the first frame, length N.
    """

    thumbnails: Pixels
    times: tuple[Fraction, ...]

    def every_seconds(self, interval: Fraction) -> list[int]:
        """For each multiple of the interval the first frame at or after it."""
        wanted, due = [], Fraction(0)
        for index, time in enumerate(self.times):
            if time >= due:
                wanted.append(index)
                due = (time // interval + 1) * interval
        return wanted

    def check(self, given: list[Pixels], wanted: list[int]) -> None:
        """
        Compare thumbnails of what was given with the frames that were wanted.

        Raises:
            WrongAnswerError: They are not those frames.
        """
        if len(given) != len(wanted):
            raise WrongAnswerError(f"gives {len(given)} frames instead of {len(wanted)}")
        all_frames = self.thumbnails.astype(np.float32)
        # Converters round colours each in its own way: a shift of all pictures alike says nothing.
        shift = (np.stack(given) - all_frames[wanted]).mean(axis=(0, 1, 2))
        if np.abs(shift).max() > _SAME_COLOURS:
            raise WrongAnswerError(f"colours are off by {np.round(shift, 1).tolist()}")
        wrong = []
        for index, found in zip(wanted, given, strict=True):
            apart = np.abs(all_frames - (found - shift)).mean(axis=(1, 2, 3))
            if apart[index] > min(float(apart.min()) + _AS_GOOD, _SAME_PICTURE):
                wrong.append(f"{index} is {int(apart.argmin())}")
        if wrong:
            shown = ", ".join(wrong[:3])
            raise WrongAnswerError(f"{len(wrong)} of {len(wanted)} frames wrong ({shown})")


def thumbnail(pixels: Pixels) -> Pixels:
    """A frame's thumbnail, from RGB of any size, shape (H, W, 3)."""
    small = cv2.resize(pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def reference_of(path: Path) -> Reference:
    """Decode all of a video by one thread, once; kept for the next time."""
    facts = path.stat()
    kept = CACHE / f"{path.name}-{facts.st_size}-{facts.st_mtime_ns}.npz"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # Apart: freed pictures between kept thumbnails leave this process large.
        in_worker(decode_all, 1, path=str(path), kept=str(kept))
    with np.load(kept) as arrays:
        numerator, denominator = (int(part) for part in arrays["time_base"])
        base = Fraction(numerator, denominator)
        return Reference(arrays["thumbnails"], tuple(int(pts) * base for pts in arrays["pts"]))


def decode_all(path: str, kept: str) -> Answer:
    """In a worker: write the thumbnails and times of all frames to an .npz."""
    thumbnails, stamps = [], []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.options = {"strict": "1"}
        for index, frame in enumerate(container.decode(stream)):
            thumbnails.append(thumbnail(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)))
            stamps.append(frame.pts if frame.pts is not None else index)
        time_base = stream.time_base or Fraction(1, 30)
    base = (time_base.numerator, time_base.denominator)
    pts = np.array(stamps) - stamps[0]
    np.savez(kept, thumbnails=np.stack(thumbnails), pts=pts, time_base=np.array(base))
    return {"frames": len(stamps)}
