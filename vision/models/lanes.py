"""
`builtin:lanes`: lane markings on the road, as a class map, without a trained network.

Bright or yellow bands that are narrow for their distance (the top-hat of a row, its width growing
from the horizon down), kept where they run towards the vanishing point that most of them share;
after the extractors compared by Veit, Tarel, Nicolle and Charbonnier (2008), "Evaluation of road
marking feature extraction".
"""

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.models import resolve_model
from contracts.results import Engine
from vision.frames import FrameBatch, Pixels, Placement
from vision.models.base import ModelInput, Prediction, Task
from vision.models.class_maps import source_class_map
from vision.models.vanishing import Point, vanishing_point

LABELS = ("background", "lane")
WORKING_SIDE_PX = 960
"""The longer side of a larger picture is brought down to this, which bounds the time it takes."""
MIN_SIDE_PX = 32
"""A smaller picture shows no marking that could be told from noise."""
BAND_PER_ROW = 0.3
"""Width of the row filter by rows below the horizon. A marking of 0.15 m seen from 1.2 m above the
road takes 0.125; from lower, or painted wider, up to twice that."""
BANDS = 12
MIN_CONTRAST = 22.0
"""By which a marking is brighter (of 255) than what lies on both sides; half of it for yellow."""
NOISE_FACTOR = 5.0
"""In times the median deviation: dry leaves and gravel need more contrast than asphalt."""
GUESSED_HORIZON = 0.5
"""Part of the height, until the vanishing point is known."""
MIN_LENGTH = 0.03
"""Least height of a marking in the picture, in parts of the road's; less is noise."""
MEETING = 0.04
"""Part of the road's height below the vanishing point where markings run into one another."""
MIN_ELONGATION = 2.0
"""Least length over width; worn patches and reflectors are stouter."""
AIM = 0.07
"""How far from the vanishing point, in parts of the width, a marking's line may pass."""


class LanesModel:
    """Lane markings, the painted lines themselves; each frame by itself, in bounded time."""

    task = Task.SEMANTIC_SEGMENTATION
    input = ModelInput(size=None)

    def __init__(self) -> None:
        self.identity = resolve_model("builtin:lanes")
        self.engine = Engine("opencv", cv2.__version__, "cpu")

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """One class map for each frame of the batch, in its order."""
        return [
            Prediction(class_map=_source_map(lane_markings(pixels), batch.placement))
            for pixels in batch.pixels
        ]


def lane_markings(pixels: Pixels) -> NDArray[np.bool_]:
    """
    Where a road picture, uint8 RGB of shape (H, W, 3), shows lane markings.

    Returns:
        Booleans of the picture's proportions, at most `WORKING_SIDE_PX` along its longer side.
    """
    height, width = pixels.shape[:2]
    reduction = min(1.0, WORKING_SIDE_PX / max(width, height))
    size = (max(1, round(width * reduction)), max(1, round(height * reduction)))
    if min(size) < MIN_SIDE_PX:
        return np.zeros((size[1], size[0]), np.bool_)
    picture = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    channels = _channels(picture)
    first = _bright_bands(channels, round(GUESSED_HORIZON * size[1]))
    point = vanishing_point(first)
    if point is None:
        return np.zeros(first.shape, np.bool_)
    bands = _bright_bands(channels, min(max(round(point[1]), 0), size[1] - 1))
    return _towards(bands, point)


def _channels(picture: Pixels) -> list[tuple[NDArray[np.uint8], float]]:
    """Lightness, and yellowness (b* of CIE L*a*b*), each with its least contrast."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (3, 3), 0), cv2.COLOR_RGB2LAB)
    planes = [np.ascontiguousarray(lab[..., i], np.uint8) for i in (0, 2)]
    return list(zip(planes, (MIN_CONTRAST, MIN_CONTRAST / 2), strict=True))


def _bright_bands(
    channels: list[tuple[NDArray[np.uint8], float]], horizon: int
) -> NDArray[np.uint8]:
    """1 below the horizon where a row is brighter than on both sides, for a marking's width."""
    height, width = channels[0][0].shape
    marked = np.zeros((height, width), np.uint8)
    edges = np.linspace(horizon, height, BANDS + 1).round().astype(int)
    for top, bottom in itertools.pairwise(edges.tolist()):
        if top == bottom:
            continue
        # Odd, and no wider than the picture.
        span = min(max(5, int(BAND_PER_ROW * (bottom - horizon))), width) | 1
        kernel = np.ones((1, span), np.uint8)
        for plane, least in channels:
            hat = cv2.morphologyEx(plane[top:bottom], cv2.MORPH_TOPHAT, kernel)
            values = np.asarray(hat, np.float32)
            noise = float(np.median(np.abs(values - np.median(values))))
            marked[top:bottom] |= values > max(least, NOISE_FACTOR * noise)
    opened = cv2.morphologyEx(marked, cv2.MORPH_OPEN, np.ones((2, 1), np.uint8))
    return np.asarray(opened, np.uint8)


def _towards(bands: NDArray[np.uint8], point: Point) -> NDArray[np.bool_]:
    """Of the bands those that are even, long and thin, and aim at the vanishing point."""
    height, width = bands.shape
    road = height - point[1]
    bands[: max(0, round(point[1] + MEETING * road))] = 0
    count, marks, boxes, _ = cv2.connectedComponentsWithStats(bands, connectivity=8)
    rows, columns = np.nonzero(marks)
    of_mark = marks[rows, columns]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(of_mark, values, count) / area

    area = np.maximum(np.bincount(of_mark, minlength=count), 1).astype(np.float64)
    x, y = mean(columns.astype(np.float64)), mean(rows.astype(np.float64))
    across, along = columns - x[of_mark], rows - y[of_mark]
    # Each row meets a marking once, so its middle line is x̄ + lean · (y − ȳ).
    lean = mean(across * along) / np.maximum(mean(along**2), 1e-9)
    deviation = np.sqrt(np.maximum(mean(across**2) - lean * mean(across * along), 0.0))
    rise = boxes[:, cv2.CC_STAT_HEIGHT].astype(np.float64)
    mean_width, below = area / rise, y - point[1]
    kept = (
        (rise >= max(3.0, MIN_LENGTH * road))
        & (below > 0)
        & (abs(x - lean * below - point[0]) < AIM * width)
        & (mean_width <= np.maximum(3.0, BAND_PER_ROW * below))
        # Length over width, both measured along and across the middle line.
        & (rise * (1 + lean**2) >= MIN_ELONGATION * mean_width)
        # An even band deviates from its middle by its width over √12.
        & (deviation < 0.5 * mean_width + 2.0)
    )
    kept[0] = False
    return np.asarray(kept[marks])


def _source_map(markings: NDArray[np.bool_], placement: Placement) -> NDArray[np.uint8]:
    return source_class_map(markings.astype(np.uint8), len(LABELS), placement)
