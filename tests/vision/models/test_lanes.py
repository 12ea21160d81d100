"""Drawn roads whose markings are known, and pictures that show no road."""

import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cli.street import street
from contracts.models import resolve_model
from tests.vision.models.graphs import a_batch
from vision.frames import Pixels
from vision.models.base import Task, VisionModel
from vision.models.load import load_model

HIGHWAY = Path(__file__).resolve().parents[4] / "shared" / "data" / "videos" / "highway.mp4"
WHITE, YELLOW = (235, 235, 230), (225, 170, 40)


@pytest.fixture(scope="module")
def lanes() -> VisionModel:
    return load_model(resolve_model("builtin:lanes"))


def class_map(lanes: VisionModel, pixels: Pixels) -> NDArray[np.uint8]:
    (prediction,) = lanes.predict(a_batch(pixels[None]))
    assert prediction.detections == ()
    assert prediction.class_map is not None
    return prediction.class_map


def a_road(
    size: tuple[int, int] = (1280, 720),
    *,
    horizon: float = 0.55,
    vanishing_x: float = 0.5,
    asphalt: int = 80,
    noise: float = 4.0,
) -> tuple[Pixels, NDArray[np.bool_]]:
    """A road with a yellow line, a dashed white one and a white one, and where they are."""
    width, height = size
    top, middle = horizon * height, vanishing_x * width
    picture = np.empty((height, width, 3), np.float32)
    picture[: int(top)], picture[int(top) :] = (150, 180, 220), asphalt
    truth = np.zeros((height, width), np.uint8)
    for place, color, dashed in ((-0.35, YELLOW, False), (0.3, WHITE, True), (0.8, WHITE, False)):
        line = np.zeros((height, width), np.uint8)
        for y in range(int(top) + 2, height):
            below = y - top
            # Dashes are even on the road, where distance is one over rows below the horizon.
            if dashed and int(2 * height / (below + 5)) % 2:
                continue
            center, half = middle + place * below * 16 / 9, 0.05 * below + 0.5
            line[y, max(0, round(center - half)) : max(0, round(center + half))] = 1
        picture[line > 0] = color
        truth |= line
    picture += np.random.default_rng(0).normal(0, noise, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), truth > 0


def agreement(found: NDArray[np.uint8], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision to within three pixels, and recall of what lies near enough to be thick."""
    grown = cv2.dilate(truth.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    near = truth.copy()
    near[: int(0.7 * len(near))] = False
    marked = found == 1
    return float(grown[marked].mean()), float(marked[near].mean())


@pytest.mark.parametrize(
    "road",
    [
        {},
        {"horizon": 0.4, "vanishing_x": 0.35},
        {"asphalt": 150},
        {"asphalt": 40, "noise": 10.0},
        {"size": (640, 360)},
        {"size": (1920, 1200), "horizon": 0.6},
        {"size": (720, 1280), "horizon": 0.5},
    ],
    ids=str,
)
def test_painted_lines_are_found_and_little_else(lanes: VisionModel, road: dict) -> None:  # type: ignore[type-arg]
    pixels, truth = a_road(**road)
    found = class_map(lanes, pixels)
    assert found.shape == truth.shape
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 1}
    precision, recall = agreement(found, truth)
    assert precision > 0.9
    assert recall > 0.75


def test_it_says_what_it_is(lanes: VisionModel) -> None:
    assert lanes.task is Task.SEMANTIC_SEGMENTATION
    assert (lanes.engine.name, lanes.engine.provider) == ("opencv", "cpu")
    assert lanes.identity == resolve_model("builtin:lanes")


def test_the_same_picture_gives_the_same_map(lanes: VisionModel) -> None:
    pixels, _ = a_road()
    assert (class_map(lanes, pixels) == class_map(lanes, pixels)).all()


def test_a_street_without_lines_shows_none(lanes: VisionModel) -> None:
    assert not class_map(lanes, next(street(seed=1))[0]).any()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_shows_no_line(lanes: VisionModel, value: int) -> None:
    assert not class_map(lanes, np.full((360, 640, 3), value, np.uint8)).any()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 3))
def test_any_size_and_content_gives_a_map_of_its_size(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = class_map(load_model(resolve_model("builtin:lanes")), pixels)
    assert found.shape == (height, width)
    assert found.max() <= 1


def test_noise_takes_no_longer_than_a_road_by_much(lanes: VisionModel) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    class_map(lanes, noise)
    started_s = time.process_time()
    class_map(lanes, noise)
    assert time.process_time() - started_s < 10


@pytest.mark.shared_data
@pytest.mark.skipif(not HIGHWAY.is_file(), reason="no real videos beside the checkout")
def test_the_yellow_line_of_the_highway_is_found_in_every_frame(lanes: VisionModel) -> None:
    with av.open(str(HIGHWAY)) as video:
        for frame in video.decode(video=0):
            pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            found = class_map(lanes, pixels) == 1
            red, green, blue = (pixels[..., i].astype(int) for i in range(3))
            yellow = (red > 160) & (green > 110) & (red - blue > 90)
            yellow[:500] = yellow[:, 700:] = False
            assert found[yellow].mean() > 0.7
            assert 0.002 < found.mean() < 0.03
            assert not found[:400].any()
