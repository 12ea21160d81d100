import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from contracts.results import Mask
from vision.masks import decode_mask, encode_mask, paste_mask


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_a_mask_comes_back(bitmap: NDArray[np.bool_]) -> None:
    mask = encode_mask(bitmap)
    assert mask.size == bitmap.shape
    assert (decode_mask(mask) == bitmap).all()


def test_run_lengths_go_down_the_columns() -> None:
    bitmap = np.zeros((2, 3), np.bool_)
    bitmap[:, 1] = True
    # Runs 2, 2, 2; compressed, each is its own character, from '0' on.
    assert encode_mask(bitmap) == Mask((2, 3), "222")


def test_run_lengths_are_read_as_the_coco_tools_write_them() -> None:
    bitmap = np.random.default_rng(0).random((300, 200)) > 0.9
    bitmap[:, 20:60], bitmap[:, 90:] = True, False
    theirs = coco.decode({"size": [300, 200], "counts": encode_mask(bitmap).counts.encode()})
    assert (decode_mask(encode_mask(bitmap)) == theirs.astype(bool)).all()


def test_run_lengths_that_do_not_fill_the_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="4×4 mask add up to 6 pixels"):
        decode_mask(Mask((4, 4), "222"))


def test_a_full_head_mask_fills_its_box() -> None:
    pasted = paste_mask(np.ones((28, 28), np.float32), (10, 20, 40, 60), (100, 80))
    rows, columns = np.nonzero(pasted)
    assert (columns.min(), columns.max()) == pytest.approx((10, 40), abs=1)
    assert (rows.min(), rows.max()) == pytest.approx((20, 60), abs=1)
    assert pasted[21:60, 11:40].all()


def reference_paste(
    head: NDArray[np.float32], box: tuple[float, ...], frame_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """torchvision's `paste_mask_in_image`, followed pixel by pixel."""
    padded = np.pad(head, 1)
    cells = len(head)
    grown = []
    for axis in (0, 1):
        center, half = (box[axis] + box[axis + 2]) / 2, (box[axis + 2] - box[axis]) / 2
        half *= (cells + 2) / cells
        grown.append((int(center - half), int(center + half)))
    (left, right), (top, bottom) = grown
    pasted = np.zeros((frame_size[1], frame_size[0]), np.bool_)
    for y in range(max(top, 0), min(bottom + 1, frame_size[1])):
        for x in range(max(left, 0), min(right + 1, frame_size[0])):
            row = (y - top + 0.5) * len(padded) / max(bottom - top + 1, 1) - 0.5
            column = (x - left + 0.5) * len(padded) / max(right - left + 1, 1) - 0.5
            pasted[y, x] = bilinear(padded, max(row, 0), max(column, 0)) > 0.5
    return pasted


def bilinear(grid: NDArray[np.float32], row: float, column: float) -> float:
    last = len(grid) - 1
    r, c = int(row), int(column)
    s, d = min(r + 1, last), min(c + 1, last)
    upper = grid[r, c] * (1 - (column - c)) + grid[r, d] * (column - c)
    lower = grid[s, c] * (1 - (column - c)) + grid[s, d] * (column - c)
    return float(upper * (1 - (row - r)) + lower * (row - r))


@pytest.mark.parametrize("box", [(2, 1, 30, 26), (-9.5, -4, 12.2, 60), (20, 20, 23, 21.5)])
def test_a_head_mask_is_pasted_as_torchvision_does(box: tuple[float, float, float, float]) -> None:
    head = np.random.default_rng(3).random((28, 28)).astype(np.float32)
    expected = reference_paste(head, box, (40, 32))
    assert expected.any()
    assert np.mean(paste_mask(head, box, (40, 32)) != expected) < 0.002


@given(
    st.tuples(*[st.floats(-300, 300)] * 4),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_a_box_anywhere_gives_a_mask_of_the_frame(
    corners: tuple[float, float, float, float], frame_size: tuple[int, int]
) -> None:
    a, b, c, d = corners
    box = (min(a, c), min(b, d), max(a, c), max(b, d))
    pasted = paste_mask(np.ones((28, 28), np.float32), box, frame_size)
    assert pasted.shape == (frame_size[1], frame_size[0])
    if box[2] < -20 or box[0] > frame_size[0] + 20:
        assert not pasted.any()
