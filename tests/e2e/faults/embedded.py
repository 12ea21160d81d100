"""Faults in real processes: containers, functions and MiniStack killed, disks and memory full."""

import contextlib
import json
import random
import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from lambdas.common.ledger import JobRecord
from tests.e2e.faults.cloud import BreakableCloud, kill
from tests.e2e.faults.report import Experiment, Verdict
from tests.e2e.faults.uploads import Uploads
from tests.e2e.process_tree import children
from tests.e2e.stage import object_created
from tests.vision.videos import VideoSpec, make_video

TOO_FEW_BYTES = 100
"""A file may have; less than any result."""
TOO_LITTLE_MEMORY_BYTES = 120 << 20
"""For the libraries that read videos, let alone for a video."""

Strike = Callable[[int, Path], bool]
"""Does something to a container, by its process id and its instance's folder; False: not yet."""


class EmbeddedFaults:
    """
    All experiments in one embedded cloud.

    Args:
        jobs: How many videos are uploaded where MiniStack is killed; elsewhere a tenth.
    """

    def __init__(self, cloud: BreakableCloud, *, jobs: int = 100) -> None:
        self._cloud = cloud
        self._stage = cloud.stage
        self._jobs = jobs
        self._few = max(3, jobs // 10)
        with tempfile.TemporaryDirectory() as folder:
            spec = VideoSpec(frame_count=10, size=(320, 240))
            self._video = make_video(Path(folder) / "video.mp4", spec).read_bytes()

    def experiments(self) -> Iterator[Experiment]:
        """Every experiment, a row each."""
        strikes: dict[str, Strike] = {
            "container killed in decoding": _kill_decoding,
            "container killed while it writes": _kill_writing,
            "container's disk full": _fill_disk,
            "container out of memory": _take_memory,
        }
        yield self._experiment("events five times, in any order", self._repeat_events)
        for name, strike in strikes.items():
            yield self._experiment(name, partial(self._strike_containers, strike))
        for role in ("dispatch", "settle"):
            yield self._experiment(f"{role} killed", partial(self._kill_functions, role))
        yield self._experiment("MiniStack killed three times", self._kill_ministack)

    def _experiment(self, name: str, run: Callable[[], Verdict]) -> Experiment:
        return Experiment(f"real: {name}", run, is_simulated=False)

    def _repeat_events(self) -> Verdict:
        with self._uploads("events", self._few) as run:
            run.wait(lambda jobs: len(jobs) == run.count)
            bodies = [
                (queue, json.dumps(event))
                for job in run.jobs()
                for queue, event in (
                    (self._stage.names.uploads_queue, object_created(job.source)),
                    (self._stage.names.completions_queue, _ended(job, self._stage.names.stage)),
                )
            ] * 5
            random.shuffle(bodies)
            with ThreadPoolExecutor(8) as senders:
                list(senders.map(lambda message: self._send(*message), bodies))
        return run.judge(len(bodies))

    def _strike_containers(self, strike: Strike) -> Verdict:
        """Strike every first attempt, once."""
        struck: set[str] = set()
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.01):
                for pid, folder in self._cloud.containers():
                    job = folder.parent.name
                    if job.endswith("-a1") and job not in struck and strike(pid, folder):
                        struck.add(job)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with self._uploads(f"container-{strike.__name__}", self._few) as run:
                pass
        finally:
            ended.set()
            watcher.join()
        if strike in (_kill_decoding, _kill_writing):
            return run.judge(len(struck))
        return run.judge(sum(job.attempt > 1 for job in run.jobs()))  # whom it cost an attempt

    def _kill_functions(self, role: str) -> Verdict:
        killed = 0
        with self._uploads(f"function-{role}", 2 * self._few) as run:
            deadline = time.monotonic() + 60
            while killed < self._few and not run.is_over() and time.monotonic() < deadline:
                killed += self._cloud.kill_functions(role)
                time.sleep(0.3)
        return run.judge(killed)

    def _kill_ministack(self) -> Verdict:
        with self._uploads("ministack", self._jobs) as run:
            for share in (0.0, 0.25, 0.6):
                run.wait(partial(_have_ended, share * run.count))
                self._cloud.kill_ministack()
        return run.judge(3)

    @contextlib.contextmanager
    def _uploads(self, prefix: str, count: int) -> Iterator[Uploads]:
        """Videos, and afterwards their ends."""
        with self._cloud.reconciled():
            run = Uploads(self._cloud, prefix, count, self._video)
            yield run
            with contextlib.suppress(TimeoutError):  # what is missing then is for the verdict
                run.wait(lambda _: run.is_over())

    def _send(self, queue: str, body: str) -> None:
        url = self._stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        self._stage.sqs.send_message(QueueUrl=url, MessageBody=body)


def _kill_decoding(pid: int, folder: Path) -> bool:
    """Once the process apart that decodes is at work, before anything is written."""
    if not children(pid):
        return False
    kill(pid)
    return True


def _kill_writing(pid: int, folder: Path) -> bool:
    """Once there is a file among the results, at whatever length."""
    results = folder / "ml" / "processing" / "output" / "results"
    if not any(path.is_file() for path in results.rglob("*")):
        return False
    kill(pid)
    return True


def _fill_disk(pid: int, folder: Path) -> bool:
    """No file can grow, as on a disk that is full: a container sets its own limits on top."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (TOO_FEW_BYTES, TOO_FEW_BYTES))
    return True


def _take_memory(pid: int, folder: Path) -> bool:
    """No more memory can be had."""
    resource.prlimit(pid, resource.RLIMIT_AS, (TOO_LITTLE_MEMORY_BYTES, TOO_LITTLE_MEMORY_BYTES))
    return True


def _have_ended(count: float, jobs: list[JobRecord]) -> bool:
    return sum(job.state.is_terminal for job in jobs) >= count


def _ended(job: JobRecord, stage: str) -> dict[str, object]:
    """The event of the end of a job's current attempt."""
    name = f"fw-{stage}-{job.job_id}-a{job.attempt}"
    detail = {"ProcessingJobName": name, "ProcessingJobStatus": "Completed"}
    return {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Processing Job State Change",
        "detail": detail,
    }
