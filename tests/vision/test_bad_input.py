"""What a file may have wrong with it, or say wrongly of itself, and what comes of it."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from contracts.outcomes import WarningCode
from tests.vision.readings import Reading, assert_equal, compare, read
from tests.vision.videos import B_FRAMES, VideoSpec, join, make_video, read_number
from vision.models.base import ModelInput

AS_IT_IS = ModelInput(None)


def codes(reading: Reading) -> list[str]:
    return [warning.code for warning in reading.warnings]


def numbers(path: Path, select: str = "all") -> list[int | None]:
    return [read_number(f.pixels) for f in read(path, select, model_input=AS_IT_IS).frames]


def append(target: Path, *parts: Path, gap_s: Fraction = Fraction(0)) -> Path:
    """Packets of one file after those of the other, times going on, under the first's header."""
    with av.open(str(target), "w") as new:
        copy, end = None, Fraction(0)
        for part in parts:
            with av.open(str(part)) as old:
                stream = old.streams.video[0]
                copy = copy or new.add_stream_from_template(stream, opaque=True)
                assert stream.time_base is not None
                start = end
                for packet in old.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, start + packet.pts * stream.time_base + Fraction(1, 10))
                    packet.pts += round(start / stream.time_base)
                    packet.dts += round(start / stream.time_base)
                    packet.stream = copy
                    new.mux(packet)
                end += gap_s
    return target


CHANGING = {
    "vp9.webm": VideoSpec(codec="libvpx-vp9", options={"cpu-used": "8", "g": "5"}),
    "vp8.webm": VideoSpec(codec="libvpx", options={"cpu-used": "8", "g": "5"}),
    "av1.mkv": VideoSpec(codec="libsvtav1", options={"preset": "12", "g": "5"}),
    "mjpeg.mkv": VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p"),
    "mjpeg.avi": VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p"),
}


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("select", ["every_nth=19", "indices=3,30", "all"])
def test_a_change_of_size_is_seen_in_what_is_not_decoded_too(
    name: str, select: str, tmp_path: Path
) -> None:
    small = make_video(tmp_path / f"small-{name}", _of(CHANGING[name], (96, 64), 0))
    large = make_video(tmp_path / f"large-{name}", _of(CHANGING[name], (128, 96), 12))
    path = append(tmp_path / name, small, large, small)
    reading = compare(path, select)
    assert WarningCode.FORMAT_CHANGED in codes(reading)
    assert len({frame.record.width for frame in read(path).frames}) == 2


def _of(spec: VideoSpec, size: tuple[int, int], first: int) -> VideoSpec:
    return VideoSpec(
        frame_count=12,
        size=size,
        codec=spec.codec,
        options=spec.options,
        pixel_format=spec.pixel_format,
        numbers=range(first, first + 12),
    )


def test_a_change_of_pixel_format_is_seen_in_what_is_not_decoded_too(tmp_path: Path) -> None:
    spec = CHANGING["mjpeg.mkv"]
    usual = make_video(tmp_path / "usual.mkv", _of(spec, (96, 64), 0))
    other = VideoSpec(12, (96, 64), codec="mjpeg", options={}, pixel_format="yuvj444p")
    path = append(tmp_path / "video.mkv", usual, make_video(tmp_path / "other.mkv", other), usual)
    assert WarningCode.FORMAT_CHANGED in codes(compare(path, "indices=3,30"))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_jump_in_the_timestamps_is_time_that_passes(ending: str, tmp_path: Path) -> None:
    part = make_video(tmp_path / f"part.{ending}", VideoSpec(frame_count=12))
    path = append(tmp_path / f"video.{ending}", part, part, gap_s=Fraction(5))
    reading = compare(path, "every_seconds=1")
    times = [round(frame.record.time_s, 3) for frame in reading.frames]
    assert [time - times[0] for time in times] == pytest.approx([0, 1, 6.2, 7.0], abs=0.25)
    assert WarningCode.MISSING_TIMESTAMPS not in codes(reading)


