"""The demo's street: a drawn clip of walking people in which everybody's place is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cli.figures import STRIDE, Clothes, Color, Part, Pose, draw, parts, silhouette
from cli.scenery import GROUND_PER_HEIGHT, HORIZON, Car, draw_car, draw_shadow, scenery
from cli.truth import TrueFigure, TrueFrame, write_truth
from vision.encode import VideoWriter
from vision.frames import Pixels

FRAME_RATE = 25
SIZE = (960, 540)
DURATION_S = 8.0

_SKIN: tuple[Color, ...] = ((232, 190, 160), (198, 142, 106), (141, 92, 62), (96, 63, 44))
_HAIR: tuple[Color, ...] = ((40, 30, 25), (90, 60, 35), (25, 25, 28), (150, 120, 80))
_TOPS: tuple[Color, ...] = (
    (150, 38, 42), (32, 62, 120), (40, 92, 60), (62, 58, 66), (120, 60, 110), (26, 92, 110),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = ((34, 40, 62), (46, 42, 40), (28, 28, 32), (62, 56, 46))
_SHOES: tuple[Color, ...] = ((28, 24, 24), (60, 36, 26), (20, 20, 26))


@dataclass(frozen=True, slots=True)
class Walker:
    """
    One person's way through the clip, along a line of the street.

    Attributes:
        start: Where the feet are at time 0, in parts of the picture's width and height.
        velocity: Of the feet, in body heights a second along the picture's x axis; for somebody who
            comes towards the viewer, in parts of the picture's height a second downwards.
    """

    start: tuple[float, float]
    velocity: float
    turn: int
    phase: float
    clothes: Clothes

    def pose(self, time_s: float, size: tuple[int, int]) -> Pose:
        """Where the walker is and how the limbs stand."""
        width, height = size
        x, y = self.start[0] * width, self.start[1] * height
        if self.turn == 0:
            y += self.velocity * time_s * height
        tall = (y - HORIZON * height) * GROUND_PER_HEIGHT
        walked = abs(self.velocity) * time_s if self.turn else 0.75 * time_s
        if self.turn:
            x += self.velocity * time_s * tall
        return Pose((x, y), tall, self.phase + walked / STRIDE, self.turn)


def walkers(seed: int, duration_s: float) -> list[Walker]:
    """People on two lines of the street, and one who comes nearer; the farthest first."""
    rng = np.random.default_rng(seed)
    people = [_Line(0.80, -1, 4.6), _Line(0.94, 1, 4.2)]
    found = [walker for line in people for walker in line.walkers(rng, duration_s)]
    found.append(Walker((float(rng.uniform(0.44, 0.56)), 0.86), 0.008, 0, 0.0, _clothes(rng)))
    return sorted(found, key=lambda walker: walker.start[1])


@dataclass(frozen=True, slots=True)
class _Line:
    """A line across the street: its depth, its direction, and seconds between two people."""

    depth: float
    turn: int
    spacing_s: float

    def walkers(self, rng: np.random.Generator, duration_s: float) -> Iterator[Walker]:
        tall = (self.depth - HORIZON) * GROUND_PER_HEIGHT * SIZE[1] / SIZE[0]
        speed = float(rng.uniform(0.68, 0.8))
        time_s = float(-rng.uniform(0.55, 0.9) / (speed * tall))
        while time_s < duration_s - 1.0:
            edge = -0.06 if self.turn > 0 else 1.06
            start = edge - self.turn * speed * tall * time_s
            yield Walker(
                (start, self.depth + float(rng.uniform(-0.006, 0.006))),
                self.turn * speed,
                self.turn,
                float(rng.uniform()),
                _clothes(rng),
            )
            time_s += self.spacing_s * float(rng.uniform(0.9, 1.25))


def street(
    *, seed: int = 1, duration_s: float = DURATION_S, size: tuple[int, int] = SIZE
) -> Iterator[tuple[Pixels, TrueFrame]]:
    """
    The clip's frames and their truth; the same seed gives the same pixels.

    Yields:
        uint8 RGB pixels, shape (H, W, 3), and who is where in them.
    """
    background = scenery(seed, size)
    people = walkers(seed, duration_s)
    car = Car(seed)
    for index in range(round(duration_s * FRAME_RATE)):
        time_s = index / FRAME_RATE
        canvas = background.copy()
        draw_car(canvas, car, time_s)
        bodies = [
            list(parts(pose, walker.clothes)) for walker, pose in _posed(people, time_s, size)
        ]
        for (_, pose), outlines in zip(_posed(people, time_s, size), bodies, strict=True):
            draw_shadow(canvas, pose.foot, pose.height)
            draw(canvas, outlines)
        yield canvas, TrueFrame(index, time_s, _truth(bodies, size))


def write_street_clip(
    target: Path,
    truth_target: Path,
    *,
    seed: int = 1,
    duration_s: float = DURATION_S,
    size: tuple[int, int] = SIZE,
) -> None:
    """Write the clip as H.264 MP4 and its truth as JSON lines, see `cli.truth`."""
    truth: list[TrueFrame] = []
    with VideoWriter(target, size, preset="superfast") as video:
        for pixels, frame in street(seed=seed, duration_s=duration_s, size=size):
            video.write(pixels, frame.time_s)
            truth.append(frame)
    write_truth(truth, truth_target)


def _posed(people: list[Walker], time_s: float, size: tuple[int, int]) -> list[tuple[Walker, Pose]]:
    return [(walker, walker.pose(time_s, size)) for walker in people]


def _truth(bodies: list[list[Part]], size: tuple[int, int]) -> tuple[TrueFigure, ...]:
    width, height = size
    owner = np.full((height, width), -1, np.int16)
    drawn: list[tuple[int, int, tuple[float, float, float, float]]] = []
    for number, outlines in enumerate(bodies):
        points = np.concatenate([outline for _, outline in outlines]) / 16
        left, top = np.floor(points.min(axis=0)).astype(int) - 1
        right, bottom = np.ceil(points.max(axis=0)).astype(int) + 2
        mask = silhouette(outlines, (right - left, bottom - top), (left, top))
        inside = mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
        if not inside.any():
            continue
        x, y = max(left, 0), max(top, 0)
        owner[y : y + inside.shape[0], x : x + inside.shape[1]][inside > 0] = number
        drawn.append((number, int(mask.sum()), _extent(inside, x, y)))
    return tuple(
        TrueFigure(number, box, round(int((owner == number).sum()) / area, 4))
        for number, area, box in drawn
    )


def _extent(mask: NDArray[np.uint8], x: int, y: int) -> tuple[float, float, float, float]:
    left, top, width, height = cv2.boundingRect(mask)
    return float(x + left), float(y + top), float(x + left + width), float(y + top + height)


def _clothes(rng: np.random.Generator) -> Clothes:
    def one_of(colors: tuple[Color, ...]) -> Color:
        return colors[int(rng.integers(len(colors)))]

    return Clothes(one_of(_SKIN), one_of(_HAIR), one_of(_TOPS), one_of(_TROUSERS), one_of(_SHOES))
