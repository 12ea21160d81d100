"""
Frames found by a plan are those of sequential decoding: all of them, in order, pixel for pixel.

`FRAMEWRIGHT_EXAMPLES=2000 pytest tests/vision/test_plan.py` draws more streams than a usual run.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.outcomes import WarningCode
from tests.vision.readings import assert_equal, compare, read
from tests.vision.streams import StreamCase, damage, streams
from tests.vision.test_decode import STREAMS
from tests.vision.videos import (
    B_FRAMES,
    INTRA_REFRESH,
    OPEN_GOP,
    VideoSpec,
    cut,
    join,
    make_video,
    read_number,
    remux,
)
from vision.bitstreams.bits import length_prefixed
from vision.frames import Pixels
from vision.models.base import ModelInput, ResizeMode

EXAMPLES = int(os.environ.get("FRAMEWRIGHT_EXAMPLES", "30"))
SELECTIONS = ("all", "every_seconds=1", "every_seconds=0.3", "every_nth=7", "key_frames")
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    derandomize=EXAMPLES <= 100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

indices = st.sets(st.integers(0, 64), min_size=1, max_size=6).map(
    lambda chosen: f"indices={','.join(map(str, sorted(chosen)))}"
)
selections = st.one_of(st.sampled_from(SELECTIONS), indices)


@BOUNDED
@given(streams(), st.lists(selections, min_size=1, max_size=3), st.integers(1, 3))
def test_any_stream_gives_the_frames_of_sequential_decoding(
    case: StreamCase, selects: list[str], workers: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = case.make(Path(folder))
        for select in selects:
            compare(path, select, workers=workers)
        reading = read(path)
        frames = reading.frames
        assert reading.reader.report.frames_lost == 0
        if not case.shift_frames and not case.spec.rotation_degrees:
            shown = [(read_number(frame.pixels), frame.record.frame_index) for frame in frames]
            assert all(number in (None, index) for number, index in shown)
            assert len(shown) == case.spec.frame_count


@BOUNDED
@given(streams(), selections, st.integers(0, 1 << 30))
def test_a_damaged_stream_gives_what_sequential_decoding_makes_of_it(
    case: StreamCase, select: str, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = case.make(Path(folder))
        damage(path, seed)
        planned = read(path, select)
        if planned.reader.fallback is not None or planned.rejection is not None:
            assert_equal(planned, read(path, select, plans=False))
            return
        # Damage in what was not decoded is not noticed where headers are sound; sequential decoding
        # loses frames to it, and numbers the others as the plan does.
        found = {frame.record.pts: frame for frame in read(path, plans=False).frames}
        for frame in planned.frames:
            other = found[frame.record.pts]
            assert frame.record == other.record
            assert np.array_equal(frame.pixels, other.pixels)


@pytest.mark.parametrize("name", STREAMS)
def test_every_selection_of_every_usual_stream_is_exact(name: str, tmp_path: Path) -> None:
    ending, spec = STREAMS[name]
    path = make_video(tmp_path / f"video.{ending}", spec)
    for select in (*SELECTIONS, "indices=0", "indices=3,11,29", "indices=17"):
        compare(path, select)


PLANNED = {
    "h264": ("mp4", VideoSpec(options=B_FRAMES)),
    "h264_ts": ("ts", VideoSpec(options=B_FRAMES)),
    "h264_raw": ("h264", VideoSpec(options=B_FRAMES)),
    "h264_avi": ("avi", VideoSpec(options=B_FRAMES)),
    "hevc": (
        "mp4",
        VideoSpec(
            codec="libx265",
            size=(160, 128),
            options={"x265-params": "log-level=none:keyint=12:min-keyint=12:bframes=3"},
        ),
    ),
    "av1": (
        "mkv",
        VideoSpec(codec="libsvtav1", size=(128, 96), options={"preset": "12", "g": "12"}),
    ),
    "vp9": ("webm", VideoSpec(codec="libvpx-vp9", options={"cpu-used": "8", "g": "12"})),
    "mpeg4": ("mp4", VideoSpec(codec="mpeg4", options={"g": "12"})),
    "mjpeg": ("avi", VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p")),
}


@pytest.mark.parametrize("name", PLANNED)
def test_only_what_a_frame_needs_is_decoded(name: str, tmp_path: Path) -> None:
    ending, spec = PLANNED[name]
    path = make_video(tmp_path / f"video.{ending}", spec)
    reading = compare(path, "indices=13,14")
    assert reading.reader.fallback is None
    assert WarningCode.SEQUENTIAL_DECODING not in [w.code for w in reading.reader.warnings]
    assert reading.reader.report.frames_decoded <= 8, "one GOP of three, and not all of it"


@pytest.mark.parametrize(
    ("options", "most"), [(B_FRAMES, 30 - 6), (OPEN_GOP, 30 - 6), (INTRA_REFRESH, 30 - 6)]
)
def test_pictures_that_nothing_refers_to_are_left_out(
    options: dict[str, str], most: int, tmp_path: Path
) -> None:
    reading = compare(
        make_video(tmp_path / "video.mp4", VideoSpec(options=options)), "indices=0,29"
    )
    assert reading.reader.fallback is None
    assert reading.reader.report.frames_decoded <= most


def hevc(options: str) -> VideoSpec:
    whole = f"log-level=none:keyint=10:min-keyint=10:scenecut=0:bframes=4:{options}"
    return VideoSpec(
        frame_count=40, size=(160, 128), codec="libx265", options={"x265-params": whole}
    )


def av1(structure: int) -> VideoSpec:
    options = {"preset": "8", "crf": "20", "g": "20"}
    options["svtav1-params"] = f"pred-struct={structure}:lp=1"
    return VideoSpec(frame_count=40, size=(128, 96), codec="libsvtav1", options=options)


MOVING = {"x264-params": "keyint=20:min-keyint=20:scenecut=0:bframes=3:b-pyramid=normal:ref=4"}
HARD_STREAMS = {
    "h264_open_gop": VideoSpec(
        frame_count=40, options={"x264-params": MOVING["x264-params"] + ":b-adapt=0:open-gop=1"}
    ),
    "h264_intra_refresh": VideoSpec(
        frame_count=40, options={"x264-params": "keyint=12:intra-refresh=1:bframes=2:ref=2"}
    ),
    "hevc_open_gop": hevc("open-gop=1:b-pyramid=1:b-adapt=0"),
    "hevc_layers": hevc("open-gop=1:temporal-layers=3"),
    "hevc_radl": hevc("open-gop=0:radl=3"),
    "av1_layers": av1(2),
    "av1_low_delay": av1(1),
}


@pytest.mark.parametrize("name", HARD_STREAMS)
def test_any_single_frame_is_found_by_a_plan_alone(name: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mkv", HARD_STREAMS[name], drawn=noise(40))
    assert_any_single_frame_is_found_by_a_plan_alone(path, 40)


def assert_any_single_frame_is_found_by_a_plan_alone(path: Path, count: int) -> None:
    frames = read(path, plans=False).frames
    assert len(frames) == count
    for index, expected in enumerate(frames):
        reading = read(path, f"indices={index}", workers=1)
        assert reading.reader.fallback is None
        (found,) = reading.frames
        assert found.record == expected.record
        assert np.array_equal(found.pixels, expected.pixels), index


def test_a_picture_that_only_higher_sub_layers_refer_to_is_fed(tmp_path: Path) -> None:
    """
    Sub-layer non-reference means: not for its own sub-layer (H.265 §3.160). x265 never marks such
    pictures so, though it may: those of the middle one of three are referred to by the highest.
    """
    path = make_video(tmp_path / "video.mkv", HARD_STREAMS["hevc_layers"], drawn=noise(40))
    content, marked = bytearray(path.read_bytes()), 0
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            data = bytes(packet)
            for nal in length_prefixed(data, 4):
                if nal[:2] == b"\x06\x02":  # TSA_R of sub-layer 1, which becomes TSA_N
                    content[content.index(data) + data.index(nal)] = 0x04
                    marked += 1
    assert marked >= 8
    path.write_bytes(content)
    assert_any_single_frame_is_found_by_a_plan_alone(path, 40)


def test_order_counts_wrap(tmp_path: Path) -> None:
    spec = replace(hevc("open-gop=1:b-pyramid=1:b-adapt=0:log2-max-poc-lsb=4"), frame_count=80)
    path = make_video(tmp_path / "video.mkv", spec, drawn=noise(80))
    for index in (61, 63, 64, 65, 66, 69, 79):
        assert compare(path, f"indices={index}").reader.fallback is None


def test_leading_pictures_of_a_first_random_access_point_are_not_counted(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", HARD_STREAMS["hevc_open_gop"], drawn=noise(40))
    late, started = tmp_path / "late.mkv", False
    with av.open(str(whole)) as old, av.open(str(late), "w") as new:
        copy = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            started = started or (packet.is_keyframe and (packet.pts or 0) > 0)
            if started and packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    for select in ("all", "every_nth=7", "indices=0,1,12"):
        reading = compare(late, select)
        assert reading.reader.fallback is None
    assert len(read(late).frames) == 30


def test_frames_that_an_edit_list_hides_are_not_counted_by_a_plan(tmp_path: Path) -> None:
    source = make_video(tmp_path / "source.mp4", VideoSpec(options=B_FRAMES))
    path = remux(source, tmp_path / "edited.mp4", shift_s=-1.0)
    for select in ("all", "indices=0,9"):
        reading = compare(path, select)
        assert reading.reader.fallback is None
    assert len(read(path).frames) == 20


def noise(count: int) -> list[Pixels]:
    """Pictures that drift and change everywhere, so that any wrong reference shows."""
    random = np.random.default_rng(5)
    ground = random.integers(0, 255, (160, 260, 3), np.uint8)
    pictures = []
    for index in range(count):
        picture = ground[index % 17 : index % 17 + 128, index : index + 160].astype(np.int16)
        picture += random.integers(-20, 20, picture.shape, np.int16)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures


@pytest.mark.parametrize("degrees", [0, 90, 270])
@pytest.mark.parametrize("resize", ResizeMode)
def test_the_canvas_is_the_same_whoever_fills_it(
    degrees: int, resize: ResizeMode, tmp_path: Path
) -> None:
    spec = VideoSpec(frame_count=14, rotation_degrees=degrees)
    path = make_video(tmp_path / "video.mp4", spec)
    for model_input in (ModelInput(None), ModelInput((50, 70), resize, pad_value=3)):
        assert_equal(
            read(path, "every_nth=3", model_input=model_input),
            read(path, "every_nth=3", plans=False, model_input=model_input),
        )


def unplannable(folder: Path) -> Iterator[tuple[Path, str]]:
    """Videos for which no plan is made, and a word of the reason."""
    part = make_video(folder / "part.ts", VideoSpec(frame_count=15))
    other = make_video(folder / "other.ts", VideoSpec(frame_count=15, size=(128, 96)))
    yield make_video(folder / "a.mkv", VideoSpec(codec="ffv1", options={})), "ffv1"
    yield join(folder / "back.ts", part, part), "damaged"
    yield join(folder / "size.ts", part, other), "damaged"
    front = remux(part, folder / "front.mp4", options={"movflags": "faststart"})
    yield cut(front, folder / "cut.mp4", 0.9), "damaged"
    yield make_video(folder / "b.mp4", VideoSpec(codec="mpeg4", options={"bf": "2"})), "B pictures"
    yield make_video(folder / "refresh.mp4", VideoSpec(options=INTRA_REFRESH)), "key frames"


def test_where_no_plan_is_sure_the_warning_says_why(tmp_path: Path) -> None:
    for path, word in unplannable(tmp_path):
        reading = compare(path, "key_frames")
        assert reading.reader.fallback is not None
        assert word in reading.reader.fallback, path.name
        warning = reading.reader.warnings[-1]
        assert warning.code == WarningCode.SEQUENTIAL_DECODING
        assert reading.reader.fallback in warning.message


def test_a_plan_that_decoding_disproves_is_given_up_within_the_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=60, size=(192, 128)))
    content = bytearray(path.read_bytes())
    start = len(content) * 6 // 10
    content[start : start + 300 : 7] = bytes(43)
    path.write_bytes(content)
    reading = compare(path, "all")
    assert reading.reader.fallback is not None
    lost = [index for index, _ in reading.reader.report.lost]
    found = [frame.record.frame_index for frame in reading.frames]
    assert sorted(found + lost) == list(range(60))
