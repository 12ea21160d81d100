"""Every video in its turn; what befalls one does not reach the others."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from containers.processing.arguments import Arguments, UsageError
from containers.processing.layout import MlTree
from containers.processing.logs import log
from containers.processing.work import Task, check_source, found_tasks, requested_tasks
from contracts.messages import InferenceRequest, Model
from contracts.models import resolve_model
from contracts.outcomes import ExitCode
from contracts.results import AttemptDocument
from vision.faults import RejectedVideoError
from vision.models.base import VisionModel
from vision.models.load import load_bundle, load_model
from vision.pipeline import process_video, sized_input, write_rejection

_DEFAULT_MODEL = "builtin:people"


class LoadModel(Protocol):
    """As `vision.models.load.load_model`."""

    def __call__(self, identity: Model, /, *, bundle: Path | None = None) -> VisionModel: ...


@dataclass(slots=True)
class Shelf:
    """Models, each loaded once."""

    load: LoadModel
    bundle: Path | None
    models: dict[Model, VisionModel] = field(default_factory=dict)

    def get(self, identity: Model) -> VisionModel:
        if identity not in self.models:
            self.models[identity] = self.load(identity, bundle=self.bundle)
        return self.models[identity]


def run(
    arguments: Arguments,
    tree: MlTree,
    *,
    load: LoadModel = load_model,
    load_file: Callable[[Path], VisionModel] = load_bundle,
) -> ExitCode:
    """
    Process what this instance was given.

    Raises:
        UsageError: The arguments or the requests make no sense, for any video.
    """
    shelf = Shelf(load, tree.bundle)
    tasks: Iterable[Task] | None = requested_tasks(tree)
    if tasks is None:
        model = _named_model(arguments, shelf, load_file)
        tasks = found_tasks(tree, arguments, model)
    if arguments.api_server_address:
        log(logging.INFO, "api server address is not used yet")
    done, faults = 0, []
    for task in tasks:
        fault = _answer(task, arguments, tree, shelf)
        done += fault is None
        if fault is not None:
            faults.append(f"{task.name[:120]}: {fault[:200]}")
    log(logging.INFO, "instance ended", answered=done, failed=len(faults))
    if not faults:
        return ExitCode.SUCCEEDED
    count = f"{len(faults)} of {done + len(faults)} videos could not be processed"
    tree.write_message(f"{count}; another attempt may do it. " + "; ".join(faults))
    return ExitCode.RETRYABLE


def _answer(task: Task, arguments: Arguments, tree: MlTree, shelf: Shelf) -> str | None:
    """Leave the attempt's files, or say what kept this instance from it."""
    start = time.perf_counter()
    facts: dict[str, Any] = {"key": task.name}
    try:
        request = task.request()
        facts |= {"job_id": request.job_id, "attempt": request.attempt}
        document = _attempt(task, request, arguments, tree, shelf)
    except UsageError:
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


def _attempt(
    task: Task, request: InferenceRequest, arguments: Arguments, tree: MlTree, shelf: Shelf
) -> AttemptDocument:
    folder = tree.attempt_folder(request.output.prefix)
    try:
        video = check_source(task, request)
    except RejectedVideoError as rejection:
        return write_rejection(request=request, rejection=rejection, folder=folder)
    model = shelf.get(request.model)
    try:
        sized_input(model.input, arguments.image_size)
    except ValueError as error:
        raise UsageError(f"--image-width, --image-height: {error}") from error
    return process_video(
        path=video,
        request=request,
        model=model,
        folder=folder,
        image_size=arguments.image_size,
    )


def _named_model(
    arguments: Arguments, shelf: Shelf, load_file: Callable[[Path], VisionModel]
) -> Model:
    if arguments.model is None and shelf.bundle is not None:
        model = load_file(shelf.bundle)
        shelf.models[model.identity] = model
        return model.identity
    try:
        return resolve_model(arguments.model or _DEFAULT_MODEL)
    except ValueError as error:
        raise UsageError(f"--model: {error}") from error


def _described(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory ({error})" if str(error) else "out of memory"
    return f"{type(error).__name__}: {error}"
