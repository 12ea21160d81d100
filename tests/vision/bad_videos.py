"""Files that are no video, or hardly: each with the code it must be rejected with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from contracts.outcomes import RejectionCode
from tests.vision.videos import VideoSpec, cut, make_sound, make_video, remux


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This is no video, whatever its name says.\n" * 40, encoding="utf-8")


def random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(7).bytes(20_000))


def without_moov(path: Path) -> None:
    cut(make_video(path, VideoSpec(size=(192, 128))), path, 0.3)


def within_moov(path: Path) -> None:
    remux(make_video(path.with_suffix(".whole.mp4")), path, options={"movflags": "faststart"})
    cut(path, path, 0.05)


def after_moov(path: Path) -> None:
    remux(make_video(path.with_suffix(".whole.mp4")), path, options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 4])


def beyond_all_bounds(path: Path) -> None:
    """A box that claims to be longer than any file can be."""
    content = make_video(path).read_bytes()
    path.write_bytes(content[:24] + b"\x00\x00\x00\x01free" + b"\xff" * 8 + content[24:])


def sound_only(path: Path) -> None:
    make_sound(path)


def sound_with_cover(path: Path) -> None:
    """A cover picture is stored as a video stream, and is none."""
    import av
    from av.stream import Disposition

    cover = make_video(
        path.with_suffix(".cover.mkv"),
        VideoSpec(codec="mjpeg", options={}, frame_count=1, pixel_format="yuvj420p"),
    )
    sound = make_sound(path.with_suffix(".sound.mp4"))
    with (
        av.open(str(cover)) as pictures,
        av.open(str(sound)) as sounds,
        av.open(str(path), "w") as target,
    ):
        sound_copy = target.add_stream_from_template(sounds.streams.audio[0])
        copy = target.add_stream_from_template(pictures.streams.video[0])
        copy.disposition = Disposition.attached_pic
        for source, stream in ((sounds, sound_copy), (pictures, copy)):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)


def no_frames(path: Path) -> None:
    """An MP4 whose header knows a stream of which nothing was recorded."""
    make_video(path, options_of_fragments(), drawn=None)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moof") - 4])


def options_of_fragments() -> VideoSpec:
    return VideoSpec(container_options={"movflags": "frag_keyframe+empty_moov"})


def picture(path: Path) -> None:
    import cv2

    path.write_bytes(bytes(cv2.imencode(".png", np.zeros((20, 20, 3), np.uint8))[1]))


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/part.ts\n", encoding="utf-8")


def concatenation(path: Path) -> None:
    make_video(path.with_name("other.mp4"))
    path.write_text("ffconcat version 1.0\nfile other.mp4\n", encoding="utf-8")


def undecodable(path: Path) -> None:
    """A good container around noise."""
    content = bytearray(make_video(path, VideoSpec(size=(192, 128))).read_bytes())
    start = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[start:end] = np.random.default_rng(7).bytes(end - start)
    path.write_bytes(content)


BAD_VIDEOS: dict[str, tuple[Callable[[Path], None], RejectionCode]] = {
    "empty": (empty, RejectionCode.EMPTY_FILE),
    "text": (text, RejectionCode.NOT_A_VIDEO),
    "random_bytes": (random_bytes, RejectionCode.NOT_A_VIDEO),
    "without_moov": (without_moov, RejectionCode.TRUNCATED),
    "within_moov": (within_moov, RejectionCode.TRUNCATED),
    "after_moov": (after_moov, RejectionCode.TRUNCATED),
    "beyond_all_bounds": (beyond_all_bounds, RejectionCode.TRUNCATED),
    "sound_only": (sound_only, RejectionCode.NO_VIDEO_STREAM),
    "sound_with_cover": (sound_with_cover, RejectionCode.NO_VIDEO_STREAM),
    "no_frames": (no_frames, RejectionCode.NO_FRAMES),
    "picture": (picture, RejectionCode.NOT_A_VIDEO),
    "playlist": (playlist, RejectionCode.NOT_A_VIDEO),
    "concatenation": (concatenation, RejectionCode.NOT_A_VIDEO),
    "undecodable": (undecodable, RejectionCode.UNREADABLE),
}