@pytest.mark.parametrize("count", [2, 3])
def test_timestamps_that_begin_anew_go_on_and_are_warned_of(count: int, tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.ts", VideoSpec(frame_count=12, options=B_FRAMES))
    reading = compare(join(tmp_path / "joined.ts", *[path] * count))
    assert_times_ascend(reading, 12 * count)
    assert WarningCode.MISSING_TIMESTAMPS in codes(reading)


def test_repeated_timestamps_are_told_apart_and_warned_of(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mkv", CHANGING["mjpeg.mkv"])
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[10:14]:
        # A SimpleBlock's time, two bytes before its flags.
        first, at = (content.index(bytes(p)) - 3 for p in (packets[10], packet))
        content[at : at + 2] = content[first : first + 2]
    path.write_bytes(content)
    reading = compare(path)
    assert_times_ascend(reading, 30)
    assert numbers(path) == list(range(30))
    assert WarningCode.MISSING_TIMESTAMPS in codes(reading)


def assert_times_ascend(reading: Reading, count: int) -> None:
    stamps = [frame.record.pts for frame in reading.frames]
    assert all(before < after for before, after in pairwise(stamps))
    assert [frame.record.frame_index for frame in reading.frames] == list(range(count))


def patched(path: Path, box: bytes, offset: int, value: bytes) -> Path:
    """Overwrite a field of every box of this kind, counted from its type."""
    content = bytearray(path.read_bytes())
    at = content.find(box)
    assert at > 0
    while at > 0:
        content[at + offset : at + offset + len(value)] = value
        at = content.find(box, at + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("duration_s", [1, 100])
def test_a_header_that_lies_about_the_duration_changes_no_frame(
    duration_s: int, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "video.mp4")
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
    assert time_base is not None
    patched(path, b"mdhd", 20, round(duration_s / time_base).to_bytes(4))
    reading = compare(path)
    assert len(reading.frames) == 30
    assert numbers(path, "every_seconds=1") == [0, 10, 20]


def test_a_header_that_lies_about_the_size_changes_no_frame(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES))
    patched(path, b"avc1", 28, (640).to_bytes(2) + (480).to_bytes(2))
    assert {(f.record.width, f.record.height) for f in compare(path).frames} == {(96, 64)}
    assert numbers(path, "every_nth=7") == [0, 7, 14, 21, 28]


@pytest.mark.parametrize(("frames", "is_warned_of"), [(10, False), (90, True)])
def test_a_header_that_lies_about_the_frames_changes_none(
    frames: int, is_warned_of: bool, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "video.avi", VideoSpec(codec="mpeg4", options={"g": "5"}))
    patched(path, b"strh", 40, frames.to_bytes(4, "little"))
    patched(path, b"avih", 24, frames.to_bytes(4, "little"))
    reading = compare(path)
    assert numbers(path) == list(range(30))
    assert (WarningCode.STREAM_CUT_SHORT in codes(reading)) == is_warned_of


def test_of_several_video_streams_the_first_is_read_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    parts = [
        make_video(tmp_path / f"{number}.mkv", VideoSpec(size=size, options=B_FRAMES))
        for number, size in enumerate([(96, 64), (128, 96)])
    ]
    interleave(path, *parts)
    reading = compare(path, "every_nth=7")
    assert {frame.record.width for frame in reading.frames} == {96}
    assert WarningCode.SEVERAL_VIDEO_STREAMS in codes(reading)


def test_an_attached_picture_is_no_video_stream(tmp_path: Path) -> None:
    cover = VideoSpec(1, (32, 32), codec="mjpeg", options={}, pixel_format="yuvj420p")
    path = tmp_path / "covered.mp4"
    interleave(
        path,
        make_video(tmp_path / "cover.mkv", cover),
        make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES)),
        attached=0,
    )
    reading = compare(path, "every_nth=7")
    assert_equal(reading, read(tmp_path / "video.mp4", "every_nth=7"))
    assert reading.warnings == ()


def interleave(target: Path, *parts: Path, attached: int | None = None) -> None:
    """Streams of several files in one."""
    with av.open(str(target), "w") as new:
        sources = [av.open(str(part)) for part in parts]
        copies = [new.add_stream_from_template(s.streams.video[0], opaque=True) for s in sources]
        if attached is not None:
            copies[attached].disposition = Disposition.attached_pic
        for source, copy in zip(sources, copies, strict=True):
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    new.mux(packet)
            source.close()
