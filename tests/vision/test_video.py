"""Opening says what a video is, or what is wrong with the file in words its sender can act on."""

import os
import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from contracts.outcomes import RejectionCode, WarningCode
from contracts.results import VideoFacts
from tests.vision.bad_videos import BAD_VIDEOS
from tests.vision.videos import B_FRAMES, VideoSpec, make_video
from vision.faults import RejectedVideoError
from vision.limits import Limits
from vision.video import open_video


def facts_of(path: Path, limits: Limits | None = None) -> VideoFacts:
    with open_video(path, limits) as video:
        return video.facts


def rejection_of(path: Path, limits: Limits | None = None) -> RejectedVideoError:
    with pytest.raises(RejectedVideoError) as caught, open_video(path, limits):
        pass
    return caught.value


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_file_is_rejected_with_its_code_and_a_sentence(name: str, tmp_path: Path) -> None:
    make, code = BAD_VIDEOS[name]
    make(tmp_path / "bad.mp4")
    rejection = rejection_of(tmp_path / "bad.mp4")
    assert rejection.code is code
    assert rejection.message.endswith(".")
    assert len(rejection.message) > 20


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_nothing_is_written_to_stderr(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    BAD_VIDEOS[name][0](tmp_path / "bad.mp4")
    capfd.readouterr()
    rejection_of(tmp_path / "bad.mp4")
    assert capfd.readouterr() == ("", "")


def test_facts_are_those_of_the_stream(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES, has_audio=True))
    assert facts_of(path) == VideoFacts(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        pixel_format="yuv420p",
        width=96,
        height=64,
        rotation_degrees=0,
        time_base=Fraction(1, 10240),
        duration_s=3.0,
        average_frame_rate=Fraction(10),
        has_audio=True,
    )


def test_facts_that_a_file_does_not_state_are_left_out(tmp_path: Path) -> None:
    facts = facts_of(make_video(tmp_path / "video.h264"))
    assert facts.duration_s is None
    assert not facts.has_audio
    assert facts.average_frame_rate == 10


def test_the_first_of_several_video_streams_is_taken_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream, size in zip(streams, ((64, 48), (32, 32)), strict=True):
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
        for stream in streams:
            for _ in range(3):
                image = av.VideoFrame(stream.width, stream.height, "yuv420p")
                container.mux(stream.encode(image))
            container.mux(stream.encode(None))
    with open_video(path) as video:
        assert (video.facts.width, video.facts.height) == (64, 48)
        assert [w.code for w in video.warnings] == [WarningCode.SEVERAL_VIDEO_STREAMS]


def test_large_pictures_and_long_videos_are_rejected_before_they_are_decoded(
    tmp_path: Path,
) -> None:
    path = make_video(tmp_path / "video.mp4")
    large = rejection_of(path, Limits(max_pixels=96 * 64 - 1))
    long = rejection_of(path, Limits(max_duration_s=2.9))
    assert (large.code, long.code) == (RejectionCode.TOO_LARGE, RejectionCode.TOO_LARGE)
    assert "96×64" in large.message
    assert "3 s" in long.message
    facts_of(path, Limits(max_pixels=96 * 64, max_duration_s=3.0))


@pytest.mark.parametrize(
    "name",
    [
        "a b+c%20d.mp4",
        "файл 動画 🎬.mp4",
        "concat:x|y.mp4",
        "http:x.mp4",
        "x" * 251 + ".mp4",
        "-i.mp4",
    ],
)
def test_any_file_name_is_only_a_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "video.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert facts_of(Path(name)).width == 96


def test_a_fault_of_the_machine_is_no_rejection(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_video(tmp_path / "none.mp4"):
        pass
    with pytest.raises(IsADirectoryError), open_video(tmp_path):
        pass


@pytest.fixture
def caller_count() -> Iterator[tuple[str, list[object]]]:
    """A loopback address, and the connections made to it."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                callers.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", callers
        stop.set()
        thread.join()


@pytest.mark.parametrize("ending", ["mp4", "m3u8", "txt", "mpd", "sdp"])
def test_a_playlist_fetches_nothing_and_reads_no_other_file(
    ending: str, tmp_path: Path, caller_count: tuple[str, list[object]]
) -> None:
    address, callers = caller_count
    other = make_video(tmp_path / "other.ts")
    hostile = tmp_path / f"hostile.{ending}"
    for content in (
        f"#EXTM3U\n#EXTINF:1,\n{address}/a.ts\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{os.path.relpath(other, tmp_path)}\n",
        f"ffconcat version 1.0\nfile {address}/a.mp4\n",
        "ffconcat version 1.0\nfile other.ts\n",
    ):
        hostile.write_text(content, encoding="utf-8")
        assert rejection_of(hostile).code is RejectionCode.NOT_A_VIDEO
    assert callers == []
