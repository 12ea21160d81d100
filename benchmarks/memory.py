"""
Does the container's memory grow with the length of a video?

Runs the Processing container on one minute and on ten minutes of the same 1080p25 H.264 and prints
the peak resident set of its process for each, and their ratio. The aim is a ratio of at most 1.05.

    python -m benchmarks.memory
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from contracts.documents import to_json
from contracts.messages import InferenceRequests, Source, inference_request
from contracts.models import resolve_model
from contracts.results import AttemptDocument
from contracts.selection import Selection
from vision.results import read_attempt

FRAME_RATE = 25
SIZE = (1920, 1080)
AIM = 1.05
_GROUP_FRAMES = 50
_COMMAND = ("-m", "containers.processing", "--image-width", "640", "--image-height", "360")
"""Small pictures, for the model's sake: what grows with length would be on the decoder's side."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, nargs=2, default=(1, 10), metavar=("SHORT", "LONG"))
    parser.add_argument("--repeats", type=int, default=1, help="the lowest peak of each is taken")
    options = parser.parse_args()
    print(f"{'minutes':>8} {'frames':>8} {'processed':>10} {'seconds':>8} {'peak MB':>8}")
    peaks = []
    with tempfile.TemporaryDirectory(prefix="framewright-memory-") as folder:
        for minutes in options.minutes:
            video = make_long_video(Path(folder) / f"{minutes}.mp4", minutes)
            runs = [measure(Path(folder), video) for _ in range(options.repeats)]
            attempt, seconds = min(runs, key=lambda run: run[0].peak_memory_bytes)
            peaks.append(attempt.peak_memory_bytes)
            counts = attempt.counts
            print(
                f"{minutes:>8} {counts.frames_decoded:>8} {counts.frames_processed:>10} "
                f"{seconds:>8.1f} {peaks[-1] / 1e6:>8.1f}"
            )
    print(f"ratio {peaks[1] / peaks[0]:.3f} (aim: at most {AIM})")


def make_long_video(path: Path, minutes: int) -> Path:
    """A video of so many minutes, at the cost of encoding two seconds: one closed GOP, repeated."""
    time_base = Fraction(1, FRAME_RATE)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264",
            rate=FRAME_RATE,
            options={"preset": "veryfast", "g": str(_GROUP_FRAMES), "sc_threshold": "0", "bf": "2"},
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        packets = []
        for index in range(_GROUP_FRAMES):
            image = av.VideoFrame.from_ndarray(_picture(index), format="rgb24")
            image.pts, image.time_base = index, time_base
            packets += stream.encode(image)
        packets += stream.encode(None)
        timed = [(bytes(p), p.pts or 0, p.dts or 0, p.is_keyframe) for p in packets]
        for repeat in range(minutes * 60 * FRAME_RATE // _GROUP_FRAMES):
            for content, pts, dts, is_keyframe in timed:
                packet = av.Packet(content)
                packet.stream, packet.time_base = stream, time_base
                packet.pts = pts + repeat * _GROUP_FRAMES
                packet.dts = dts + repeat * _GROUP_FRAMES
                packet.is_keyframe = is_keyframe
                container.mux(packet)
    return path


def measure(folder: Path, video: Path) -> tuple[AttemptDocument, float]:
    """The attempt's document of one run of the container, and how long its process lived."""
    with tempfile.TemporaryDirectory(prefix="ml-", dir=folder) as ml_root:
        root = Path(ml_root)
        (root / "processing/input/requests").mkdir(parents=True)
        (root / "processing/input/videos").mkdir(parents=True)
        (root / "processing/input/videos" / video.name).hardlink_to(video)
        digest = hashlib.sha256(str(video.stat().st_size).encode()).hexdigest()[:32]
        request = inference_request(
            source=Source("uploads", video.name, digest, video.stat().st_size),
            model=resolve_model("builtin:people"),
            selection=Selection.parse("every_seconds=1"),
            attempt=1,
            results_bucket="results",
        )
        requests = root / "processing/input/requests/requests.json"
        requests.write_text(to_json(InferenceRequests((request,))), encoding="utf-8")
        start = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, *_COMMAND],
            env={**os.environ, "ML_ROOT": ml_root},
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - start
        assert json.loads(ended.stdout.splitlines()[-1])["answered"] == 1
        folder_of_attempt = root / "processing/output/results" / request.output.prefix
        return read_attempt(folder_of_attempt), seconds


def _picture(index: int) -> np.ndarray:
    """A gradient that moves."""
    width, height = SIZE
    across = (np.arange(width) * 255 // width + index * 5) % 256
    down = np.arange(height) * 255 // height
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0], picture[..., 1], picture[..., 2] = across, down[:, None], 128
    return picture


if __name__ == "__main__":
    main()
