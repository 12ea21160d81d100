import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.street import street
from cli.truth import iou
from contracts.messages import Model
from contracts.models import resolve_model
from tests.vision.models.graphs import a_batch
from vision.frames import Pixels, stretch
from vision.models.base import VisionModel
from vision.models.load import load_model


@pytest.fixture(scope="module")
def people() -> VisionModel:
    return load_model(resolve_model("builtin:people"))


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return next(street(seed=1))[0]


def test_a_box_sits_on_each_figure(people: VisionModel) -> None:
    pixels, truth = next(street(seed=1))
    (prediction,) = people.predict(a_batch(pixels[None]))
    boxes = [detection.box for detection in prediction.detections]
    assert len(boxes) == len(truth.figures) == 4
    assert all(max(iou(figure.box, box) for box in boxes) > 0.5 for figure in truth.figures)
    for detection in prediction.detections:
        assert (detection.class_id, detection.class_name) == (0, "person")
        assert 0.5 < detection.score <= 1.0


def test_the_highest_score_comes_first(people: VisionModel, picture: Pixels) -> None:
    (prediction,) = people.predict(a_batch(picture[None]))
    scores = [detection.score for detection in prediction.detections]
    assert scores == sorted(scores, reverse=True)


def test_a_large_picture_gives_boxes_in_its_own_pixels(
    people: VisionModel, picture: Pixels
) -> None:
    large = np.repeat(np.repeat(picture, 4, axis=0), 4, axis=1)
    (small_found,) = people.predict(a_batch(picture[None]))
    (large_found,) = people.predict(a_batch(large[None]))
    quarters = [tuple(side / 4 for side in detection.box) for detection in large_found.detections]
    for detection in small_found.detections:
        assert max(iou(detection.box, (a, b, c, d)) for a, b, c, d in quarters) > 0.6


def test_boxes_come_in_source_pixels_when_the_canvas_is_another(
    people: VisionModel, picture: Pixels
) -> None:
    height, width = picture.shape[:2]
    (plain,) = people.predict(a_batch(picture[None]))
    placement = stretch((width * 2, height), (width, height))
    (wide,) = people.predict(a_batch(picture[None], placement))
    x_min, y_min, x_max, y_max = plain.detections[0].box
    assert wide.detections[0].box == pytest.approx((x_min * 2, y_min, x_max * 2, y_max))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 140), st.integers(1, 260), st.integers(0, 255))
def test_no_size_of_picture_is_too_odd(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    model = load_model(resolve_model("builtin:people"))
    (prediction,) = model.predict(a_batch(pixels))
    if width < 64 or height < 128:
        assert prediction.detections == ()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (63, 128), (64, 127), (9000, 128)])
def test_a_picture_smaller_than_the_window_holds_nobody(
    people: VisionModel, size: tuple[int, int]
) -> None:
    pixels = np.full((1, size[1], size[0], 3), 128, np.uint8)
    assert people.predict(a_batch(pixels))[0].detections == ()


def test_an_empty_street_holds_nobody(people: VisionModel) -> None:
    blurred = cv2.GaussianBlur(np.full((540, 960, 3), 150, np.uint8), (0, 0), 3)
    assert people.predict(a_batch(np.asarray(blurred, np.uint8)[None]))[0].detections == ()


def test_another_version_of_a_builtin_model_is_refused() -> None:
    with pytest.raises(ValueError, match="this version has digest"):
        load_model(Model("builtin:people", "0" * 64))


def test_naming_a_model_imports_no_engine() -> None:
    program = (
        "import sys, vision.models.load; "
        "print([name for name in ('cv2', 'onnxruntime', 'pycocotools') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
