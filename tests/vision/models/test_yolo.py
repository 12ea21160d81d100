"""YOLO exports, each worked by hand on a canvas of 100 × 50."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.models.graphs import a_placed
from vision.frames import letterbox, stretch
from vision.masks import decode_mask
from vision.models.bundle import BundleError
from vision.models.decoders.base import Candidates
from vision.models.decoders.yolo import (
    decode_yolo_end_to_end,
    decode_yolov5,
    decode_yolov8,
    yolov5_classes,
    yolov8_classes,
)
from vision.models.detections import detections_from
from vision.models.spec import BoxUnits, DecoderSpec

CANVAS = (100, 50)
SPEC = DecoderSpec("yolov8", 0.25, 0.45)
PLACE = [30.0, 20.0, 20.0, 10.0]
"""Centre and size of the box (20, 15, 40, 25)."""


def only(found: Candidates) -> tuple[list[float], float, int]:
    ((box,), (score,), (class_id,)) = found.boxes.tolist(), found.scores, found.class_ids
    return box, float(score), int(class_id)


def test_yolov5_multiplies_objectness_and_class() -> None:
    rows = np.array([[*PLACE, 0.5, 0.2, 0.8], [*PLACE, 0.3, 0.2, 0.8]], np.float32)
    box, score, class_id = only(decode_yolov5({"output0": rows}, SPEC, CANVAS))
    assert box == [20, 15, 40, 25]
    assert score == pytest.approx(0.4)
    assert class_id == 1


def test_yolov8_has_a_column_for_each_box_and_no_objectness() -> None:
    rows = np.array([[*PLACE, 0.7, 0.1], [*PLACE, 0.2, 0.1]], np.float32)
    box, score, class_id = only(decode_yolov8({"output0": rows.T}, SPEC, CANVAS))
    assert box == [20, 15, 40, 25]
    assert score == pytest.approx(0.7)
    assert class_id == 0


def test_end_to_end_exports_have_corners_score_and_class() -> None:
    rows = np.array([[20, 15, 40, 25, 0.6, 3], [0, 0, 0, 0, 0, 0]], np.float32)
    box, score, class_id = only(decode_yolo_end_to_end({"output0": rows}, SPEC, CANVAS))
    assert box == [20, 15, 40, 25]
    assert score == pytest.approx(0.6)
    assert class_id == 3


def test_places_may_be_fractions_of_the_canvas() -> None:
    rows = np.array([[0.3, 0.4, 0.2, 0.2, 0.7]], np.float32)
    spec = DecoderSpec("yolov8", 0.25, 0.45, box_units=BoxUnits.FRACTIONS)
    box, _, _ = only(decode_yolov8({"output0": rows.T}, spec, CANVAS))
    assert box == pytest.approx([20, 15, 40, 25], abs=1e-4)


def test_half_precision_is_read_as_well() -> None:
    rows = np.array([[*PLACE, 0.75]], np.float16)
    box, score, _ = only(decode_yolov8({"output0": rows.T}, SPEC, CANVAS))
    assert (box, score) == ([20, 15, 40, 25], 0.75)


def prototypes() -> NDArray[np.float32]:
    """Over the canvas at a tenth: the first is 1 in the left half, the second everywhere."""
    planes = np.zeros((2, 5, 10), np.float32)
    planes[0, :, :5] = 1.0
    planes[1] = 1.0
    return planes


@pytest.mark.parametrize("form", ["yolov5", "yolov8", "end_to_end"])
def test_a_mask_is_the_sum_of_prototypes_cut_to_the_box(form: str) -> None:
    # Left half +1, right half -1: the border lies in the middle of the canvas, at x = 50.
    coefficients = [2.0, -1.0]
    place = [50.0, 20.0, 40.0, 20.0]
    if form == "yolov5":
        outputs = {"output0": np.array([[*place, 1.0, 0.9, *coefficients]], np.float32)}
        decode = decode_yolov5
    elif form == "yolov8":
        outputs = {"output0": np.array([[*place, 0.9, *coefficients]], np.float32).T}
        decode = decode_yolov8
    else:
        outputs = {"output0": np.array([[30, 10, 70, 30, 0.9, 0, *coefficients]], np.float32)}
        decode = decode_yolo_end_to_end
    found = decode({**outputs, "output1": prototypes()}, SPEC, CANVAS)
    (detection,) = detections_from(found, SPEC, ("car",), stretch((200, 100), CANVAS))
    assert detection.mask is not None
    expected = np.zeros((100, 200), bool)
    expected[20:60, 60:100] = True
    assert (decode_mask(detection.mask) == expected).all()


def test_masks_of_a_letterboxed_picture_leave_the_padding_out() -> None:
    outputs = {
        "output0": np.array([[50, 25, 100, 50, 0.9, 2.0, -1.0]], np.float32).T,
        "output1": prototypes(),
    }
    placement = letterbox((100, 100), CANVAS)
    assert placement.inner == (25, 0, 50, 50)
    found = decode_yolov8(outputs, SPEC, CANVAS)
    (detection,) = detections_from(found, SPEC, ("car",), placement)
    assert list(detection.box) == [0, 0, 100, 100]
    assert detection.mask is not None
    # The border lies in the middle of the canvas, and so of the picture.
    bitmap = decode_mask(detection.mask)
    assert bitmap[:, :50].all()
    assert not bitmap[:, 50:].any()


def test_the_shapes_tell_how_many_classes_there_are() -> None:
    assert yolov5_classes({"output0": (25200, 85)}) == 80
    assert yolov8_classes({"output0": (84, 8400)}) == 80
    assert yolov8_classes({"output0": (116, 8400), "output1": (32, 160, 160)}) == 80
    assert yolov5_classes({"output0": (25200, 117), "output1": (32, 160, 160)}) == 80
    assert yolov8_classes({"output0": (None, 8400)}) is None
    assert yolov8_classes({"output0": (116, 8400), "output1": (None, 160, 160)}) is None


def test_a_box_without_class_scores_is_refused() -> None:
    with pytest.raises(BundleError, match=r"no class scores: a box needs 4 \+ classes values"):
        decode_yolov8({"output0": np.zeros((4, 3), np.float32)}, SPEC, CANVAS)


def test_coefficients_that_do_not_fit_the_prototypes_are_refused() -> None:
    outputs = {"output0": np.full((1, 9), 0.5, np.float32), "output1": prototypes()}
    with pytest.raises(BundleError, match="3 mask coefficients, but output1 has 2 prototypes"):
        decode_yolo_end_to_end(outputs, SPEC, CANVAS)


def test_boxes_of_one_object_become_one_detection() -> None:
    rows = np.array([[*PLACE, 0.7], [31, 20, 20, 10, 0.9], [80, 20, 20, 10, 0.5]], np.float32)
    found = decode_yolov8({"output0": rows.T}, SPEC, CANVAS)
    detections = detections_from(found, SPEC, ("car",), a_placed(CANVAS))
    assert [round(detection.score, 2) for detection in detections] == [0.9, 0.5]
