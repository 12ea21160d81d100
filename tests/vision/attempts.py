"""A model that reads the numbers drawn in test videos, and requests to run it with."""

import hashlib
from pathlib import Path

import numpy as np

from contracts.messages import InferenceRequest, Model, Source, inference_request
from contracts.results import Detection, Engine
from contracts.selection import Selection
from tests.vision.videos import read_number
from vision.frames import FrameBatch
from vision.models.base import ModelInput, Prediction, Task

NUMBER_MODEL = Model("builtin:number", hashlib.sha256(b"number").hexdigest())
UNREADABLE_NUMBER = 9999


class NumberModel:
    """
    Finds one object a frame: as class id the number that the frame carries.

    It answers in numpy's numbers, as real models do.
    """

    identity = NUMBER_MODEL
    engine = Engine("numpy", np.__version__, "cpu")

    def __init__(self, model_input: ModelInput | None = None, task: Task = Task.DETECTION) -> None:
        self.input = model_input or ModelInput(None, max_batch=4)
        self.task = task
        self.batch_sizes: list[int] = []

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        self.batch_sizes.append(len(batch.frames))
        return [self._predict(pixels, batch) for pixels in batch.pixels]

    def _predict(self, pixels: np.ndarray, batch: FrameBatch) -> Prediction:
        number = read_number(pixels)
        x, y, width, height = map(np.float32, batch.placement.inner)
        box = batch.placement.to_source((x, y, x + width, y + height))  # type: ignore[arg-type]
        found = Detection(
            class_id=np.int64(UNREADABLE_NUMBER if number is None else number),  # type: ignore[arg-type]
            class_name="number",
            score=np.float32(0.5),  # type: ignore[arg-type]
            box=box,
        )
        class_map = None
        if self.task is Task.SEMANTIC_SEGMENTATION:
            source_width, source_height = batch.placement.source_size
            class_map = np.full((source_height, source_width), (number or 0) % 256, np.uint8)
        return Prediction((found,), class_map)


def any_request(
    video: Path | None = None,
    *,
    select: str = "all",
    key: str | None = None,
    model: Model = NUMBER_MODEL,
    attempt: int = 1,
) -> InferenceRequest:
    """A request for a video file, as dispatch would make it."""
    size_bytes = video.stat().st_size if video else 1
    name = key or (video.name if video else "street.mp4")
    return inference_request(
        source=Source("uploads", name, "0" * 32, size_bytes, "v1"),
        model=model,
        selection=Selection.parse(select),
        attempt=attempt,
        results_bucket="results",
    )
