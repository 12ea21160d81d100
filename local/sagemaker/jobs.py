"""Processing jobs and where they are kept: in memory, with a journal that a restart reads again."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from local.sagemaker.errors import ServiceError, validation_error
from local.sagemaker.rules import instance_count, job_arn

MAX_KEPT_JOBS = 10_000
"""Ended jobs beyond this are forgotten, oldest first."""


class JobStatus(StrEnum):
    """A Processing job's status, as SageMaker names it."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobStatus.IN_PROGRESS, JobStatus.STOPPING)


@dataclass(frozen=True, slots=True)
class ProcessingJob:
    """One Processing job as it is now; `request` is what `CreateProcessingJob` was given."""

    request: dict[str, Any]
    status: JobStatus
    created_s: float
    modified_s: float
    started_s: float | None = None
    ended_s: float | None = None
    exit_message: str | None = None
    failure_reason: str | None = None

    @property
    def name(self) -> str:
        name: str = self.request["ProcessingJobName"]
        return name

    @property
    def arn(self) -> str:
        return job_arn(self.name)

    @property
    def instance_count(self) -> int:
        return instance_count(self.request)

    def describe(self) -> dict[str, Any]:
        """The job as `DescribeProcessingJob` answers; times are seconds since the epoch."""
        described = {key: value for key, value in self.request.items() if key != "Tags"}
        return described | self._facts()

    def summarize(self) -> dict[str, Any]:
        """The job as `ListProcessingJobs` answers."""
        facts = self._facts()
        facts.pop("ProcessingStartTime", None)
        return {"ProcessingJobName": self.name} | facts

    def _facts(self) -> dict[str, Any]:
        facts = {
            "ProcessingJobArn": self.arn,
            "ProcessingJobStatus": str(self.status),
            "CreationTime": self.created_s,
            "LastModifiedTime": self.modified_s,
            "ProcessingStartTime": self.started_s,
            "ProcessingEndTime": self.ended_s,
            "ExitMessage": self.exit_message,
            "FailureReason": self.failure_reason,
        }
        return {key: value for key, value in facts.items() if value is not None}


class JobStore:
    """
    All jobs of the account; every change is one step under a lock and one line in the journal.

    `on_status` is told of each new status, in order.
    """

    def __init__(
        self,
        journal: Path,
        *,
        on_status: Callable[[ProcessingJob], None],
        instance_quota: int,
        max_kept_jobs: int = MAX_KEPT_JOBS,
    ) -> None:
        self._lock = threading.Lock()
        self._on_status = on_status
        self._instance_quota = instance_quota
        self._max_kept_jobs = max_kept_jobs
        self._jobs = _read_journal(journal)
        journal.parent.mkdir(parents=True, exist_ok=True)
        _write_journal(journal, self._jobs.values())
        self._journal = journal.open("a", encoding="utf-8")

    def create(self, request: dict[str, Any]) -> ProcessingJob:
        """
        Keep a new job.

        Raises:
            ServiceError: The name is taken, or the account's quota of instances is.
        """
        name = request["ProcessingJobName"]
        with self._lock:
            if existing := self._jobs.get(name):
                raise ServiceError(
                    "ResourceInUse",
                    "Job name must be unique within an AWS account and region, and a job with "
                    f"this name already exists ({existing.arn})",
                )
            self._check_quota(instance_count(request))
            self._forget_oldest()
            now_s = _now_s()
            job = ProcessingJob(request, JobStatus.IN_PROGRESS, now_s, now_s)
            return self._keep(job)

    def get(self, name: str) -> ProcessingJob:
        """
        A job by its name.

        Raises:
            ServiceError: There is none of that name.
        """
        with self._lock:
            return self._get(name)

    def all(self) -> list[ProcessingJob]:
        """Every job, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def start(self, name: str) -> ProcessingJob:
        """Note that a job's instances start working."""
        with self._lock:
            return self._keep(dataclasses.replace(self._get(name), started_s=_now_s()))

    def stop(self, name: str) -> ProcessingJob:
        """
        Note that a job was asked to stop; asking again changes nothing.

        Raises:
            ServiceError: The job has ended already.
        """
        with self._lock:
            job = self._get(name)
            if job.status.is_terminal:
                raise validation_error(
                    f"The request was rejected because the processing job is in status {job.status}"
                )
            if job.status is JobStatus.STOPPING:
                return job
            return self._keep(dataclasses.replace(job, status=JobStatus.STOPPING))

    def end(
        self,
        name: str,
        status: JobStatus,
        *,
        exit_message: str | None = None,
        failure_reason: str | None = None,
    ) -> ProcessingJob:
        """Note how a job ended."""
        with self._lock:
            job = dataclasses.replace(
                self._get(name),
                status=status,
                ended_s=_now_s(),
                exit_message=exit_message,
                failure_reason=failure_reason,
            )
            return self._keep(job)

    def close(self) -> None:
        """Close the journal; nothing can be changed afterwards."""
        with self._lock:
            self._journal.close()

    def _get(self, name: str) -> ProcessingJob:
        if name not in self._jobs:
            raise validation_error(f"Could not find requested job with name: {name}")
        return self._jobs[name]

    def _keep(self, job: ProcessingJob) -> ProcessingJob:
        known = self._jobs.get(job.name)
        job = dataclasses.replace(job, modified_s=_now_s())
        self._jobs[job.name] = job
        self._journal.write(_to_line(job))
        self._journal.flush()
        if known is None or known.status is not job.status:
            self._on_status(job)
        return job

    def _check_quota(self, delta: int) -> None:
        used = sum(job.instance_count for job in self._jobs.values() if not job.status.is_terminal)
        if used + delta > self._instance_quota:
            raise ServiceError(
                "ResourceLimitExceeded",
                "The account-level service limit 'Number of instances across all processing jobs' "
                f"is {self._instance_quota} Instances, with current utilization of {used} "
                f"Instances and a request delta of {delta} Instances. Please use AWS Service "
                "Quotas to request an increase for this quota.",
            )

    def _forget_oldest(self) -> None:
        if len(self._jobs) < self._max_kept_jobs:
            return
        ended = (name for name, job in self._jobs.items() if job.status.is_terminal)
        if oldest := next(ended, None):
            del self._jobs[oldest]


def _read_journal(journal: Path) -> dict[str, ProcessingJob]:
    if not journal.exists():
        return {}
    jobs: dict[str, ProcessingJob] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        try:
            plain = json.loads(line)
        except ValueError:
            break  # The last line, cut by a crash.
        plain["status"] = JobStatus(plain["status"])
        job = ProcessingJob(**plain)
        jobs[job.name] = job
    return jobs


def _write_journal(journal: Path, jobs: Iterable[ProcessingJob]) -> None:
    fresh = journal.with_suffix(".new")
    fresh.write_text("".join(map(_to_line, jobs)), encoding="utf-8")
    fresh.replace(journal)


def _to_line(job: ProcessingJob) -> str:
    return json.dumps(dataclasses.asdict(job)) + "\n"


def _now_s() -> float:
    return round(time.time(), 3)
