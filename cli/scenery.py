"""What stands still in the demo's street, and the car that passes through it."""

import cv2
import numpy as np

from vision.frames import Pixels

HORIZON = 0.47
"""The eye's height, as a part of the picture's height."""
GROUND_PER_HEIGHT = 1.12
"""A body's height by its feet's distance below the horizon."""

_KERB, _FAR_KERB = 0.72, 0.635


def scenery(seed: int, size: tuple[int, int]) -> Pixels:
    """Sky, houses, road, pavement and lamps, softened as a lens would; uint8 RGB (H, W, 3)."""
    width, height = size
    rng = np.random.default_rng(seed + 1000)
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = _gradient((196, 208, 222), (222, 224, 222), height)
    _houses(canvas, rng)
    _ground(canvas, rng)
    for x in (0.12, 0.5, 0.9):
        _lamp(canvas, round(x * width))
    softened = cv2.GaussianBlur(canvas, (0, 0), width / 700)
    grain = rng.normal(0, 2.0, canvas.shape)
    return np.clip(softened + grain, 0, 255).astype(np.uint8)


class Car:
    """A car that crosses the street once, in the clip's first half or second."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed + 2000)
        self.start = float(rng.uniform(-0.5, -0.2))
        self.speed = float(rng.uniform(0.26, 0.34))
        self.color = tuple(int(value) for value in rng.integers(60, 150, 3))


def draw_car(canvas: Pixels, car: Car, time_s: float) -> None:
    """Draw the car where it is at this time."""
    height, width = canvas.shape[:2]
    x = (car.start + car.speed * time_s) * width
    ground, unit = 0.70 * height, 0.0022 * width

    def shape(points: list[tuple[float, float]], color: tuple[int, ...]) -> None:
        outline = np.array([(x + px * unit, ground - py * unit) for px, py in points])
        cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], color, cv2.LINE_AA, 4)

    shape([(0, 6), (0, 22), (22, 26), (34, 39), (74, 39), (92, 25), (114, 20), (116, 6)], car.color)
    shape([(27, 26), (37, 36), (53, 36), (53, 26)], (88, 100, 112))
    shape([(56, 26), (56, 36), (72, 36), (84, 26)], (88, 100, 112))
    for wheel in (24, 92):
        center = (round((x + wheel * unit) * 16), round((ground - 7 * unit) * 16))
        cv2.circle(canvas, center, round(9 * unit * 16), (34, 34, 36), -1, cv2.LINE_AA, 4)
        cv2.circle(canvas, center, round(4.5 * unit * 16), (120, 120, 122), -1, cv2.LINE_AA, 4)


def draw_shadow(canvas: Pixels, foot: tuple[float, float], tall: float) -> None:
    """A soft shadow on the ground below a figure."""
    height, width = canvas.shape[:2]
    reach_x, reach_y = max(round(tall * 0.22), 2), max(round(tall * 0.035), 2)
    x, y = round(foot[0]), round(foot[1])
    left, right = max(x - reach_x, 0), min(x + reach_x, width)
    top, bottom = max(y - reach_y, 0), min(y + reach_y, height)
    if left >= right or top >= bottom:
        return
    across = (np.arange(left, right) - x) / reach_x
    down = (np.arange(top, bottom) - y) / reach_y
    depth = np.clip(1.0 - across[None, :] ** 2 - down[:, None] ** 2, 0, 1)
    patch = canvas[top:bottom, left:right]
    patch[:] = (patch * (1.0 - 0.45 * depth[..., None])).astype(np.uint8)


def _houses(canvas: Pixels, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    base, x = round(_FAR_KERB * height), 0
    while x < width:
        house_width = round(float(rng.uniform(0.17, 0.27)) * width)
        top = round(float(rng.uniform(0.02, 0.16)) * height)
        shade = rng.uniform(0.86, 1.06) * np.array([184, 172, 158]) + rng.uniform(-10, 10, 3)
        canvas[top:base, x : x + house_width] = shade.astype(np.uint8)
        canvas[top : top + height // 60, x : x + house_width] = (shade * 0.82).astype(np.uint8)
        _windows(canvas, (x, top, house_width, base - top), shade)
        x += house_width


def _windows(canvas: Pixels, house: tuple[int, int, int, int], shade: np.ndarray) -> None:
    x, top, width, tall = house
    columns, rows = max(2, round(width / 62)), 4
    step_x, step_y = width / columns, tall / (rows + 0.4)
    for row in range(rows):
        for column in range(columns):
            left = round(x + step_x * (column + 0.27))
            upper = round(top + step_y * (row + 0.38))
            right, lower = round(left + step_x * 0.46), round(upper + step_y * 0.5)
            glass = shade * (0.72 if row < rows - 1 else 0.66)
            canvas[upper:lower, left:right] = (glass + np.array([-8, 0, 10])).astype(np.uint8)


def _ground(canvas: Pixels, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    far, kerb = round(_FAR_KERB * height), round(_KERB * height)
    canvas[far:kerb] = _gradient((118, 118, 120), (104, 104, 107), kerb - far)
    canvas[far : far + max(height // 120, 1)] = (160, 156, 150)
    canvas[kerb:] = _gradient((172, 168, 160), (186, 181, 172), height - kerb)
    canvas[kerb : kerb + max(height // 90, 1)] = (146, 142, 136)
    middle = round(0.5 * width)
    for lane in range(-14, 15):
        lower = (middle + round(lane * 0.16 * width), height)
        upper = (middle + round(lane * 0.075 * width), kerb)
        cv2.line(canvas, upper, lower, (164, 160, 152), 1, cv2.LINE_AA)
    for depth in (0.77, 0.83, 0.91):
        y = round(depth * height)
        cv2.line(canvas, (0, y), (width, y), (164, 160, 152), 1, cv2.LINE_AA)
    blotches = cv2.resize(rng.normal(0, 1, (9, 16)), (width, height), interpolation=cv2.INTER_CUBIC)
    lit = canvas[far:] * (1 + 0.018 * blotches[far:, :, None])
    canvas[far:] = np.clip(lit, 0, 255).astype(np.uint8)


def _lamp(canvas: Pixels, x: int) -> None:
    height = canvas.shape[0]
    top, foot = round(0.12 * height), round(_KERB * height) + height // 60
    iron, thick = (92, 94, 98), max(height // 110, 1)
    cv2.line(canvas, (x, top), (x, foot), iron, thick, cv2.LINE_AA)
    cv2.line(canvas, (x, top), (x + height // 14, top), iron, thick, cv2.LINE_AA)
    cv2.ellipse(canvas, (x + height // 14, top + 3), (height // 40, height // 90), 0, 0, 360,
                (236, 230, 205), -1, cv2.LINE_AA)  # fmt: skip


def _gradient(top: tuple[int, int, int], bottom: tuple[int, int, int], rows: int) -> Pixels:
    mix = np.linspace(0, 1, rows)[:, None]
    colors = (1 - mix) * np.array(top) + mix * np.array(bottom)
    return np.asarray(colors[:, None, :], np.uint8)
