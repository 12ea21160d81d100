"""The videos that are mutated: every codec in the containers it is found in."""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tests.vision.videos import B_FRAMES, VideoSpec, make_video, remux

SAME_EVERY_TIME = {"fflags": "+bitexact"}
"""Muxers otherwise write random numbers and the time."""
_FRAMES = 12
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:keyint=6:bframes=2:frame-threads=1"}
_VP9 = {"cpu-used": "8", "deadline": "good", "g": "6", "auto-alt-ref": "1", "lag-in-frames": "6"}
_AV1 = {"preset": "12", "crf": "40", "g": "6", "svtav1-params": "lp=1"}


@dataclass(frozen=True, slots=True)
class SeedVideo:
    """
    A whole video.

    Attributes:
        codec: As people call it.
        form: Of the file, as people call it.
    """

    codec: str
    form: str
    ending: str
    spec: VideoSpec
    options: dict[str, str] | None = None

    @property
    def name(self) -> str:
        return f"{self.codec} {self.form}"


def _spec(codec: str, options: dict[str, str], size: tuple[int, int] = (96, 64)) -> VideoSpec:
    return VideoSpec(frame_count=_FRAMES, codec=codec, options=options, size=size)


_H264 = _spec("libx264", {**B_FRAMES, "g": "6"})
_HEVC = _spec("libx265", _X265, (160, 128))
_MJPEG = VideoSpec(frame_count=_FRAMES, codec="mjpeg", options={"q": "3"}, pixel_format="yuvj420p")
_TS = Fraction(1, 90_000)

SEED_VIDEOS = (
    SeedVideo("H.264", "MP4", "mp4", _H264),
    SeedVideo("H.264", "MP4 in fragments", "mp4", _H264, {"movflags": "frag_keyframe+empty_moov"}),
    SeedVideo("H.264", "MKV", "mkv", _H264),
    SeedVideo("H.264", "TS", "ts", _H264),
    SeedVideo("H.264", "AVI", "avi", _spec("libx264", {"g": "6", "bf": "0"})),
    SeedVideo("H.264", "raw", "h264", _H264),
    SeedVideo("H.265", "MP4", "mp4", _HEVC),
    SeedVideo("H.265", "MKV", "mkv", _HEVC),
    SeedVideo("H.265", "TS", "ts", _HEVC),
    SeedVideo("VP9", "WebM", "webm", _spec("libvpx-vp9", _VP9)),
    SeedVideo("VP9", "MP4", "mp4", _spec("libvpx-vp9", _VP9)),
    SeedVideo("AV1", "MP4", "mp4", _spec("libsvtav1", _AV1, (128, 96))),
    SeedVideo("AV1", "MKV", "mkv", _spec("libsvtav1", _AV1, (128, 96))),
    SeedVideo("MJPEG", "AVI", "avi", _MJPEG),
    SeedVideo("MJPEG", "MKV", "mkv", _MJPEG),
    SeedVideo("MJPEG", "MP4", "mp4", _MJPEG),
)


def make_seeds(folder: Path) -> dict[str, Path]:
    """Encode all of them into a folder, by name."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 writes to stderr by itself
    made: dict[str, Path] = {}
    for number, seed in enumerate(SEED_VIDEOS):
        path = folder / f"seed{number}.{seed.ending}"
        first = made.get(f"{seed.codec} MP4")
        options = {**SAME_EVERY_TIME, **(seed.options or {})}
        if first is not None and seed.ending != "avi":
            remux(first, path, options=options)
        else:
            make_video(path, replace(seed.spec, container_options=options))
        made[seed.name] = path
    return made
