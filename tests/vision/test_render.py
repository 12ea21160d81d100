from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from contracts.keys import segmentation_file
from contracts.results import Detection, FrameRecord, FrameResult
from vision.encode import VideoWriter
from vision.frames import Pixels
from vision.masks import encode_mask
from vision.render import (
    annotate,
    class_color,
    write_annotated_picture,
    write_annotated_video,
    write_contact_sheet,
)
from vision.results import encode_class_map


def a_result(
    *detections: Detection, index: int = 0, time_s: float = 0.0, size: tuple[int, int] = (160, 120)
) -> FrameResult:
    return FrameResult(FrameRecord(index, index, Fraction(1, 25), time_s, True, *size), detections)


def a_picture(size: tuple[int, int] = (160, 120), value: int = 60) -> Pixels:
    return np.full((size[1], size[0], 3), value, np.uint8)


CAR = Detection(2, "car", 0.87, (40.0, 50.0, 110.0, 100.0))


def test_the_box_is_drawn_where_the_detection_is() -> None:
    picture = a_picture()
    drawn = annotate(picture, a_result(CAR))
    assert tuple(drawn[75, 40]) == tuple(drawn[100, 75]) == class_color(2)
    assert tuple(drawn[75, 75]) == (60, 60, 60)
    assert tuple(drawn[115, 150]) == (60, 60, 60)
    assert (picture == 60).all()


def test_a_label_beyond_the_edge_is_moved_into_the_picture() -> None:
    corner = Detection(2, "car", 0.87, (150.0, 0.0, 160.0, 10.0))
    drawn = annotate(a_picture(), a_result(corner))
    plate = (drawn[:20, 60:140] == class_color(2)).all(axis=2)
    assert plate.mean() > 0.3


def test_a_mask_tints_its_pixels_alone() -> None:
    bitmap = np.zeros((120, 160), np.bool_)
    bitmap[60:90, 60:90] = True
    found = Detection(2, "car", 0.87, (40.0, 50.0, 110.0, 100.0), encode_mask(bitmap))
    drawn = annotate(a_picture(), a_result(found))
    expected = 0.55 * 60 + 0.45 * np.array(class_color(2))
    assert drawn[75, 75] == pytest.approx(expected, abs=1)
    assert tuple(drawn[75, 100]) == (60, 60, 60)


def test_a_class_map_tints_all_but_class_0() -> None:
    class_map = np.zeros((120, 160), np.uint8)
    class_map[:, 80:] = 3
    drawn = annotate(a_picture(), a_result(), class_map)
    assert (drawn[:, :80] == 60).all()
    assert drawn[60, 120] == pytest.approx(0.5 * 60 + 0.5 * np.array(class_color(3)), abs=1)


def test_neighbouring_classes_differ_in_colour() -> None:
    colors = np.array([class_color(i) for i in range(8)], float)
    distances = np.linalg.norm(colors[:, None] - colors[None], axis=2)
    assert distances[~np.eye(8, dtype=bool)].min() > 60


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (17, 400)])
def test_no_picture_is_too_small_to_annotate(size: tuple[int, int]) -> None:
    everywhere = Detection(0, "person é", 0.5, (0.0, 0.0, float(size[0]), float(size[1])))
    assert annotate(a_picture(size), a_result(everywhere, size=size)).shape == (*size[::-1], 3)


