"""The point that most lines of a road picture run towards."""

import cv2
import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

MAX_SEGMENTS = 60
"""The longest ones; each pair is tried."""
TOLERANCE = 0.03
"""How near a segment's line must pass by the point, in parts of the width."""
STEEPEST, FLATTEST = 6.0, 0.15
"""Rows by column of a line that can be a marking; cross streets and bumpers are flatter."""
LEFT, RIGHT, TOP, BOTTOM = 0.1, 0.9, 0.15, 0.8
"""Where in the picture, in parts of its sides, the point may lie for a camera that sees a road."""
MIN_SUPPORT = 0.35
"""Least length of the segments that run there, in parts of the picture's height, all together."""
MIN_SPREAD = 0.35
"""Least difference of the directions, as run by rise: one line alone has no vanishing point."""


def vanishing_point(bands: NDArray[np.uint8]) -> Point | None:
    """
    The point `(x, y)` in pixels that the longest segments share; None where there is no such point.

    Args:
        bands: 1 where something narrow is bright, shape (H, W).
    """
    height, width = bands.shape
    found = cv2.HoughLinesP(
        bands * 255, 1, np.pi / 180, 20, minLineLength=height * 0.04, maxLineGap=height * 0.01
    )
    if found is None:
        return None
    segments = np.asarray(found, np.float64).reshape(-1, 4)
    run, rise = segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]
    sloped = (abs(rise) >= FLATTEST * abs(run)) & (abs(rise) <= STEEPEST * abs(run))
    lengths = np.hypot(run, rise)
    longest = np.flatnonzero(sloped)[np.argsort(-lengths[sloped], kind="stable")][:MAX_SEGMENTS]
    if len(longest) < 2:
        return None
    segments, lengths = segments[longest], lengths[longest]
    # A line is x = base + lean · y.
    lean = (segments[:, 2] - segments[:, 0]) / (segments[:, 3] - segments[:, 1])
    base = segments[:, 0] - lean * segments[:, 1]
    first, second = np.triu_indices(len(lean), 1)
    apart = abs(lean[first] - lean[second]) > MIN_SPREAD
    first, second = first[apart], second[apart]
    y = (base[second] - base[first]) / (lean[first] - lean[second])
    x = base[first] + lean[first] * y
    seen = (x > LEFT * width) & (x < RIGHT * width) & (y > TOP * height) & (y < BOTTOM * height)
    x, y = x[seen], y[seen]
    if not len(x):
        return None
    missed = abs(base[:, None] + lean[:, None] * y - x) > TOLERANCE * width
    support = np.where(missed, 0.0, lengths[:, None]).sum(axis=0)
    best = int(support.argmax())
    if support[best] < MIN_SUPPORT * height:
        return None
    return _refined(base, lean, lengths, ~missed[:, best])


def _refined(
    base: NDArray[np.float64],
    lean: NDArray[np.float64],
    lengths: NDArray[np.float64],
    agreeing: NDArray[np.bool_],
) -> Point:
    """Least squares over the segments that agree, each by its length."""
    weight = np.sqrt(lengths[agreeing])
    lines = np.stack([np.ones(len(weight)), -lean[agreeing]], axis=1) * weight[:, None]
    (x, y), *_ = np.linalg.lstsq(lines, base[agreeing] * weight, rcond=None)
    return float(x), float(y)
