"""
Videos to measure on, made once and kept under `.build/bench`.

Their names carry what they are made of, so a change of it makes them anew.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from benchmarks.content import moving_pictures

Packets = list["av.Packet[VideoStream]"]

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".build" / "bench"
REAL_VIDEOS = ROOT.parent / "shared" / "data" / "videos"
_VERSION = 1
"""Raise it when `benchmarks.content` draws other pictures."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """
    A generated video: H.264 with three B-frames in pyramids, as x264 makes it by default.

    Attributes:
        size: `(width, height)` in pixels.
        gop: Frames from one IDR frame to the next.
        bitrate: Aimed at, bits per second.
        first_number: Drawn in the first picture.
    """

    name: str
    size: tuple[int, int]
    frames: int
    gop: int
    bitrate: int
    frame_rate: int = 30
    seed: int = 1
    first_number: int = 0

    def file(self, suffix: str) -> Path:
        """Where it is kept."""
        width, height = self.size
        stem = f"{self.name}-{width}x{height}-{self.frames}f-gop{self.gop}-{self.bitrate // 1000}k"
        return CACHE / f"{stem}-s{self.seed}-v{_VERSION}{suffix}"


def make_video(recipe: Recipe) -> Path:
    """The video's file."""
    path = recipe.file(".mp4")
    if not path.exists():
        print(f"making {path.name}", flush=True)
        growing = path.with_name(f"{os.getpid()}-{path.name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        _encode(recipe, growing)
        growing.replace(path)
    return path


def long_video(recipe: Recipe, minutes: int) -> Path:
    """A video of so many minutes, at the cost of encoding the recipe's: it is repeated."""
    source = make_video(recipe)
    path = recipe.file(f"-{minutes}min.mp4")
    if not path.exists():
        growing = path.with_name(f"{os.getpid()}-{path.name}")
        _repeat(source, growing, minutes * 60 * recipe.frame_rate)
        growing.replace(path)
    return path


def make_clips(recipe: Recipe, suffix: str) -> list[Path]:
    """
    The GOPs of a video but the first, each a file of its own.

    An encoder that is given a second of video spends half of its bits on the first frame, as it
    knows nothing yet of what comes. So clips are cut from a longer stream, as recorders cut them.
    """
    count = recipe.frames // recipe.gop - 1
    paths = [recipe.file(f"-clip{number}{suffix}") for number in range(1, count + 1)]
    if all(path.exists() for path in paths):
        return paths
    with av.open(str(make_video(recipe))) as read:
        stream = read.streams.video[0]
        packets = [packet for packet in read.demux(stream) if packet.size]
        for number, path in enumerate(paths, 1):
            gop = packets[number * recipe.gop : (number + 1) * recipe.gop]
            assert gop[0].is_keyframe
            write = _write_mp4 if suffix == ".mp4" else _write_raw
            growing = path.with_name(f"{os.getpid()}-{path.name}")
            write(stream, gop, growing)
            growing.replace(path)
    return paths


def _write_mp4(stream: VideoStream, packets: Packets, path: Path) -> None:
    assert stream.time_base is not None
    with av.open(str(path), "w") as written:
        copy = written.add_stream_from_template(stream)
        shift = min(packet.pts or 0 for packet in packets)
        for packet in packets:
            content = av.Packet(bytes(packet))
            content.stream, content.time_base = copy, stream.time_base
            content.pts, content.dts = (packet.pts or 0) - shift, (packet.dts or 0) - shift
            content.duration, content.is_keyframe = packet.duration, packet.is_keyframe
            written.mux(content)


def _write_raw(stream: VideoStream, packets: Packets, path: Path) -> None:
    annexb = BitStreamFilterContext("h264_mp4toannexb", stream)
    with path.open("wb") as file:
        for packet in packets:
            for unit in annexb.filter(packet):
                file.write(bytes(unit))


def real_videos() -> Iterator[Path]:
    """Filmed clips kept beside the checkout; none where there are none."""
    if REAL_VIDEOS.is_dir():
        yield from sorted(REAL_VIDEOS.glob("*.mp4"))


def bitrate_of(path: Path, duration_s: float) -> float:
    """Bits per second."""
    return path.stat().st_size * 8 / duration_s


def _encode(recipe: Recipe, path: Path) -> None:
    options = {
        "preset": "faster",
        "bf": "3",
        "g": str(recipe.gop),
        "keyint_min": str(recipe.gop),
        "sc_threshold": "0",
        "x264-params": "b-pyramid=normal:b-adapt=1",
    }
    time_base = Fraction(1, recipe.frame_rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=recipe.frame_rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = recipe.size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = recipe.bitrate
        stream.thread_type = "AUTO"
        pictures = moving_pictures(recipe.size, recipe.frames, recipe.seed, recipe.first_number)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = index, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _repeat(source: Path, path: Path, frames: int) -> None:
    with av.open(str(source)) as read, av.open(str(path), "w") as written:
        template = read.streams.video[0]
        time_base = template.time_base
        assert time_base is not None
        assert template.average_rate is not None
        step = round(1 / (template.average_rate * time_base))
        packets = [packet for packet in read.demux(template) if packet.size]
        timed = [(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in packets]
        stream = written.add_stream_from_template(template)
        for number in range(frames // len(timed)):
            for content, pts, dts, is_keyframe in timed:
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, time_base
                packet.pts = pts + number * len(timed) * step
                packet.dts = dts + number * len(timed) * step
                packet.is_keyframe = is_keyframe
                written.mux(packet)


def facts_of(path: Path) -> dict[str, object]:
    """Size, frame rate, length and bitrate of a video, for the report."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        duration_s = float((stream.duration or 0) * (stream.time_base or 0))
        return {
            "width": stream.width,
            "height": stream.height,
            "frame_rate": float(stream.average_rate or 0),
            "duration_s": round(duration_s, 2),
            "mbit_per_s": round(bitrate_of(path, duration_s) / 1e6, 2) if duration_s else None,
        }


if __name__ == "__main__":
    print(json.dumps({path.name: facts_of(path) for path in real_videos()}, indent=1))
