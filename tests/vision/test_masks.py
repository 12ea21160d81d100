import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from contracts.results import Mask
from vision.masks import (
    Patch,
    decode_mask,
    encode_head_mask,
    encode_mask,
    encode_patch,
    mask_area,
    mask_box,
    paste_mask,
    sample_grid,
)

bitmaps = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(bitmaps)
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


@given(bitmaps, *[st.integers(0, 5)] * 4)
def test_a_part_of_a_frame_is_encoded_as_the_frame_is(
    bitmap: NDArray[np.bool_], left: int, above: int, right: int, below: int
) -> None:
    patch = Patch(bitmap, (left, above))
    size = (left + bitmap.shape[1] + right, above + bitmap.shape[0] + below)
    assert encode_patch(patch, size) == encode_mask(patch.in_frame(size))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_a_part_without_a_pixel_is_an_empty_mask(shape: tuple[int, int]) -> None:
    empty = encode_mask(np.zeros((4, 5), np.bool_))
    assert encode_patch(Patch(np.zeros(shape, np.bool_), (1, 1)), (5, 4)) == empty


@given(bitmaps)
def test_area_and_box_are_those_of_the_pixels(bitmap: NDArray[np.bool_]) -> None:
    mask = encode_mask(bitmap)
    assert mask_area(mask) == bitmap.sum()
    rows, columns = np.nonzero(bitmap)
    expected = (0, 0, 0, 0)
    if len(rows):
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert mask_box(mask) == expected


@given(st.tuples(*[st.floats(-40, 80)] * 4))
def test_a_pasted_mask_stays_at_its_box(corners: tuple[float, float, float, float]) -> None:
    a, b, c, d = corners
    box = (min(a, c), min(b, d), max(a, c), max(b, d))
    mask = encode_head_mask(np.ones((28, 28), np.float32), box, (60, 40))
    assert mask == encode_mask(paste_mask(np.ones((28, 28), np.float32), box, (60, 40)))
    if mask_area(mask):
        x_min, y_min, x_max, y_max = mask_box(mask)
        # The pasted box is a cell larger, truncated, and a pixel is added.
        margin_x, margin_y = 2 + (box[2] - box[0]) / 28, 2 + (box[3] - box[1]) / 28
        assert x_min >= box[0] - margin_x
        assert x_max <= box[2] + margin_x
        assert y_min >= box[1] - margin_y
        assert y_max <= box[3] + margin_y


def test_a_grid_is_interpolated_at_any_place() -> None:
    grid = np.array([[0, 10], [20, 30]], np.float32)
    found = sample_grid(grid, np.array([-3.0, 0.25, 1.0]), np.array([0.5, 1.0, 9.0]))
    assert found.tolist() == [[5, 10, 10], [10, 15, 15], [25, 30, 30]]


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_part_of_an_enlarged_grid_is_that_of_the_whole(rows: int, columns: int) -> None:
    grid = np.random.default_rng(1).random((7, 5)).astype(np.float32)
    y = (np.arange(rows) + 0.5) * 7 / rows - 0.5
    x = (np.arange(columns) + 0.5) * 5 / columns - 0.5
    whole = cv2.resize(grid, (columns, rows), interpolation=cv2.INTER_LINEAR)
    part = sample_grid(grid, y[rows // 3 :][:9], x[columns // 4 :][:9])
    assert part == pytest.approx(whole[rows // 3 :, columns // 4 :][:9, :9], abs=1e-5)


def test_a_box_far_larger_than_the_frame_costs_no_more_than_the_frame() -> None:
    found = paste_mask(np.ones((28, 28), np.float32), (-1e7, -1e7, 1e7, 1e7), (8, 6))
    assert found.all()
