"""Runs of the Processing container's entry point, over a private tree instead of /opt/ml."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import CACHE, ROOT
from contracts.documents import to_json
from contracts.messages import InferenceRequest, InferenceRequests, Source, inference_request
from contracts.models import resolve_model
from contracts.results import AttemptDocument
from contracts.selection import Selection
from vision.results import read_attempt

_ARGUMENTS = ("--image-width", "640", "--image-height", "360")
"""Small pictures, for the model's sake: what grows with length would be on the decoder's side."""

_UNTIL_FIRST_FRAME = """
import os, time
import vision.models.load as loading

class Stop:
    def __init__(self, model):
        self.model = model
    def __getattr__(self, name):
        return getattr(self.model, name)
    def predict(self, batch):
        os.write(1, f"{time.monotonic()}\\n".encode())
        os._exit(0)

load = loading.load_model
loading.load_model = lambda *given, **named: Stop(load(*given, **named))
import runpy
runpy.run_module("containers.processing", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """
    What SageMaker would have laid out for one video.

    Attributes:
        root: Given to the container as ML_ROOT.
    """

    root: Path
    request: InferenceRequest

    @property
    def environment(self) -> dict[str, str]:
        """The container's."""
        return {**os.environ, "ML_ROOT": str(self.root)}


@contextmanager
def ml_tree(video: Path) -> Iterator[Tree]:
    """A tree that asks for one frame a second of a video, by a built-in model."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ml-", dir=CACHE) as folder:
        inputs = Path(folder) / "processing" / "input"
        (inputs / "requests").mkdir(parents=True)
        (inputs / "videos").mkdir(parents=True)
        (inputs / "videos" / video.name).hardlink_to(video)
        size_bytes = video.stat().st_size
        request = inference_request(
            source=Source(
                "uploads", video.name, hashlib.sha256(video.name.encode()).hexdigest(), size_bytes
            ),
            model=resolve_model("builtin:people"),
            selection=Selection.parse("every_seconds=1"),
            attempt=1,
            results_bucket="results",
        )
        document = to_json(InferenceRequests((request,)))
        (inputs / "requests" / "requests.json").write_text(document, encoding="utf-8")
        yield Tree(Path(folder), request)


def run_container(video: Path) -> AttemptDocument:
    """The document that a whole run leaves."""
    with ml_tree(video) as tree:
        subprocess.run(
            [sys.executable, "-m", "containers.processing", *_ARGUMENTS],
            env=tree.environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return read_attempt(tree.root / "processing" / "output" / tree.request.output.prefix)


def first_frame_s(video: Path) -> float:
    """From the start of the interpreter until the model is given the first frame."""
    with ml_tree(video) as tree:
        start = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", _UNTIL_FIRST_FRAME, *_ARGUMENTS],
            env=tree.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return float(ended.stdout.splitlines()[-1]) - start
