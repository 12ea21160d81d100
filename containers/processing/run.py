"""Every video in its turn; what befalls one does not reach the others."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from containers.processing.arguments import Arguments, UsageError
from containers.processing.confine import memory_limit
from containers.processing.layout import MlTree
from containers.processing.logs import log
from containers.processing.pulse import Pulse
from containers.processing.supervise import Supervisor
from containers.processing.work import Task, found_tasks, requested_tasks
from containers.processing.worker import Answer, Death
from contracts.messages import InferenceRequest, Model
from contracts.models import bundle_model, resolve_model
from contracts.outcomes import ExitCode, RejectionCode, RetryCode
from vision.faults import RejectedVideoError

if TYPE_CHECKING:
    from containers.processing.attempt import Attempts, LoadModel

_DEFAULT_MODEL = "builtin:people"


def run(
    arguments: Arguments,
    tree: MlTree,
    *,
    load: "LoadModel | None" = None,
    supervisor: type[Supervisor] = Supervisor,
) -> ExitCode:
    """
    Process what this instance was given; from a process with no other threads, as it forks.

    Args:
        load: Loads a model by its identity; `vision.models.load.load_model` unless given.
        supervisor: What has the videos read; by a process apart unless given.

    Raises:
        UsageError: The arguments or the requests make no sense, for any video.
    """
    tasks = requested_tasks(tree)
    if tasks is None:
        tasks = list(found_tasks(tree, arguments, _named_model(arguments, tree)))
    if arguments.api_server_address:
        log(logging.INFO, "api server address is not used yet")
    faults = []
    is_models_fault = True
    answers = _Instance(arguments, tree, tasks, load, supervisor).answers()
    for task, fault in zip(tasks, answers, strict=True):
        if fault is not None:
            is_models_fault = is_models_fault and fault.startswith(RetryCode.MODEL_FAULT)
            faults.append(f"{task.name[:120]}: {fault[:200]}")
    log(logging.INFO, "instance ended", answered=len(tasks) - len(faults), failed=len(faults))
    if not faults:
        return ExitCode.SUCCEEDED
    count = f"{len(faults)} of {len(tasks)} videos could not be processed"
    hope = "another attempt would do no better" if is_models_fault else "another attempt may do it"
    tree.write_message(f"{count}; {hope}. " + "; ".join(faults))
    return ExitCode.MODEL_FAULT if is_models_fault else ExitCode.RETRYABLE


class _Instance:
    def __init__(
        self,
        arguments: Arguments,
        tree: MlTree,
        tasks: list[Task],
        load: "LoadModel | None",
        supervisor: type[Supervisor],
    ) -> None:
        self._arguments = arguments
        self._tree = tree
        self._tasks = tasks
        self._load = load
        self._memory_bytes = memory_limit(arguments.limits)
        self._supervisor = supervisor(
            self._work, self._bury, self._memory_bytes, arguments.limits.max_stall_s
        )

    def answers(self) -> Iterator[Answer]:
        return self._supervisor.answers(len(self._tasks))

    def _work(self, first: int, pulse: Pulse) -> Iterator[Answer]:
        attempts = self._attempts(pulse)
        for task in self._tasks[first:]:
            pulse.beat()
            yield attempts.answer(task)

    def _attempts(self, pulse: Pulse) -> "Attempts":
        # Decoders and engines are loaded in the process apart, and in no other.
        from containers.processing.attempt import Attempts

        return Attempts(self._arguments, self._tree, pulse, self._load)

    def _bury(self, number: int, death: Death) -> Answer:
        """What a death means: the video is at fault where it alone can have been."""
        task = self._tasks[number]
        request = task.request()
        folder = self._tree.attempt_folder(request.output.prefix)
        shutil.rmtree(folder, ignore_errors=True)
        log(logging.ERROR, "worker died", key=task.name, job_id=request.job_id, death=death)
        rejection = _stall(death) or self._repeated(task, death)
        if rejection is None:
            return _described(death)
        if self._supervisor.alone(lambda _: _reject(request, rejection, folder)):
            return rejection.message
        log(logging.INFO, "attempt ended", key=task.name, code=rejection.code)
        return None

    def _repeated(self, task: Task, death: Death) -> RejectedVideoError | None:
        """The video's part in a death: models, and what other videos left, may have caused it."""
        if not (death.is_crash or death.is_memory):
            return None
        again = self._supervisor.alone(lambda pulse: self._attempts(pulse).examine(task))
        if again is not None and again.is_memory:
            return RejectedVideoError(
                RejectionCode.TOO_LARGE,
                f"Reading the video takes more memory than the {self._memory_bytes:,} bytes that a "
                "job has here. Scale it down, or copy the pictures into a new file.",
            )
        if again is not None and again.is_crash:
            return RejectedVideoError(
                RejectionCode.UNREADABLE,
                "The decoder crashes on this video, which is damaged or made to do so. Encode it "
                "anew, such as to H.264.",
            )
        return None


def _reject(request: InferenceRequest, rejection: RejectedVideoError, folder: Path) -> None:
    from vision.pipeline import write_rejection

    write_rejection(request=request, rejection=rejection, folder=folder)


def _stall(death: Death) -> RejectedVideoError | None:
    if death.stalled_s is None or death.is_engine or death.is_waiting:
        return None
    return RejectedVideoError(
        RejectionCode.TOO_SLOW,
        f"The decoder was at one place of the video for {death.stalled_s:.0f} s, which is longer "
        "than allowed. Encode it anew, such as to H.264.",
    )


def _described(death: Death) -> str:
    if death.stalled_s is not None:
        who = "the model" if death.is_engine else "the job"
        return f"{RetryCode.TIME_LIMIT}: {who} stood still for {death.stalled_s:.0f} s"
    if death.is_crash:
        return f"{RetryCode.CRASHED}: signal {death.signal} in native code"
    if death.is_memory:
        return "out of memory, of which models and other videos may have left too little"
    if death.signal is not None:
        return f"killed by signal {death.signal}, as it is when the machine is out of memory"
    return f"{RetryCode.CRASHED}: the process ended early; its log says why"


def _named_model(arguments: Arguments, tree: MlTree) -> Model:
    if arguments.model is None and tree.bundle is not None:
        from vision.models.bundle import bundle_digest

        return bundle_model(bundle_digest(tree.bundle))
    try:
        return resolve_model(arguments.model or _DEFAULT_MODEL)
    except ValueError as error:
        raise UsageError(f"--model: {error}") from error
