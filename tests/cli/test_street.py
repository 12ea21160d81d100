import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cli.scenery import scenery
from cli.street import FRAME_RATE, SIZE, street, write_street_clip
from cli.truth import (
    Agreement,
    TrueFigure,
    TrueFrame,
    agreement,
    iou,
    read_truth,
    write_truth,
)
from contracts.models import resolve_model
from contracts.results import Box, Detection, FrameRecord, FrameResult
from vision.frames import FrameBatch, stretch
from vision.models.load import load_model


def a_result(*found: tuple[float, Box], index: int = 0) -> FrameResult:
    return FrameResult(
        FrameRecord(index, index, Fraction(1, 25), index / 25, True, *SIZE),
        tuple(Detection(0, "person", score, box) for score, box in found),
    )


def a_truth(*figures: tuple[float, Box]) -> dict[int, TrueFrame]:
    numbered = tuple(TrueFigure(i, box, visible) for i, (visible, box) in enumerate(figures))
    return {0: TrueFrame(0, 0.0, numbered)}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("street")
    write_street_clip(folder / "street.mp4", folder / "truth.jsonl")
    return folder / "street.mp4", folder / "truth.jsonl"


def test_the_pedestrian_detector_finds_the_figures(clip: tuple[Path, Path]) -> None:
    video, truth = clip
    model = load_model(resolve_model("builtin:people"))
    results = []
    with av.open(str(video)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % (FRAME_RATE // 2):
                continue
            record = FrameRecord(index, frame.pts or 0, Fraction(1, 25), index / 25, True, *SIZE)
            pixels = frame.to_ndarray(format="rgb24")[None].astype(np.uint8, copy=False)
            (prediction,) = model.predict(FrameBatch(pixels, (record,), stretch(SIZE, SIZE)))
            results.append(FrameResult(record, prediction.detections))
    found = agreement(results, {frame.frame_index: frame for frame in read_truth(truth)})
    assert found.hits + found.misses > 40
    assert found.precision >= 0.9
    assert found.recall >= 0.9


def test_the_clip_has_a_truth_for_each_frame(clip: tuple[Path, Path]) -> None:
    video, truth = clip
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        times_s = [frame.time for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", *SIZE)
    frames = list(read_truth(truth))
    assert [frame.frame_index for frame in frames] == list(range(200))
    assert [frame.time_s for frame in frames] == pytest.approx(times_s, abs=1e-4)


def test_people_of_several_sizes_enter_leave_and_walk_both_ways(clip: tuple[Path, Path]) -> None:
    ways: dict[int, list[TrueFigure]] = {}
    for frame in read_truth(clip[1]):
        for figure in frame.figures:
            ways.setdefault(figure.figure, []).append(figure)
    assert len(ways) >= 5
    lengths = {number: len(way) for number, way in ways.items()}
    assert min(lengths.values()) < 150 < max(lengths.values())
    shifts = [way[-1].box[0] - way[0].box[0] for way in ways.values()]
    assert min(shifts) < -200
    assert max(shifts) > 200
    heights = [max(figure.box[3] - figure.box[1] for figure in way) for way in ways.values()]
    assert max(heights) > 1.3 * min(heights)


def test_truth_boxes_hold_just_what_was_drawn() -> None:
    empty = scenery(5, SIZE).astype(int)
    seen = 0
    for pixels, truth in itertools.islice(street(seed=5), 0, None, 20):
        # Above this row there is no car and no shadow.
        changed = (np.abs(pixels.astype(int) - empty).max(axis=2) > 0)[:280]
        outside = changed.copy()
        for figure in truth.figures:
            x_min, y_min, x_max, y_max = (int(side) for side in figure.box)
            assert 0 <= x_min < x_max <= SIZE[0]
            assert 0 <= y_min < y_max <= SIZE[1]
            # Smooth edges fade out over two pixels.
            outside[max(y_min - 2, 0) :, max(x_min - 2, 0) : x_max + 2] = False
            if figure.visible == 1.0:
                seen += 1
                rows = np.flatnonzero(changed[:, x_min:x_max].any(axis=1))
                assert rows[0] <= y_min + 1
        assert not outside.any()
    assert seen > 10


def test_the_same_seed_gives_the_same_street_and_another_does_not() -> None:
    def some(seed: int) -> list[tuple[bytes, TrueFrame]]:
        return [(pixels.tobytes(), truth) for pixels, truth in street(seed=seed, duration_s=0.12)]

    assert some(3) == some(3)
    assert some(3)[0][0] != some(4)[0][0]


def test_truth_comes_back(tmp_path: Path) -> None:
    frames = [a_truth((0.5, (1.0, 2.0, 3.0, 4.0)))[0], TrueFrame(1, 0.04, ())]
    write_truth(frames, tmp_path / "truth.jsonl")
    assert list(read_truth(tmp_path / "truth.jsonl")) == frames


LEFT: Box = (0.0, 0.0, 10.0, 20.0)
RIGHT: Box = (50.0, 0.0, 60.0, 20.0)


def test_agreement_as_worked_by_hand() -> None:
    near_left: Box = (0.0, 0.0, 10.0, 15.0)  # IoU 150 / 200
    far_left: Box = (0.0, 0.0, 10.0, 9.0)  # IoU 90 / 200
    assert iou(LEFT, near_left) == 0.75
    assert iou(LEFT, RIGHT) == 0.0
    truth = a_truth((1.0, LEFT), (0.6, RIGHT))
    assert agreement([a_result((0.9, near_left))], truth) == Agreement(1, 1, 0)
    assert agreement([a_result((0.9, far_left))], truth) == Agreement(0, 2, 1)
    assert agreement([a_result((0.9, LEFT), (0.8, near_left), (0.7, RIGHT))], truth) == Agreement(
        2, 0, 1
    )


def test_a_figure_less_than_half_visible_counts_neither_way() -> None:
    truth = a_truth((0.49, LEFT), (1.0, RIGHT))
    assert agreement([a_result((0.9, RIGHT))], truth) == Agreement(1, 0, 0)
    assert agreement([a_result((0.9, RIGHT), (0.8, LEFT))], truth) == Agreement(1, 0, 0)


def test_precision_and_recall_are_parts_of_what_was_found_and_of_what_is_there() -> None:
    assert (Agreement(6, 2, 4).precision, Agreement(6, 2, 4).recall) == (0.6, 0.75)
    assert (Agreement(0, 0, 0).precision, Agreement(0, 0, 0).recall) == (1.0, 1.0)


def test_a_frame_that_the_truth_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="the truth has no frame 7; it has 1 frames"):
        agreement([a_result(index=7)], a_truth())
