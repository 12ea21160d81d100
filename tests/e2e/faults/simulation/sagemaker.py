"""SageMaker Processing: takes a job's name once, runs its container, and tells of its end."""

import hashlib
import threading
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from contracts.documents import from_json, to_json
from contracts.keys import ATTEMPT_DOCUMENT, DETECTIONS_FILE
from contracts.messages import InferenceRequest, InferenceRequests
from contracts.outcomes import ExitCode, Outcome, RejectionCode
from contracts.results import ResultFile
from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.s3 import S3, error
from tests.lambdas.sagemaker import check_request
from tests.lambdas.stage import attempt_document

RUN_S = 60.0
DETECTIONS = b"one line of detections, gzipped"


class Ending(Enum):
    """How a container ends, and so what it leaves."""

    WHOLE = auto()
    REJECTED = auto()
    DIES_DECODING = auto()
    DIES_WRITING = auto()
    DIES_BEFORE_ATTEMPT_DOCUMENT = auto()
    DIES_AFTER_ATTEMPT_DOCUMENT = auto()
    OUT_OF_MEMORY = auto()
    DISK_FULL = auto()
    TIME_LIMIT = auto()
    DAMAGED_FILE = auto()
    NO_CAPACITY = auto()


_KILLED = {"FailureReason": "AlgorithmError: , exit code: 137"}
_FAILURES: dict[Ending, dict[str, str]] = {
    Ending.DIES_DECODING: _KILLED,
    Ending.DIES_WRITING: _KILLED,
    Ending.DIES_BEFORE_ATTEMPT_DOCUMENT: _KILLED,
    Ending.DIES_AFTER_ATTEMPT_DOCUMENT: _KILLED,
    Ending.OUT_OF_MEMORY: {
        "FailureReason": f"AlgorithmError: , exit code: {ExitCode.RETRYABLE:d}",
        "ExitMessage": "MemoryError: not enough memory to decode",
    },
    Ending.DISK_FULL: {
        "FailureReason": f"AlgorithmError: , exit code: {ExitCode.RETRYABLE:d}",
        "ExitMessage": "OSError: [Errno 28] No space left on device",
    },
    Ending.NO_CAPACITY: {
        "FailureReason": "CapacityError: Unable to provision requested ML compute capacity due to "
        "InsufficientInstanceCapacity error."
    },
}
_LEAVES_NOTHING = (
    Ending.DIES_DECODING,
    Ending.OUT_OF_MEMORY,
    Ending.TIME_LIMIT,
    Ending.NO_CAPACITY,
)


class SageMaker:
    """
    Jobs by name.

    Args:
        ending_of: How the attempt at a request ends.
        on_end: Told of a job that ended, by name and status.
    """

    def __init__(
        self,
        clock: Clock,
        s3: S3,
        *,
        ending_of: Callable[[InferenceRequest], Ending],
        on_end: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._s3 = s3
        self._ending_of = ending_of
        self._on_end = on_end
        self._lock = threading.Lock()
        self.jobs: dict[str, dict[str, Any]] = {}
        self._ends: dict[str, float] = {}
        self.most_running: int | None = None
        """Jobs beyond which the account's quota refuses more; None where there is none."""
        self.refused = 0

    def create_processing_job(self, **job: Any) -> dict[str, str]:
        check_request(job)
        name = job["ProcessingJobName"]
        with self._lock:
            if name in self.jobs:
                raise error("ResourceInUse", "CreateProcessingJob")
            if self.most_running is not None and len(self._ends) >= self.most_running:
                self.refused += 1
                raise error("ResourceLimitExceeded", "CreateProcessingJob")
            began = {"ProcessingJobStatus": "InProgress", "CreationTime": self._clock.now}
            self.jobs[name] = job | began | {"LastModifiedTime": self._clock.now}
            self._ends[name] = self._clock.now_s + RUN_S
        return {"ProcessingJobArn": f"arn:{name}"}

    def describe_processing_job(self, *, ProcessingJobName: str) -> dict[str, Any]:
        if ProcessingJobName not in self.jobs:
            sentence = f"Could not find requested job with name: {ProcessingJobName}"
            raise error("ValidationException", "DescribeProcessingJob", sentence)
        return dict(self.jobs[ProcessingJobName])

    def stop_processing_job(self, *, ProcessingJobName: str) -> None:
        if ProcessingJobName in self._ends:
            self._ends.pop(ProcessingJobName)
            self._end(ProcessingJobName, "Stopped")

    def arrive_late(self, job_id: str, attempt: int) -> None:
        """Let all arrive in S3 that a container had written, after its job ended."""
        (job,) = (job for name, job in self.jobs.items() if f"{job_id}-a{attempt}" in name)
        (request,) = self._requests(job)
        self._write(request, Ending.WHOLE)

    @property
    def next_end_s(self) -> float | None:
        """When the next job ends."""
        return min(self._ends.values(), default=None)

    def end_due(self) -> None:
        """End every job whose time has come."""
        for name, end_s in sorted(self._ends.items(), key=lambda item: item[1]):
            if end_s <= self._clock.now_s:
                del self._ends[name]
                self._run(name)

    def _run(self, name: str) -> None:
        job = self.jobs[name]
        (request,) = self._requests(job)
        ending = self._ending_of(request)
        if ending not in _LEAVES_NOTHING:
            self._write(request, ending)
        if ending is Ending.TIME_LIMIT:
            limit_s = job["StoppingCondition"]["MaxRuntimeInSeconds"]
            job["ProcessingStartTime"] = self._clock.now - timedelta(seconds=limit_s)
            self._end(name, "Stopped")
        elif facts := _FAILURES.get(ending):
            self._end(name, "Failed", **facts)
        else:
            self._end(name, "Completed")

    def _requests(self, job: dict[str, Any]) -> tuple[InferenceRequest, ...]:
        place = job["ProcessingInputs"][0]["S3Input"]["S3Uri"].removeprefix("s3://")
        bucket, _, key = place.partition("/")
        body = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return from_json(InferenceRequests, body).requests

    def _write(self, request: InferenceRequest, ending: Ending) -> None:
        """What the container leaves, the document last."""
        job: Any = request  # has all of a job that the document tells
        if ending is Ending.REJECTED:
            fault = {"code": RejectionCode.NOT_A_VIDEO, "message": "It holds no video."}
            document = attempt_document(job, outcome=Outcome.REJECTED, video=None, **fault)
        else:
            digest = hashlib.sha256(DETECTIONS).hexdigest()
            file = ResultFile(DETECTIONS_FILE, len(DETECTIONS), digest)
            document = attempt_document(job, files=(file,))
            cut = ending in (Ending.DIES_WRITING, Ending.DISK_FULL, Ending.DAMAGED_FILE)
            self._put(request, DETECTIONS_FILE, DETECTIONS[:7] if cut else DETECTIONS)
        whole = (Ending.WHOLE, Ending.REJECTED, Ending.DAMAGED_FILE)
        if ending in (*whole, Ending.DIES_AFTER_ATTEMPT_DOCUMENT):
            self._put(request, ATTEMPT_DOCUMENT, to_json(document).encode())

    def _put(self, request: InferenceRequest, name: str, body: bytes) -> None:
        place = request.output
        self._s3.put_object(Bucket=place.bucket, Key=place.prefix + name, Body=body)

    def _end(self, name: str, status: str, **facts: str) -> None:
        times = {"ProcessingEndTime": self._clock.now, "LastModifiedTime": self._clock.now}
        self.jobs[name] |= {"ProcessingJobStatus": status, **times, **facts}
        self._on_end(name, status)
