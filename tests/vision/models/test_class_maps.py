from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vision.models.graphs import CANVAS, a_bundle, a_spec, constant_graph, grey
from vision.frames import letterbox, stretch
from vision.models.base import Task
from vision.models.bundle import BundleError
from vision.models.class_maps import source_class_map
from vision.models.load import load_bundle
from vision.models.spec import DecoderSpec

ROAD, CAR, SKY = 0, 1, 2


def test_the_highest_score_wins_between_cells_too() -> None:
    # One row of two cells, enlarged to eight pixels: scores run from (3, 0) to (0, 1) between the
    # cells' centres at 1.5 and 5.5, and meet where 3 - 3t = t, t = 3/4: at pixel 4.5.
    scores = np.array([[[3.0, 0.0]], [[0.0, 1.0]]], np.float32)
    found = source_class_map(scores, 2, stretch((8, 1), (2, 1)))
    assert found.tolist() == [[0, 0, 0, 0, 0, 1, 1, 1]]
    assert found.dtype == np.uint8


@pytest.mark.parametrize("grid", [(8, 8), (4, 4), (3, 3)])
def test_the_padding_of_a_letterbox_is_cut_away(grid: tuple[int, int]) -> None:
    # The picture fills the middle half of the canvas; above and below, the graph sees sky.
    scores = np.zeros((3, *grid), np.float32)
    scores[SKY] = 1
    quarter = grid[0] / 4
    rows = np.arange(grid[0]) + 0.5
    scores[CAR, (rows > quarter) & (rows < 3 * quarter)] = 2
    placement = letterbox((16, 8), (8, 8))
    assert placement.inner == (0, 2, 8, 4)
    found = source_class_map(scores, 3, placement)
    assert found.shape == (8, 16)
    assert (found[2:6] == CAR).all()
    if grid[0] % 4 == 0:
        assert (found == CAR).all()


def test_ids_are_enlarged_without_new_classes() -> None:
    ids = np.array([[0, 2], [1, 0]], np.int64)
    found = source_class_map(ids, 3, stretch((4, 4), (2, 2)))
    assert found.tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_ids_of_a_letterbox_are_cut_to_the_picture() -> None:
    ids = np.full((8, 8), SKY, np.int64)
    ids[2:6, :4], ids[2:6, 4:] = ROAD, CAR
    found = source_class_map(ids, 3, letterbox((16, 8), (8, 8)))
    assert (found[:, :8] == ROAD).all()
    assert (found[:, 8:] == CAR).all()


@given(
    st.integers(1, 5),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.booleans(),
)
def test_one_class_everywhere_stays_everywhere(
    class_id: int, grid: tuple[int, int], source: tuple[int, int], boxed: bool
) -> None:
    placement = (letterbox if boxed else stretch)(source, (16, 12))
    scores = np.zeros((6, *grid), np.float32)
    scores[class_id] = 1
    assert (source_class_map(scores, 6, placement) == class_id).all()
    assert (source_class_map(scores.argmax(axis=0), 6, placement) == class_id).all()


def test_scores_that_are_no_numbers_are_refused() -> None:
    scores = np.zeros((2, 2, 2), np.float16)
    scores[1, 0, 0] = np.nan
    with pytest.raises(BundleError, match="1 of 8 class scores are no numbers"):
        source_class_map(scores, 2, stretch((4, 4), (2, 2)))


def test_infinite_scores_win_or_lose() -> None:
    scores = np.array([[[np.inf, 0]], [[0, -np.inf]]], np.float32)
    assert (source_class_map(scores, 2, stretch((2, 1), (2, 1))) == 0).all()


@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_an_id_without_a_label_is_refused(wrong: int) -> None:
    ids = np.array([[0, wrong]], np.int64)
    with pytest.raises(BundleError, match=f"found class {wrong}, but model.json names 3 labels"):
        source_class_map(ids, 3, stretch((2, 1), (2, 1)))


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("name", ["class_logits", "class_ids"])
def test_a_segmentation_bundle_gives_a_class_map(tmp_path: Path, name: str, batched: bool) -> None:
    ids = np.zeros((CANVAS[1], CANVAS[0]), np.int64)
    ids[:, 4:] = CAR
    logits = np.stack([ids == k for k in range(3)]).astype(np.float32)
    role, value = ("logits", logits) if name == "class_logits" else ("class_ids", ids)
    graph = constant_graph({role: value[None] if batched else value})
    spec = a_spec(DecoderSpec(name, 0.5), task=Task.SEMANTIC_SEGMENTATION)
    (prediction,) = load_bundle(a_bundle(tmp_path, graph, spec)).predict(
        grey(placement=stretch((80, 60), CANVAS))
    )
    assert prediction.detections == ()
    assert prediction.class_map is not None
    assert prediction.class_map.shape == (60, 80)
    assert (prediction.class_map[:, :39] == ROAD).all()
    assert (prediction.class_map[:, 41:] == CAR).all()
