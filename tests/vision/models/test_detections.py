import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.frames import letterbox, stretch
from vision.models.bundle import BundleError
from vision.models.decoders.base import Candidates
from vision.models.decoders.boxes import decode_fastestdet
from vision.models.detections import detections_from
from vision.models.nms import non_maximum_suppression
from vision.models.spec import DecoderSpec

SPEC = DecoderSpec("boxes_labels_scores", 0.25)
SQUARE = stretch((100, 100), (100, 100))


def candidates(*rows: tuple[float, float, float, float, float]) -> Candidates:
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Candidates(table[:, :4], table[:, 4], np.zeros(len(table), np.int64))


def test_suppression_as_worked_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [5, 0, 15, 10], [20, 0, 30, 10]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.6])
    classes = np.zeros(4, np.int64)
    # IoU of 0 and 1 is 50/100; of 0 and 2 it is 50/150; of 1 and 2 it is 25/125.
    assert non_maximum_suppression(boxes, scores, classes, iou=0.5).tolist() == [1, 0, 2, 3]
    assert non_maximum_suppression(boxes, scores, classes, iou=0.49).tolist() == [1, 2, 3]
    assert non_maximum_suppression(boxes, scores, classes, iou=0.19).tolist() == [1, 3]


def test_a_box_mostly_inside_a_better_one_can_be_suppressed() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 4, 4]], float)
    scores, classes = np.array([0.9, 0.8]), np.zeros(2, np.int64)
    assert non_maximum_suppression(boxes, scores, classes, iou=0.3).tolist() == [0, 1]
    kept = non_maximum_suppression(boxes, scores, classes, iou=0.3, containment=0.6)
    assert kept.tolist() == [0]


def test_classes_do_not_suppress_one_another() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 2, float)
    kept = non_maximum_suppression(boxes, np.array([0.5, 0.9]), np.array([0, 1]), iou=0.1)
    assert kept.tolist() == [1, 0]


@pytest.mark.parametrize(
    "row",
    [
        (np.nan, 0, 10, 10, 0.9),
        (0, 0, np.inf, 10, 0.9),
        (0, 0, 10, 10, np.nan),
        (0, 0, 10, 10, np.inf),
        (10, 0, 5, 10, 0.9),
        (0, 10, 5, 10, 0.9),
        (110, 0, 120, 10, 0.9),
        (-20, -20, -5, 10, 0.9),
        (0, 0, 10, 10, 0.24),
    ],
)
def test_a_box_that_cannot_be_is_dropped(row: tuple[float, float, float, float, float]) -> None:
    good = (20.0, 20.0, 40.0, 40.0, 0.5)
    found = detections_from(candidates(row, good), SPEC, ("car",), SQUARE)
    assert [detection.box for detection in found] == [(20, 20, 40, 40)]


def test_a_box_beyond_the_edge_is_cut_there() -> None:
    found = detections_from(candidates((-5, 90, 20, 1e9, 0.9)), SPEC, ("car",), SQUARE)
    assert found[0].box == (0, 90, 20, 100)


def test_the_best_come_first_and_no_more_than_asked_for() -> None:
    rows = [(i * 10.0, 0.0, i * 10.0 + 5, 5.0, score) for i, score in enumerate((0.3, 0.9, 0.6))]
    spec = DecoderSpec("boxes_labels_scores", 0.25, max_detections=2)
    found = detections_from(candidates(*rows), spec, ("car",), SQUARE)
    assert [detection.score for detection in found] == [0.9, 0.6]


@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=32)] * 5), max_size=12
    ),
    st.booleans(),
)
def test_whatever_a_graph_gives_boxes_lie_in_the_picture_and_scores_descend(
    rows: list[tuple[float, float, float, float, float]], boxed: bool
) -> None:
    placement = (letterbox if boxed else stretch)((64, 20), (32, 32))
    spec = DecoderSpec("boxes_labels_scores", 0.0, 0.5)
    found = detections_from(candidates(*rows), spec, ("car",), placement)
    for detection in found:
        x_min, y_min, x_max, y_max = detection.box
        assert 0 <= x_min <= x_max <= 64
        assert 0 <= y_min <= y_max <= 20
    scores = [detection.score for detection in found]
    assert scores == sorted(scores, reverse=True)


def test_shapes_that_do_not_go_together_are_named() -> None:
    with pytest.raises(BundleError, match=r"\(N, 4\), \(N,\), \(N,\); got \(\(2, 4\), \(3,\)"):
        Candidates(np.zeros((2, 4)), np.zeros(3), np.zeros(2, np.int64))


def test_fastestdet_as_worked_by_hand() -> None:
    grid = np.full((7, 2, 4), -50.0)
    grid[0], grid[5:] = 0.0, 0.0
    grid[:, 1, 2] = [0.5, 0.0, np.arctanh(0.5), 0.0, np.log(1 / 3), 0.2, 0.8]
    found = decode_fastestdet({"output": grid}, DecoderSpec("fastestdet", 0.5), (80, 40))
    # Centre ((2 + 0) / 4, (1 + 0.5) / 2) of 80 × 40, size (1/2, 1/4) of it.
    assert found.boxes.tolist() == [pytest.approx([40 - 20, 30 - 5, 40 + 20, 30 + 5])]
    assert found.scores == pytest.approx([0.5**0.6 * 0.8**0.4])
    assert found.class_ids.tolist() == [1]
