"""
Framewright's own entry in every comparison, by the seams that the container uses.

Nothing else in this folder calls the decoder: a change of its interface is met here.
"""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contracts.messages import Model, Source, inference_request
from contracts.models import resolve_model
from contracts.results import AttemptDocument, Box, Detection, Engine, FrameRecord, Mask
from contracts.selection import Selection
from vision.cores import available_cores
from vision.frames import FrameBatch, Pixels
from vision.limits import Limits
from vision.masks import encode_head_mask
from vision.models.base import ModelInput, Prediction, Task, VisionModel
from vision.models.load import load_bundle
from vision.pipeline import process_video
from vision.reader import VideoReader
from vision.results import AttemptWriter
from vision.workers import Parallelism


def frames(path: Path, selection: str, size: tuple[int, int] | None) -> Iterator[Pixels]:
    """The selected frames, uint8 RGB (H, W, 3), scaled to `(width, height)` or as they are."""
    return _frames(path, selection, size, available_cores())


def clips(paths: Sequence[Path], indices: Sequence[int]) -> Iterator[Pixels]:
    """Frames of many short clips at full size, clip after clip."""
    selection = f"indices={','.join(map(str, indices))}"
    cores = available_cores()
    # A clip is one GOP or two: cores are better used by clips than within one.
    with ThreadPoolExecutor(cores) as pool:
        for found in pool.map(lambda path: list(_frames(path, selection, None, 1)), paths):
            yield from found


def process(path: Path, selection: str, model: VisionModel) -> AttemptDocument:
    """The whole job: decode, predict, write."""
    request = inference_request(
        source=Source("uploads", path.name, "0" * 32, path.stat().st_size),
        model=model.identity,
        selection=Selection.parse(selection),
        attempt=1,
        results_bucket="results",
    )
    with tempfile.TemporaryDirectory(prefix="framewright-bench-") as folder:
        return process_video(path=path, request=request, model=model, folder=Path(folder))


def load(bundle: Path) -> VisionModel:
    """The model of a bundle."""
    return load_bundle(bundle)


def write_masks(
    frames_found: Sequence[Sequence[tuple[NDArray[np.float32], Box]]],
    size: tuple[int, int],
    folder: Path,
) -> None:
    """Every frame's instances, each a mask head's answer and its box, as an attempt's results."""
    with AttemptWriter(folder) as writer:
        for index, found in enumerate(frames_found):
            record = FrameRecord(
                frame_index=index,
                pts=index,
                time_base=Fraction(1, 30),
                time_s=index / 30,
                is_key_frame=False,
                width=size[0],
                height=size[1],
            )
            detections = tuple(
                Detection(0, "thing", 0.9, box, instance_mask(head, box, size))
                for head, box in found
            )
            writer.write(record, Prediction(detections))
        writer.finish()


def instance_mask(probabilities: NDArray[np.float32], box: Box, size: tuple[int, int]) -> Mask:
    """A mask head's answer for one box, as it is written into results."""
    return encode_head_mask(probabilities, box, size)


@dataclass(frozen=True, slots=True)
class NullModel:
    """Finds the same few things in every frame at no cost: what remains is everything else."""

    input: ModelInput
    task: Task = Task.DETECTION

    @property
    def identity(self) -> Model:
        """A built-in's, for results name their model."""
        return resolve_model("builtin:people")

    @property
    def engine(self) -> Engine:
        """None to speak of."""
        return Engine("none", "0", "cpu")

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """Five boxes a frame."""
        found = tuple(
            Detection(0, "person", 0.9 - 0.1 * i, (10.0 * i, 20.0, 10.0 * i + 50, 120.0))
            for i in range(5)
        )
        return [Prediction(found)] * len(batch.frames)


def _frames(
    path: Path, selection: str, size: tuple[int, int] | None, workers: int
) -> Iterator[Pixels]:
    reader = VideoReader(
        path, Selection.parse(selection), ModelInput(size), Limits(), Parallelism(workers)
    )
    for frame in reader.frames():
        yield frame.pixels