def test_an_annotated_picture_keeps_its_colours(tmp_path: Path) -> None:
    picture = a_picture()
    picture[:] = (200, 100, 0)
    write_annotated_picture(picture, a_result(), tmp_path / "a.png")
    read = cv2.imread(str(tmp_path / "a.png"))
    assert read is not None
    assert tuple(read[0, 0]) == (0, 100, 200)


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (1, 1)])
def test_a_video_shows_each_picture_at_its_frames_time(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    times_s = [3.0, 3.04, 4.5, 9.0]
    pairs = [
        (a_picture(size, 40 + 40 * i), a_result(index=i, time_s=time_s, size=size))
        for i, time_s in enumerate(times_s)
    ]
    assert write_annotated_video(pairs, tmp_path / "a.mp4") == 4
    with av.open(str(tmp_path / "a.mp4")) as video:
        stream = video.streams.video[0]
        frames = list(video.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.04, 1.5, 6.0], abs=1e-4)
    assert (frames[0].width, frames[0].height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    shades = [frame.to_ndarray(format="rgb24").mean() for frame in frames]
    assert shades == pytest.approx([40, 80, 120, 160], abs=6)


def test_pairs_are_taken_one_at_a_time(tmp_path: Path) -> None:
    taken: list[int] = []
    alive: list[int] = []

    class Counted(np.ndarray):
        def __del__(self) -> None:
            alive.pop()

    def pairs() -> Iterator[tuple[Pixels, FrameResult]]:
        for index in range(60):
            picture = a_picture().view(Counted)
            alive.append(index)
            taken.append(len(alive))
            yield picture, a_result(index=index, time_s=index / 25)
            del picture

    write_annotated_video(pairs(), tmp_path / "a.mp4")
    assert max(taken) < 10


def test_a_video_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no picture to write to a\.mp4"):
        write_annotated_video([], tmp_path / "a.mp4")


def test_times_must_ascend_and_sizes_stay(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (160, 120)) as video:
        video.write(a_picture(), 1.0)
        with pytest.raises(ValueError, match="times must ascend"):
            video.write(a_picture(), 1.0)
        with pytest.raises(ValueError, match=r"is \(160, 120\), the picture is \(80, 60\)"):
            video.write(a_picture((80, 60)), 2.0)


def test_a_contact_sheet_has_a_tile_for_each_picture(tmp_path: Path) -> None:
    pairs = [(a_picture(value=50 + 50 * i), a_result(index=i, time_s=i)) for i in range(3)]
    count = write_contact_sheet(pairs, tmp_path / "s.png", columns=2, tile_width=320)
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet is not None
    assert (count, sheet.shape) == (3, (480, 640, 3))
    assert [sheet[200, 100, 0], sheet[200, 420, 0], sheet[440, 100, 0]] == [50, 100, 150]
    assert (sheet[300:, 330:] == 0).all()


def test_masks_of_any_place_tint_their_pixels_alone() -> None:
    for corner in [(0, 60), (150, 110), (0, 110), (60, 40)]:
        bitmap = np.zeros((120, 160), np.bool_)
        bitmap[corner[1] : corner[1] + 10, corner[0] : corner[0] + 10] = True
        found = Detection(2, "", 0.9, (0.0, 0.0, 0.0, 0.0), encode_mask(bitmap))
        drawn = annotate(a_picture(), a_result(found))
        inside = drawn[corner[1] + 5, corner[0] + 5]
        assert inside == pytest.approx(0.55 * 60 + 0.45 * np.array(class_color(2)), abs=1)
        edge = drawn[corner[1], corner[0] + 5].tolist()
        assert edge == pytest.approx(class_color(2), abs=30)
        assert tuple(drawn[100, 80]) == (60, 60, 60)


def test_an_empty_mask_tints_nothing() -> None:
    found = Detection(
        2, "car", 0.9, (40.0, 50.0, 90.0, 90.0), encode_mask(np.zeros((120, 160), bool))
    )
    bare = Detection(2, "car", 0.9, (40.0, 50.0, 90.0, 90.0))
    drawn = annotate(a_picture(), a_result(found))
    assert (drawn == annotate(a_picture(), a_result(bare))).all()


@pytest.mark.parametrize("form", ["picture", "video", "sheet"])
def test_class_maps_of_an_attempt_are_drawn(tmp_path: Path, form: str) -> None:
    class_map = np.zeros((120, 160), np.uint8)
    class_map[:, 80:] = 1
    name = segmentation_file(0)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(encode_class_map(class_map))
    result = replace(a_result(), segmentation=name)
    target, pairs = tmp_path / "drawn", [(a_picture(), result)]
    if form == "picture":
        write_annotated_picture(*pairs[0], target, attempt=tmp_path)
    elif form == "sheet":
        write_contact_sheet(pairs, target, tile_width=160, attempt=tmp_path)
    else:
        write_annotated_video(pairs, target, attempt=tmp_path)
    if form == "video":
        with av.open(str(target)) as video:
            shown = np.asarray(next(video.decode(video=0)).to_ndarray(format="rgb24"))
    else:
        read = cv2.imread(str(target))
        assert read is not None
        shown = np.asarray(read[..., ::-1])
    expected = 0.5 * 60 + 0.5 * np.array(class_color(1))
    assert shown[100, 20] == pytest.approx([60, 60, 60], abs=8)
    assert shown[100, 140] == pytest.approx(expected, abs=12)


@pytest.mark.parametrize(("count", "shown"), [(120, 120), (121, 61), (240, 120), (241, 61)])
def test_a_contact_sheet_of_many_pictures_shows_an_even_choice(
    tmp_path: Path, count: int, shown: int
) -> None:
    pairs = ((a_picture((16, 12), i % 256), a_result(index=i, time_s=i)) for i in range(count))
    assert write_contact_sheet(pairs, tmp_path / "s.png", columns=10, tile_width=40) == shown
