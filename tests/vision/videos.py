"""
Makes tiny videos whose frames carry their own number in their pixels, and reads the number back.

A number is written as a row of big black and white cells under a row with its complement, so a
picture that is damaged, blended or turned does not read as another number: it reads as none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vision.frames import Pixels

BITS = 10
"""Frames 0 to 1023 can be told apart."""
_BLACK, _WHITE = 16, 235
_MARGIN = 40
"""How near to its neighbour's brightness a cell may come before it reads as none."""


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """
    What to make.

    Attributes:
        times: Presentation times in units of `time_base`; evenly at `frame_rate` unless given.
        codec: An encoder's name, such as `libx264`, `libx265`, `libvpx-vp9`, `mpeg4`, `ffv1`.
        options: The encoder's.
        container_options: The muxer's.
        rotation_degrees: Clockwise turn that displaying takes; pixels are stored turned back.
        numbers: Written in the frames; 0, 1, 2, … unless given.
    """

    frame_count: int = 30
    size: tuple[int, int] = (96, 64)
    frame_rate: Fraction = Fraction(10)
    time_base: Fraction | None = None
    times: Sequence[int] | None = None
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(
        default_factory=lambda: {"g": "12", "bf": "0", "sc_threshold": "0"}
    )
    container_options: dict[str, str] = field(default_factory=dict)
    rotation_degrees: int = 0
    has_audio: bool = False
    numbers: Sequence[int] | None = None


B_FRAMES = {"g": "12", "sc_threshold": "0", "bf": "3", "b-adapt": "0", "b-pyramid": "normal"}
OPEN_GOP = {**B_FRAMES, "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"}
INTRA_REFRESH = {"g": "12", "x264-params": "intra-refresh=1:keyint=12"}


def make_video(
    path: Path, spec: VideoSpec | None = None, drawn: Sequence[Pixels] | None = None
) -> Path:
    """
    Encode a video; the file's ending names the container.

    Args:
        drawn: Pictures to encode in place of numbers; they set the count and the size.
    """
    spec = spec or VideoSpec()
    if drawn is not None:
        height, width = drawn[0].shape[:2]
        spec = replace(spec, size=(width, height), frame_count=len(drawn))
    with av.open(str(path), "w", container_options=spec.container_options) as container:
        stream = container.add_stream(
            spec.codec, rate=spec.frame_rate, options=_quiet(spec.codec, spec.options)
        )
        assert isinstance(stream, VideoStream)
        width, height = spec.size if spec.rotation_degrees % 180 == 0 else spec.size[::-1]
        stream.width, stream.height = width, height
        stream.pix_fmt = spec.pixel_format
        time_base = spec.time_base or 1 / spec.frame_rate
        stream.time_base = stream.codec_context.time_base = time_base
        if spec.rotation_degrees:
            stream.set_display_rotation(-spec.rotation_degrees)
        sound = container.add_stream("aac", rate=8000, layout="mono") if spec.has_audio else None
        pictures = drawn or [draw_number(number, spec.size) for number in _numbers(spec)]
        for picture, pts in zip(pictures, _times(spec), strict=True):
            stored = np.rot90(picture, spec.rotation_degrees // 90)
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")
            image.pts, image.time_base = pts, time_base
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
        if sound is not None:
            _add_sound(container, sound, spec)
    return path


def make_sound(path: Path, seconds: int = 1) -> Path:
    """Encode a file with sound and no pictures."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        _add_sound(container, sound, VideoSpec(frame_count=seconds * 10))
    return path


def remux(
    source: Path, target: Path, *, shift_s: float = 0.0, options: dict[str, str] | None = None
) -> Path:
    """
    Copy a video's packets into another container.

    Args:
        shift_s: Added to every timestamp. What falls before zero an MP4 hides by an edit list.
        options: The muxer's.
    """
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", container_options=options or {}) as new,
    ):
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream, opaque=True)
        assert stream.time_base is not None
        offset = round(shift_s / stream.time_base)
        for packet in old.demux(stream):
            if packet.dts is None:
                continue
            packet.dts += offset
            packet.pts = (packet.pts or 0) + offset
            packet.stream = copy
            new.mux(packet)
    return target


def join(target: Path, *parts: Path) -> Path:
    """Put files end to end, as MPEG-TS allows; timestamps begin anew with each part."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def cut(source: Path, target: Path, fraction: float) -> Path:
    """Keep only the beginning of a file's bytes."""
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * fraction)])
    return target


def draw_number(number: int, size: tuple[int, int]) -> Pixels:
    """A number as a uint8 RGB picture of shape (H, W, 3) for `size` = (width, height)."""
    width, height = size
    picture = np.full((height, width, 3), (_BLACK + _WHITE) // 2, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        is_set = bool(number >> bit & 1)
        picture[: height // 2, left:right] = _WHITE if is_set else _BLACK
        picture[height // 2 :, left:right] = _BLACK if is_set else _WHITE
    return picture


def read_number(picture: Pixels) -> int | None:
    """The number drawn in an RGB picture, however scaled; None where it cannot be told."""
    grey: NDArray[np.float64] = picture.mean(axis=2)
    height, width = grey.shape
    number = 0
    for bit in range(BITS):
        centre = int((bit + 0.5) * width / BITS)
        above, below = float(grey[height // 4, centre]), float(grey[height * 3 // 4, centre])
        if abs(above - below) < _MARGIN:
            return None
        number |= (above > below) << bit
    return number


def _numbers(spec: VideoSpec) -> Iterable[int]:
    return spec.numbers if spec.numbers is not None else range(spec.frame_count)


def _times(spec: VideoSpec) -> Sequence[int]:
    if spec.times is not None:
        return spec.times
    step = 1 / spec.frame_rate / (spec.time_base or 1 / spec.frame_rate)
    return [int(index * step) for index in range(spec.frame_count)]


def _quiet(codec: str, options: dict[str, str]) -> dict[str, str]:
    """x265 and SVT-AV1 write to stderr by themselves."""
    if codec == "libx265":
        return {**options, "x265-params": options.get("x265-params", "log-level=none")}
    return options


def _add_sound(container: OutputContainer, sound: AudioStream, spec: VideoSpec) -> None:
    seconds = spec.frame_count / spec.frame_rate
    for start in range(0, int(8000 * seconds), 1024):
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        block.sample_rate, block.pts = 8000, start
        container.mux(sound.encode(block))
    container.mux(sound.encode(None))
