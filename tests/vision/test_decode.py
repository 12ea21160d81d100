"""A frame's index, time and pixels are its own, whatever the codec, the container or the order."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from contracts.outcomes import WarningCode
from contracts.results import ResultWarning
from contracts.selection import Selection
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
from vision.decode import Frame, batches, decode_frames
from vision.faults import RejectedVideoError
from vision.limits import Limits
from vision.models.base import ModelInput, ResizeMode
from vision.report import DecodeReport, decode_warnings
from vision.selection import make_selector
from vision.video import open_video

AS_IT_IS = ModelInput(None)
VARIABLE_TIMES = [0, 1, 2, 40, 41, 90, 100, 101, 250, 251, 252, 253, 254, 255, 400, 700]

STREAMS = {
    "plain": ("mp4", VideoSpec()),
    "b_frames": ("mp4", VideoSpec(options=B_FRAMES)),
    "open_gop": ("mp4", VideoSpec(options=OPEN_GOP)),
    "intra_refresh": ("mp4", VideoSpec(options=INTRA_REFRESH)),
    "sound": ("mp4", VideoSpec(options=B_FRAMES, has_audio=True)),
    "transport_stream": ("ts", VideoSpec(options=B_FRAMES)),
    "matroska": ("mkv", VideoSpec(options=B_FRAMES)),
    "avi": ("avi", VideoSpec(options=B_FRAMES)),
    "raw_h264": ("h264", VideoSpec(options=B_FRAMES)),
    "mpeg4_avi": ("avi", VideoSpec(codec="mpeg4", options={"bf": "2"})),
    "hevc": ("mp4", VideoSpec(codec="libx265", options={})),
    "vp9": ("webm", VideoSpec(codec="libvpx-vp9", options={"cpu-used": "8"})),
    "odd_size": ("mkv", VideoSpec(codec="ffv1", options={}, size=(97, 65))),
    "odd_h264": ("mp4", VideoSpec(pixel_format="yuv444p", size=(97, 65))),
    "ntsc": ("mp4", VideoSpec(frame_rate=Fraction(30000, 1001), options=B_FRAMES)),
}


def decoded(
    path: Path, select: str = "all", model_input: ModelInput = AS_IT_IS
) -> tuple[list[Frame], tuple[ResultWarning, ...]]:
    selector, report = make_selector(Selection.parse(select)), DecodeReport()
    with open_video(path) as video:
        frames = list(decode_frames(video, selector, model_input, report))
        return frames, decode_warnings(video, selector, report)


def numbers(frames: Sequence[Frame]) -> list[int | None]:
    return [read_number(frame.pixels) for frame in frames]


@pytest.mark.parametrize("name", STREAMS)
def test_every_frame_comes_once_with_its_own_index_and_time(name: str, tmp_path: Path) -> None:
    ending, spec = STREAMS[name]
    frames, _ = decoded(make_video(tmp_path / f"video.{ending}", spec))
    assert numbers(frames) == list(range(30))
    assert [frame.record.frame_index for frame in frames] == list(range(30))
    times = [frame.record.time_s for frame in frames]
    assert times == pytest.approx([float(i / spec.frame_rate) for i in range(30)], abs=1e-3)
    assert {(f.record.width, f.record.height) for f in frames} == {spec.size}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("every_nth=7", [0, 7, 14, 21, 28]),
        ("indices=0,3,11,29", [0, 3, 11, 29]),
    ],
)
def test_a_selection_by_index_gets_the_frames_it_names(
    name: str, select: str, expected: list[int], tmp_path: Path
) -> None:
    ending, spec = STREAMS[name]
    frames, _ = decoded(make_video(tmp_path / f"video.{ending}", spec), select)
    assert numbers(frames) == expected
    assert [frame.record.frame_index for frame in frames] == expected


def test_constant_frame_rate_is_sampled_by_time(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES))
    assert numbers(decoded(path, "every_seconds=1")[0]) == [0, 10, 20]
    assert numbers(decoded(path, "every_seconds=0.25")[0]) == [
        0,
        3,
        5,
        8,
        10,
        13,
        15,
        18,
        20,
        23,
        25,
        28,
    ]


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_variable_frame_rate_is_sampled_by_time(ending: str, tmp_path: Path) -> None:
    spec = VideoSpec(
        frame_count=16, times=VARIABLE_TIMES, time_base=Fraction(1, 100), options=B_FRAMES
    )
    path = make_video(tmp_path / f"video.{ending}", spec)
    frames, warnings = decoded(path)
    assert [f.record.pts * f.record.time_base for f in frames] == [
        Fraction(t, 100) for t in VARIABLE_TIMES
    ]
    # The first at or after 0 s, 1 s, 2 s, 3 s (which serves 4 s too), 5 s.
    assert numbers(decoded(path, "every_seconds=1")[0]) == [0, 6, 8, 14, 15]
    assert warnings == ()


def test_key_frames_are_those_of_the_stream(tmp_path: Path) -> None:
    closed = make_video(tmp_path / "closed.mp4", VideoSpec())
    assert numbers(decoded(closed, "key_frames")[0]) == [0, 12, 24]
    opened = make_video(tmp_path / "open.mp4", VideoSpec(options=OPEN_GOP))
    frames, _ = decoded(opened, "key_frames")
    assert numbers(frames) == [0, 12, 24]
    assert all(frame.record.is_key_frame for frame in frames)


@pytest.mark.parametrize("ending", ["mp4", "ts", "mkv"])
def test_time_counts_from_the_first_frame_and_pts_stay_the_streams(
    ending: str, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "source.mp4", VideoSpec(options=B_FRAMES))
    frames, _ = decoded(remux(source, tmp_path / f"late.{ending}", shift_s=3.0), "every_seconds=1")
    assert numbers(frames) == [0, 10, 20]
    assert [frame.record.time_s for frame in frames] == [0.0, 1.0, 2.0]
    first = frames[0].record
    assert float(first.pts * first.time_base) >= 3.0


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path: Path) -> None:
    source = make_video(tmp_path / "source.mp4", VideoSpec(options=B_FRAMES))
    frames, warnings = decoded(remux(source, tmp_path / "edited.mp4", shift_s=-1.0))
    assert numbers(frames) == list(range(10, 30))
    assert frames[0].record.frame_index == 0
    assert frames[0].record.time_s == 0.0
    assert warnings == ()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_turns_the_pixels_to_how_they_are_displayed(degrees: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(rotation_degrees=degrees, frame_count=9))
    with open_video(path) as video:
        assert video.facts.rotation_degrees == degrees
        assert (video.facts.width, video.facts.height) == (96, 64)
    frames, _ = decoded(path)
    assert numbers(frames) == list(range(9))
    assert {(f.record.width, f.record.height) for f in frames} == {(96, 64)}


def test_a_letterboxed_frame_is_centred_on_grey(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(rotation_degrees=90, frame_count=5))
    model_input = ModelInput((48, 48), ResizeMode.LETTERBOX, pad_value=77)
    frames, _ = decoded(path, "indices=4", model_input)
    (frame,) = frames
    assert frame.placement.inner == (0, 8, 48, 32)
    assert (frame.pixels[:8] == 77).all()
    assert (frame.pixels[40:] == 77).all()
    assert read_number(frame.pixels[8:40]) == 4


def test_a_stretched_frame_fills_the_canvas(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=5))
    frames, _ = decoded(path, "all", ModelInput((50, 70)))
    assert numbers(frames) == [0, 1, 2, 3, 4]
    assert frames[0].pixels.shape == (70, 50, 3)


def test_colours_come_as_red_green_blue(tmp_path: Path) -> None:
    colours = np.zeros((7, 5, 3), np.uint8)
    colours[:] = (200, 30, 90)
    path = make_video(
        tmp_path / "video.mkv",
        VideoSpec(codec="ffv1", options={}, pixel_format="bgr0"),
        drawn=[colours],
    )
    frames, _ = decoded(path)
    assert (frames[0].pixels == colours).all()


def test_one_pixel_is_enough(tmp_path: Path) -> None:
    white = np.full((1, 1, 3), 255, np.uint8)
    for pixel_format in ("bgr0", "yuv420p"):
        spec = VideoSpec(codec="ffv1", options={}, pixel_format=pixel_format)
        path = make_video(tmp_path / f"{pixel_format}.mkv", spec, drawn=[white, white])
        frames, _ = decoded(path)
        assert [frame.pixels.tolist() for frame in frames] == [[[[255, 255, 255]]]] * 2
        assert decoded(path, "all", ModelInput((3, 2)))[0][0].pixels.shape == (2, 3, 3)


def test_no_frame_after_the_last_wanted_one_is_decoded(tmp_path: Path) -> None:
    selector, report = make_selector(Selection.parse("indices=2,5")), DecodeReport()
    with open_video(make_video(tmp_path / "video.mp4")) as video:
        assert len(list(decode_frames(video, selector, AS_IT_IS, report))) == 2
    assert report.frames_decoded == 6
    assert not report.reached_end


def test_missing_frames_are_warned_of(tmp_path: Path) -> None:
    frames, warnings = decoded(make_video(tmp_path / "video.mp4"), "indices=5,30")
    assert numbers(frames) == [5]
    assert [(w.code, w.frame_index) for w in warnings] == [(WarningCode.FRAME_NOT_FOUND, 30)]


def test_a_raw_stream_takes_its_times_from_its_frame_rate_and_says_so(tmp_path: Path) -> None:
    frames, warnings = decoded(make_video(tmp_path / "video.h264"), "every_seconds=1")
    assert numbers(frames) == [0, 10, 20]
    assert [w.code for w in warnings] == [WarningCode.MISSING_TIMESTAMPS]


def test_timestamps_that_jump_back_go_on_evenly(tmp_path: Path) -> None:
    part = make_video(tmp_path / "part.ts", VideoSpec(frame_count=20))
    other = make_video(tmp_path / "other.ts", VideoSpec(frame_count=20, numbers=range(20, 40)))
    frames, warnings = decoded(join(tmp_path / "joined.ts", part, other), "every_seconds=1")
    assert numbers(frames) == [0, 10, 20, 30]
    assert WarningCode.MISSING_TIMESTAMPS in [w.code for w in warnings]


def test_a_change_of_size_is_followed_and_warned_of(tmp_path: Path) -> None:
    part = make_video(tmp_path / "part.ts", VideoSpec(frame_count=8))
    other = make_video(
        tmp_path / "other.ts", VideoSpec(frame_count=8, size=(128, 96), numbers=range(8, 16))
    )
    joined = join(tmp_path / "joined.ts", part, other)
    frames, warnings = decoded(joined)
    assert numbers(frames) == list(range(16))
    assert [(f.record.width, f.record.height) for f in frames] == [(96, 64)] * 8 + [(128, 96)] * 8
    assert (WarningCode.FORMAT_CHANGED, 8) in [(w.code, w.frame_index) for w in warnings]
    assert [len(batch.frames) for batch in batches(iter(frames), 5)] == [5, 3, 5, 3]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "flv"])
def test_a_file_cut_mid_stream_keeps_its_frames_and_is_warned_of(
    ending: str, tmp_path: Path
) -> None:
    spec = VideoSpec(frame_count=60, size=(192, 128))
    whole = make_video(tmp_path / f"whole.{ending}", spec)
    if ending == "mp4":
        whole = remux(whole, tmp_path / "front.mp4", options={"movflags": "faststart"})
    frames, warnings = decoded(cut(whole, tmp_path / f"cut.{ending}", 0.7))
    assert 1 < len(frames) < 60
    # The cut may go through the last frame.
    assert numbers(frames)[:-1] == list(range(len(frames) - 1))
    assert WarningCode.STREAM_CUT_SHORT in [w.code for w in warnings]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "h264"])
def test_damage_is_counted_and_the_rest_keeps_its_identity(ending: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video.{ending}", VideoSpec(frame_count=60, size=(192, 128)))
    content = bytearray(path.read_bytes())
    for position in range(len(content) * 3 // 10, len(content) * 4 // 10, 97):
        content[position] ^= 0xFF
    path.write_bytes(content)
    frames, warnings = decoded(path)
    assert WarningCode.DAMAGED_PACKETS in [w.code for w in warnings]
    assert "damaged packet" in next(w.message for w in warnings if w.code == "damaged_packets")
    if ending in ("mp4", "mkv", "ts"):
        wrong = [
            f
            for f in frames
            if (n := read_number(f.pixels)) is not None
            and f.record.time_s != pytest.approx(n / 10, abs=0.002)
        ]
        assert len(wrong) <= 12, "only frames of the damaged GOP may differ"


def test_whole_videos_have_no_warnings(tmp_path: Path) -> None:
    for ending in ("mp4", "mkv", "avi", "ts", "mov", "flv", "webm"):
        spec = (
            VideoSpec(codec="libvpx-vp9", options={"cpu-used": "8"})
            if ending == "webm"
            else VideoSpec()
        )
        assert decoded(make_video(tmp_path / f"video.{ending}", spec))[1] == (), ending


def test_limits_hold_within_a_video_too(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.h264")
    selector, report = make_selector(Selection.parse("all")), DecodeReport()
    with (
        open_video(path, Limits(max_duration_s=1.0)) as video,
        pytest.raises(RejectedVideoError, match="1 s long"),
    ):
        list(decode_frames(video, selector, AS_IT_IS, report))


@pytest.mark.parametrize("kept", [0.25, 0.4, 0.55, 0.7, 0.85])
def test_a_cut_file_keeps_every_frame_that_its_packets_hold(kept: float, tmp_path: Path) -> None:
    spec = VideoSpec(frame_count=90, size=(320, 240), options=B_FRAMES)
    whole = make_video(tmp_path / "whole.mp4", spec)
    front = remux(whole, tmp_path / "front.mp4", options={"movflags": "faststart"})
    cut(front, tmp_path / "cut.mp4", kept)
    with av.open(str(tmp_path / "cut.mp4")) as container:
        container.streams.video[0].thread_type = "NONE"
        held = sum(
            1 for packet in container.demux(video=0) if packet.size and packet.pts is not None
        )
    frames, _ = decoded(tmp_path / "cut.mp4", "all")
    # The last packet may be cut itself, and with it what it would have shown.
    assert held - 2 <= len(frames) <= held
    for number, frame in zip(numbers(frames), frames, strict=True):
        assert number in (round(frame.record.time_s * 10), None)  # the cut one is damaged


def test_frames_after_a_destroyed_key_frame_keep_their_order_and_times(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0"}
    video = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=60, options=options))
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        key = [packet for packet in packets if packet.is_keyframe][2]
        position, size = key.pos or 0, key.size
    content = bytearray(video.read_bytes())
    content[position : position + size] = b"\xff" * size
    video.write_bytes(content)
    frames, _ = decoded(video, "all")
    times = [frame.record.time_s for frame in frames]
    assert times == sorted(times)
    shown = [(number, time) for number, time in zip(numbers(frames), times, strict=True) if number]
    assert all(number == round(time * 10) for number, time in shown)
    assert len(shown) > 40
