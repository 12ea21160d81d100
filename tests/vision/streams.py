"""Streams of every kind that plans are made for, drawn at random; and ways to damage them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from random import Random

import av.error
from hypothesis import reject
from hypothesis import strategies as st

from tests.vision.videos import VideoSpec, make_video, remux

MAX_FRAMES = 64
os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to stderr by itself


@dataclass(frozen=True, slots=True)
class StreamCase:
    """
    A video to make.

    Attributes:
        shift_frames: Of all timestamps; what falls before zero an MP4 hides by an edit list.
    """

    ending: str
    spec: VideoSpec
    shift_frames: int = 0

    def make(self, folder: Path) -> Path:
        """Encode it; what the encoder refuses, or loses frames of, makes no case."""
        try:
            path = make_video(folder / f"video.{self.ending}", self.spec)
        except av.error.FFmpegError:
            reject()
        with av.open(str(path)) as container:
            packets = sum(packet.size > 0 for packet in container.demux(video=0))
        if packets < self.spec.frame_count:
            reject()
        if not self.shift_frames:
            return path
        shift_s = float(self.shift_frames / self.spec.frame_rate)
        shifted = remux(path, folder / f"shifted.{self.ending}", shift_s=shift_s)
        return shifted if shifted.exists() else path


@st.composite
def streams(draw: st.DrawFn) -> StreamCase:
    """Any codec in any container that takes it."""
    make = draw(
        st.sampled_from([_h264, _h264, _h264, _hevc, _hevc, _vp9, _vp8, _av1, _mpeg4, _mjpeg])
    )
    ending, spec = make(draw)
    spec = replace(
        spec,
        # FFmpeg knows no transport stream by fewer than ten packets.
        frame_count=draw(st.integers(1 if ending != "ts" else 8, MAX_FRAMES)),
        rotation_degrees=draw(st.sampled_from([0, 0, 0, 90, 180, 270])) if ending == "mp4" else 0,
        has_audio=draw(st.booleans()) and ending in ("mp4", "mkv", "ts"),
    )
    # FFmpeg's decoder drops MPEG-4 B-VOPs that are far apart.
    may_vary = spec.codec != "mpeg4" or spec.options["bf"] == "0"
    if ending in ("mp4", "mkv") and may_vary and draw(st.booleans()):
        spec = replace(spec, times=_uneven(draw, spec.frame_count), time_base=Fraction(1, 1000))
    elif ending == "ts":
        spec = replace(spec, time_base=Fraction(1, 90_000))
    shift = draw(st.sampled_from([0, 0, 0, -5, 30])) if ending in ("mp4", "mkv", "ts") else 0
    if shift < 0 and (ending != "mp4" or spec.times is not None or spec.has_audio):
        shift = 0
    if spec.rotation_degrees:
        shift = 0
    return StreamCase(ending, spec, 0 if spec.has_audio else shift)


def _uneven(draw: st.DrawFn, count: int) -> list[int]:
    gaps = draw(st.lists(st.integers(2, 900), min_size=count, max_size=count))
    return [sum(gaps[:index]) for index in range(count)]


def _gop(draw: st.DrawFn) -> int:
    return draw(st.sampled_from([1, 2, 3, 5, 8, 12, 20, 30, 250]))


def _h264(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    gop = _gop(draw)
    x264 = [f"keyint={gop}:min-keyint=1:scenecut={draw(st.sampled_from([0, 40]))}"]
    pyramid = draw(st.sampled_from(["none", "strict", "normal"]))
    x264.append(f"bframes={draw(st.integers(0, 3))}:b-pyramid={pyramid}")
    x264.append(f"b-adapt={draw(st.integers(0, 1))}:ref={draw(st.sampled_from([1, 2, 4, 16]))}")
    x264.append(f"weightp={draw(st.integers(0, 2))}:slices={draw(st.sampled_from([1, 1, 2, 4]))}")
    if draw(st.booleans()):
        x264.append(f"open-gop={draw(st.integers(0, 1))}")
    elif draw(st.integers(0, 3)) == 0:
        x264.append("intra-refresh=1")
    if draw(st.integers(0, 4)) == 0:
        x264.append(draw(st.sampled_from(["tff=1", "bff=1", "fake-interlaced=1"])))
    if draw(st.booleans()):
        x264.append("aud=1:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900")
    pixel_format = draw(st.sampled_from(["yuv420p"] * 4 + ["yuv422p", "yuv444p", "yuv420p10le"]))
    size = draw(st.sampled_from([(96, 64), (96, 64), (130, 66)]))
    if pixel_format == "yuv444p":
        size = draw(st.sampled_from([(97, 65), (96, 64)]))
    ending = draw(st.sampled_from(["mp4", "mp4", "mkv", "ts", "avi", "h264", "flv"]))
    options = {"preset": draw(st.sampled_from(["ultrafast", "veryfast", "medium"]))}
    options["x264-params"] = ":".join(x264)
    rate = draw(st.sampled_from([Fraction(10), Fraction(25), Fraction(30000, 1001), Fraction(12)]))
    return ending, VideoSpec(options=options, pixel_format=pixel_format, size=size, frame_rate=rate)


def _hevc(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    x265 = [f"log-level=none:keyint={_gop(draw)}:min-keyint=1:open-gop={draw(st.integers(0, 1))}"]
    x265.append(f"bframes={draw(st.integers(0, 4))}:b-pyramid={draw(st.integers(0, 1))}")
    x265.append(f"ref={draw(st.integers(1, 4))}:scenecut={draw(st.sampled_from([0, 40]))}")
    ending = draw(st.sampled_from(["mp4", "mkv", "ts"]))
    headers = 1 if ending == "ts" else draw(st.integers(0, 1))
    layers, radl = draw(st.sampled_from([0, 0, 2, 3])), draw(st.sampled_from([0, 0, 2]))
    x265.append(f"temporal-layers={layers}:repeat-headers={headers}:radl={radl}")
    options = {"preset": "ultrafast", "x265-params": ":".join(x265)}
    pixel_format = draw(st.sampled_from(["yuv420p", "yuv420p", "yuv420p10le", "yuv422p10le"]))
    # Below this size x265 4.1 writes beyond its buffers.
    size = (160, 128)
    return ending, VideoSpec(codec="libx265", options=options, pixel_format=pixel_format, size=size)


def _vp9(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    options = {"cpu-used": "8", "deadline": "realtime", "g": str(_gop(draw))}
    if draw(st.booleans()):
        options |= {"auto-alt-ref": "1", "lag-in-frames": "12", "deadline": "good"}
    ending = draw(st.sampled_from(["webm", "mkv", "mp4"]))
    size = draw(st.sampled_from([(96, 64), (97, 65)]))
    return ending, VideoSpec(codec="libvpx-vp9", options=options, size=size)


def _vp8(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    options = {"cpu-used": "8", "g": str(_gop(draw)), "auto-alt-ref": "1", "lag-in-frames": "9"}
    return draw(st.sampled_from(["webm", "mkv"])), VideoSpec(codec="libvpx", options=options)


def _av1(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    structure = draw(st.sampled_from([1, 2]))
    options = {
        "preset": "12",
        "crf": "20",
        "g": str(max(2, _gop(draw))),
        "svtav1-params": f"pred-struct={structure}:lp=1",
    }
    pixel_format = draw(st.sampled_from(["yuv420p", "yuv420p10le"]))
    ending = draw(st.sampled_from(["mp4", "mkv", "webm"]))
    return ending, VideoSpec(
        codec="libsvtav1", options=options, size=(128, 96), pixel_format=pixel_format
    )


def _mpeg4(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    options = {"g": str(_gop(draw)), "bf": str(draw(st.integers(0, 3))), "q": "3"}
    if draw(st.booleans()):
        options["flags"] = draw(st.sampled_from(["+ilme+ildct", "+qpel"]))
    return draw(st.sampled_from(["mp4", "avi", "mkv"])), VideoSpec(codec="mpeg4", options=options)


def _mjpeg(draw: st.DrawFn) -> tuple[str, VideoSpec]:
    size = draw(st.sampled_from([(96, 64), (97, 65)]))
    spec = VideoSpec(codec="mjpeg", options={"q": "3"}, size=size, pixel_format="yuvj420p")
    return draw(st.sampled_from(["avi", "mkv", "mp4"])), spec


def _flip(content: bytearray, random: Random) -> None:
    for _ in range(random.choice([1, 1, 2, 20])):
        content[random.randrange(len(content) // 8, len(content))] ^= 1 << random.randrange(8)


def _overwrite(content: bytearray, random: Random) -> None:
    start = random.randrange(len(content) // 8, len(content))
    stop = min(len(content), start + random.randrange(1, 400))
    content[start:stop] = random.randbytes(stop - start)


def _cut(content: bytearray, random: Random) -> None:
    del content[random.randrange(len(content) // 4, len(content)) :]


def _remove(content: bytearray, random: Random) -> None:
    start = random.randrange(len(content) // 8, len(content))
    del content[start : start + random.randrange(1, 400)]


DAMAGES: tuple[Callable[[bytearray, Random], None], ...] = (_flip, _overwrite, _cut, _remove)


def damage(path: Path, seed: int) -> None:
    """Do some harm to a file beyond its first eighth."""
    random = Random(seed)  # noqa: S311 - no secret
    content = bytearray(path.read_bytes())
    random.choice(DAMAGES)(content, random)
    path.write_bytes(content)
