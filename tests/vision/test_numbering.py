"""Frames that are lost to damage are counted and named; all others keep their indices and times."""

import gc
import itertools
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from contracts.outcomes import WarningCode
from contracts.results import ResultWarning
from tests.vision.readings import Reading, read
from tests.vision.videos import B_FRAMES, VideoSpec, join, make_video, read_number
from vision.models.base import ModelInput
from vision.video import open_video

AS_IT_IS = ModelInput(None)
INTRA = {
    "mjpeg.mp4": VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p"),
    "mjpeg.mkv": VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p"),
    "mjpeg.avi": VideoSpec(codec="mjpeg", options={}, pixel_format="yuvj420p"),
    "mpeg4.avi": VideoSpec(codec="mpeg4", options={"g": "1"}),
    "mpeg4.mp4": VideoSpec(codec="mpeg4", options={"g": "1"}),
    "h264.mp4": VideoSpec(options={"g": "1", "bf": "0"}),
    "hevc.mkv": VideoSpec(
        codec="libx265",
        size=(160, 128),
        options={"x265-params": "log-level=none:keyint=1:repeat-headers=0"},
    ),
    "vp8.webm": VideoSpec(codec="libvpx", options={"g": "1", "cpu-used": "8"}),
    "vp9.mp4": VideoSpec(codec="libvpx-vp9", options={"g": "1", "cpu-used": "8"}),
}


def destroy(path: Path, *numbers: int) -> None:
    """Overwrite packets, by their number in decoding order."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        packet = packets[number]
        data = bytes(packet)
        start = content.index(data, packet.pos or 0)
        content[start : start + len(data)] = bytes(len(data))
    path.write_bytes(content)


def lost_warning(reading: Reading) -> ResultWarning:
    (found,) = [w for w in reading.reader.warnings if w.code == WarningCode.FRAMES_LOST]
    return found


def indices(reading: Reading) -> list[int]:
    return [frame.record.frame_index for frame in reading.frames]


def assert_each_is_its_own(reading: Reading) -> None:
    for frame in reading.frames:
        record = frame.record
        assert read_number(frame.pixels) in (record.frame_index, None)
        assert record.time_s == pytest.approx(record.frame_index / 10, abs=1e-3)


@pytest.mark.parametrize("name", INTRA)
@pytest.mark.parametrize("destroyed", [(17,), (0, 1), (28, 29), (5, 6, 20)])
@pytest.mark.parametrize("plans", [True, False])
def test_a_destroyed_packet_is_a_gap_in_the_indices(
    name: str, destroyed: Sequence[int], plans: bool, tmp_path: Path
) -> None:
    path = make_video(tmp_path / name, INTRA[name])
    destroy(path, *destroyed)
    reading = read(path, plans=plans, model_input=AS_IT_IS)
    assert indices(reading) == [index for index in range(30) if index not in destroyed]
    assert_each_is_its_own(reading)
    report = reading.reader.report
    assert (report.frames_lost, report.frame_count) == (len(destroyed), 30)
    assert reading.reader.facts is not None
    assert reading.reader.facts.frame_count == 30


@pytest.mark.parametrize("ending", ["mp4", "mkv", "flv"])
def test_reordered_pictures_keep_their_numbers_behind_a_gap(ending: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video.{ending}", VideoSpec(frame_count=60, options=B_FRAMES))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    destroy(path, 15)
    reading = read(path, plans=False, model_input=AS_IT_IS)
    times = sorted(packet.pts or 0 for packet in packets)
    for frame in reading.frames:
        assert times[frame.record.frame_index] == frame.record.pts
        assert read_number(frame.pixels) in (frame.record.frame_index, None) or (
            12 <= frame.record.frame_index < 24  # the GOP that lacks a picture
        )
    report = reading.reader.report
    assert report.is_numbered
    assert len(reading.frames) + report.frames_lost == report.frame_count == 60


def test_the_warning_counts_the_lost_frames_and_names_the_first(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.avi", INTRA["mjpeg.avi"])
    destroy(path, 17)
    warning = lost_warning(read(path))
    assert warning.message.startswith("1 of 30 frames could not be decoded: 17 (1.700 s).")
    assert warning.frame_index == 17
    destroy(path, *range(5, 29))
    warning = lost_warning(read(path))
    assert warning.message.startswith("24 of 30 frames could not be decoded: 5 (0.500 s), 6 (")
    assert "24 (2.400 s) and 4 more." in warning.message
    assert warning.frame_index is None


def test_a_lost_frame_that_was_asked_for_is_missing_and_the_next_are_found(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", INTRA["mjpeg.mp4"])
    destroy(path, 10, 11)
    reading = read(path, "indices=3,10,12")
    assert indices(reading) == [3, 12]
    missing = [w for w in reading.reader.warnings if w.code == WarningCode.FRAME_NOT_FOUND]
    assert [w.frame_index for w in missing] == [10]
    assert indices(read(path, "every_seconds=1")) == [0, 12, 20], "the first that can be shown"
    assert indices(read(path, "every_nth=10")) == [0, 20]


def test_where_lost_frames_cannot_be_told_frames_are_counted_and_it_is_said(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.h264", VideoSpec(frame_count=60, size=(192, 128)))
    content = bytearray(path.read_bytes())
    for position in range(len(content) * 3 // 10, len(content) * 4 // 10, 97):
        content[position] ^= 0xFF
    path.write_bytes(content)
    reading = read(path)
    assert not reading.reader.report.is_numbered
    assert indices(reading) == list(range(len(reading.frames)))
    (warning,) = [w for w in reading.reader.warnings if w.code == WarningCode.DAMAGED_PACKETS]
    assert "cannot be told" in warning.message


def test_a_broadcast_that_begins_between_key_frames_begins_with_its_first(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.ts", VideoSpec(frame_count=40))
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = whole.read_bytes()
    late = join(tmp_path / "late.ts", whole)
    late.write_bytes(content[: 3 * 188] + content[packets[5].pos or 0 :])
    reading = read(late, model_input=AS_IT_IS)
    assert [read_number(frame.pixels) for frame in reading.frames] == list(range(12, 40))
    assert indices(reading) == list(range(28))


def test_a_damaged_file_is_closed_with_its_video(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", INTRA["mjpeg.mp4"])
    destroy(path, 3)
    gc.disable()  # what only the collector closes may stay open for long
    try:
        with open_video(path) as video:
            assert len(list(itertools.islice(video.pictures, 8))) == 8
            assert is_open(path)
        assert not is_open(path)
    finally:
        gc.enable()


def is_open(path: Path) -> bool:
    links = Path("/proc/self/fd").iterdir()
    return any(link.is_symlink() and link.readlink() == path for link in links)
