"""One attempt after the other, in the process apart: models, decoders and files of results."""

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from containers.processing.arguments import Arguments, UsageError
from containers.processing.layout import MlTree
from containers.processing.logs import log
from containers.processing.pulse import Pulse
from containers.processing.work import Task, check_source
from contracts.messages import InferenceRequest, Model
from contracts.outcomes import RetryCode
from contracts.results import AttemptDocument, Engine
from vision.cores import available_cores
from vision.faults import DecodeMemoryError, RejectedVideoError
from vision.frames import FrameBatch
from vision.limits import Limits
from vision.models.base import ModelInput, Prediction, VisionModel
from vision.models.base import Task as ModelTask
from vision.models.bundle import BundleError
from vision.models.load import load_model
from vision.pipeline import process_video, sized_input, write_rejection
from vision.reader import VideoReader
from vision.workers import Parallelism


class LoadModel(Protocol):
    """As `vision.models.load.load_model`."""

    def __call__(self, identity: Model, /, *, bundle: Path | None = None) -> VisionModel: ...


@dataclass(frozen=True, slots=True)
class _WatchedModel:
    """A model that says when it is at work."""

    model: VisionModel
    pulse: Pulse

    @property
    def identity(self) -> Model:
        return self.model.identity

    @property
    def task(self) -> ModelTask:
        return self.model.task

    @property
    def input(self) -> ModelInput:
        return self.model.input

    @property
    def engine(self) -> Engine:
        return self.model.engine

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        with self.pulse.engine():
            return self.model.predict(batch)


@dataclass(slots=True)
class Attempts:
    """
    Makes attempts; each model is loaded once.

    Attributes:
        load: As `vision.models.load.load_model`, which is taken unless given.
    """

    arguments: Arguments
    tree: MlTree
    pulse: Pulse
    load: LoadModel | None = None
    _models: dict[Model, _WatchedModel] = field(default_factory=dict)

    def answer(self, task: Task) -> str | None:
        """
        Leave an attempt's files, or say what kept this instance from it.

        Raises:
            UsageError: The arguments make no sense for the model.
            DecodeMemoryError: Reading the video took more memory than was left here.
        """
        start = time.perf_counter()
        facts: dict[str, Any] = {"key": task.name}
        try:
            request = task.request()
            facts |= {"job_id": request.job_id, "attempt": request.attempt}
            document = self._attempt(task, request)
        except (UsageError, DecodeMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - the other videos of the shard must be processed
            log(logging.ERROR, "attempt failed", error=error, **facts)
            return _described(error)
        log(
            logging.INFO,
            "attempt ended",
            **facts,
            outcome=document.outcome,
            code=document.code,
            frames_processed=document.counts.frames_processed,
            detections=document.counts.detections,
            peak_memory_bytes=document.peak_memory_bytes,
            wall_s=round(time.perf_counter() - start, 3),
        )
        return None

    def examine(self, task: Task) -> None:
        """
        Decode what an attempt would, without a model: to see whether decoding alone crashes.

        Raises:
            MemoryError: It takes more memory than there is.
        """
        if task.video is None:
            return
        reader = VideoReader(
            task.video,
            task.request().selection,
            ModelInput(self.arguments.image_size),
            self._limits,
            self._parallelism,
        )
        reader.check = self.pulse.beat
        try:
            for _ in reader.frames():
                pass
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - only what kills the process counts here
            log(logging.INFO, "examined", key=task.name, reason=str(error))

    @property
    def _limits(self) -> Limits:
        return Limits.of(self.arguments.limits)

    @property
    def _parallelism(self) -> Parallelism:
        return Parallelism(self.arguments.decode_workers or available_cores())

    def _attempt(self, task: Task, request: InferenceRequest) -> AttemptDocument:
        folder = self.tree.attempt_folder(request.output.prefix)
        try:
            video = check_source(task, request)
        except RejectedVideoError as rejection:
            return write_rejection(request=request, rejection=rejection, folder=folder)
        model = self._model(request.model)
        try:
            sized_input(model.input, self.arguments.image_size)
        except ValueError as error:
            raise UsageError(f"--image-width, --image-height: {error}") from error
        return process_video(
            path=video,
            request=request,
            model=model,
            folder=folder,
            image_size=self.arguments.image_size,
            limits=self._limits,
            parallelism=self._parallelism,
            alive=self.pulse.beat,
        )

    def _model(self, identity: Model) -> _WatchedModel:
        if identity not in self._models:
            with self.pulse.engine():
                load = self.load or partial(load_model, threads=self.arguments.model_threads)
                model = load(identity, bundle=self.tree.bundle)
            self._models[identity] = _WatchedModel(model, self.pulse)
        return self._models[identity]


def _described(error: Exception) -> str:
    if isinstance(error, BundleError):
        return f"{RetryCode.MODEL_FAULT}: {error}"
    if isinstance(error, MemoryError):
        return f"out of memory ({error})" if str(error) else "out of memory"
    return f"{type(error).__name__}: {error}"
