"""A walking figure: where its limbs are at a moment of its gait, and how it is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.frames import Pixels

Color = tuple[int, int, int]
Point = tuple[float, float]

STRIDE = 0.82
"""Length of a gait cycle, two steps, as a part of the body's height."""

_SUBPIXEL_BITS = 4
_ONE = 1 << _SUBPIXEL_BITS


@dataclass(frozen=True, slots=True)
class Clothes:
    """Colours (RGB) of one figure."""

    skin: Color
    hair: Color
    top: Color
    trousers: Color
    shoes: Color


@dataclass(frozen=True, slots=True)
class Pose:
    """
    A figure at one moment.

    Attributes:
        foot: The point on the ground below the body, in pixels.
        height: From ground to crown, in pixels.
        phase: Of the gait, in turns.
        turn: 1 walks to the right, -1 to the left, 0 towards the viewer.
    """

    foot: Point
    height: float
    phase: float
    turn: int


Part = tuple[Color, NDArray[np.int32]]
"""A colour and the outline of a convex body part, in sixteenths of a pixel."""


def parts(pose: Pose, clothes: Clothes) -> Iterator[Part]:
    """The body's parts, the farthest first."""
    swing = float(np.sin(2 * np.pi * pose.phase))
    bob = 0.012 * float(np.cos(4 * np.pi * pose.phase))
    body = _Body(pose, bob)
    shoulder = 0.075 if pose.turn else 0.1
    dark = _shaded(clothes.top, 0.78)
    yield from _arm(body, -shoulder, swing, dark, clothes.skin, far=True)
    yield from _leg(body, -1, swing, _shaded(clothes.trousers, 0.8), clothes.shoes)
    yield from _leg(body, 1, -swing, clothes.trousers, clothes.shoes)
    yield (
        clothes.top,
        body.hull(
            [
                (-shoulder, 0.195, 0.04),
                (shoulder, 0.195, 0.04),
                (-0.06, 0.5, 0.045),
                (0.06, 0.5, 0.045),
            ]
        ),
    )
    yield _shaded(clothes.top, 1.13), body.hull([(0.02, 0.22, 0.03), (0.03, 0.44, 0.025)])
    yield from _arm(body, shoulder, -swing, clothes.top, clothes.skin, far=False)
    yield clothes.skin, body.hull([(0.0, 0.15, 0.03), (0.005, 0.1, 0.03)])
    yield clothes.hair, body.hull([(-0.006, 0.062, 0.058)])
    face = 0.012 if pose.turn else 0.0
    yield clothes.skin, body.hull([(face, 0.08, 0.045), (face, 0.1, 0.038)])


def draw(canvas: Pixels, outlines: list[Part]) -> None:
    """Draw parts on RGB pixels, with smooth edges."""
    for color, outline in outlines:
        cv2.fillConvexPoly(canvas, outline, color, cv2.LINE_AA, _SUBPIXEL_BITS)


def silhouette(outlines: list[Part], size: tuple[int, int], origin: Point) -> NDArray[np.uint8]:
    """1 where a part covers a pixel of a picture of this size whose corner is at `origin`."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    offset = np.round(np.array(origin) * _ONE).astype(np.int32)
    for _, outline in outlines:
        cv2.fillConvexPoly(mask, outline - offset, 1, cv2.LINE_8, _SUBPIXEL_BITS)
    return mask


class _Body:
    """Body coordinates: x forwards from the axis, y down from the crown, in body heights."""

    def __init__(self, pose: Pose, bob: float) -> None:
        self.pose = pose
        self._direction = pose.turn or 1
        self._top = pose.foot[1] - pose.height * (1.0 + bob)

    def hull(self, circles: list[tuple[float, float, float]]) -> NDArray[np.int32]:
        """The outline around circles `(x, y, radius)`."""
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points = np.concatenate([np.array([x, y]) + radius * rim for x, y, radius in circles])
        points *= self.pose.height
        points[:, 0] = self.pose.foot[0] + self._direction * points[:, 0]
        points[:, 1] = np.minimum(self._top + points[:, 1], self.pose.foot[1])
        fixed = np.round(points * _ONE).astype(np.int32)
        return cv2.convexHull(fixed).reshape(-1, 2).astype(np.int32)


def _leg(body: _Body, side: int, swing: float, trousers: Color, shoes: Color) -> Iterator[Part]:
    if body.pose.turn:
        hip_x, reach = 0.0, swing * 0.36
        lift = max(0.0, float(np.cos(2 * np.pi * body.pose.phase)) * -side)
    else:
        hip_x, reach = 0.045 * side, 0.0
        lift = max(0.0, swing)
    knee_x = hip_x + reach * 0.26 + (0.05 * lift if body.pose.turn else 0.012 * side)
    ankle_x = hip_x + reach * 0.55 - (0.06 * lift if body.pose.turn else 0.0)
    knee = (knee_x, 0.73 - 0.015 * lift)
    ankle = (ankle_x, 0.945 - 0.05 * lift)
    toe = 0.065 if body.pose.turn else 0.004
    yield (
        shoes,
        body.hull([(ankle[0], ankle[1] + 0.03, 0.022), (ankle[0] + toe, ankle[1] + 0.036, 0.018)]),
    )
    yield trousers, body.hull([(*knee, 0.041), (*ankle, 0.029)])
    yield trousers, body.hull([(hip_x, 0.5, 0.062), (*knee, 0.044)])


def _arm(
    body: _Body, shoulder_x: float, swing: float, sleeve: Color, skin: Color, *, far: bool
) -> Iterator[Part]:
    if body.pose.turn:
        aside = -0.02 if far else 0.02
        elbow = (shoulder_x + swing * 0.06 + aside, 0.35)
        hand = (shoulder_x + swing * 0.12 + 2 * aside + 0.02, 0.475)
    else:
        side = -1 if far else 1
        shoulder_x = 0.115 * side
        elbow = (0.15 * side, 0.35)
        hand = (0.15 * side, 0.475 + 0.02 * swing)
    yield skin, body.hull([(*hand, 0.024)])
    yield sleeve, body.hull([(*elbow, 0.03), (hand[0], hand[1] - 0.02, 0.023)])
    yield sleeve, body.hull([(shoulder_x, 0.205, 0.036), (*elbow, 0.031)])


def _shaded(color: Color, factor: float) -> Color:
    red, green, blue = (min(255, int(channel * factor)) for channel in color)
    return red, green, blue
