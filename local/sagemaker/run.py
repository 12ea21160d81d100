"""One Processing job from its inputs to its outputs."""

import logging
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.sagemaker.container import Container
from local.sagemaker.errors import ServiceError
from local.sagemaker.identity import Identity
from local.sagemaker.inputs import download_input
from local.sagemaker.jobs import JobStatus, ProcessingJob
from local.sagemaker.layout import InputError, Instance, host_names, prepare_instance
from local.sagemaker.outputs import OutputError, OutputUploader
from local.sagemaker.rules import outputs_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

DEFAULT_MAX_RUNTIME_S = 86_400
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingStoppingCondition.html"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """
    What all jobs share.

    Attributes:
        work: Below it each job has a folder while it runs.
        logs: Below it each job's containers have a log each.
        running: Holds a file for each running container.
        repository: Put on the containers' PYTHONPATH.
        aws_environment: Given to containers whose network is not isolated.
        sweep_s: Time between two looks for files to upload continuously.
    """

    work: Path
    logs: Path
    running: Path
    repository: Path
    aws_environment: Mapping[str, str]
    stop_grace_s: float
    keep_work_folders: bool
    sweep_s: float = 0.5


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended."""

    status: JobStatus
    exit_message: str | None = None
    failure_reason: str | None = None


class JobRun:
    """Runs one job; `run` takes a thread, `request_stop` may come from any other."""

    def __init__(self, job: ProcessingJob, identity: Identity, settings: RunSettings) -> None:
        self._job = job
        self._identity = identity
        self._settings = settings
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._grace_s = settings.stop_grace_s
        self._folder = settings.work / job.name
        condition = job.request.get("StoppingCondition", {})
        max_runtime_s = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)
        self._deadline = time.monotonic() + max_runtime_s

    def request_stop(self, *, grace_s: float | None = None) -> None:
        """End the containers: SIGTERM, and after the grace period SIGKILL."""
        if grace_s is not None:
            self._grace_s = grace_s
        self._stop.set()
        self._changed.set()

    def run(self) -> JobEnd:
        """Run the job to its end, whatever that is, and leave nothing on the disk but its log."""
        try:
            return self._run()
        except (InputError, OutputError, ServiceError) as error:
            return JobEnd(JobStatus.FAILED, failure_reason=str(error)[:1024])
        except Exception:  # A job must end, and free its slot, whatever happens.
            logger.exception("job %s failed inside the local SageMaker", self._job.name)
            reason = "InternalServerError: We encountered an internal error. Please try again."
            return JobEnd(JobStatus.FAILED, failure_reason=reason)
        finally:
            if not self._settings.keep_work_folders:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self) -> JobEnd:
        request = self._job.request
        s3 = self._identity.s3_of(request)
        shutil.rmtree(self._folder, ignore_errors=True)
        hosts = host_names(self._job.instance_count)
        instances = [
            prepare_instance(self._job, host=host, hosts=hosts, folder=self._folder / host)
            for host in hosts
        ]
        for given in request.get("ProcessingInputs", []):
            download_input(s3, given["S3Input"], instances, role_arn=request["RoleArn"])
        if self._stop.is_set():
            return JobEnd(JobStatus.STOPPED)
        uploaders = self._uploaders(instances, s3)
        containers: list[Container] = []
        try:
            containers.extend(
                map(self._start, instances)
            )  # those before one that cannot start stay
            status = self._watch(containers, uploaders)
            # Those that end because the others are ended now are not at fault.
            failed = [container for container in containers if container.exit_code]
            self._end_gently(containers)
        finally:
            self._kill(containers)
        return self._finish(status, failed, containers, uploaders)

    def _uploaders(self, instances: Sequence[Instance], s3: "S3Client") -> list[OutputUploader]:
        kms_key_id = self._job.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        return [
            OutputUploader(s3, output, instance, kms_key_id=kms_key_id)
            for instance in instances
            for output in outputs_of(self._job.request)
        ]

    def _start(self, instance: Instance) -> Container:
        return Container(
            self._job.request,
            instance,
            repository=self._settings.repository,
            aws_environment=self._settings.aws_environment,
            log=self._settings.logs / self._job.name / f"{instance.host}.log",
            running=self._settings.running,
            on_exit=self._changed.set,
        )

    def _watch(
        self, containers: Sequence[Container], uploaders: Sequence[OutputUploader]
    ) -> JobStatus:
        """Sweep outputs until all containers ended, one failed, or the job is to stop: which?"""
        continuous = [uploader for uploader in uploaders if uploader.is_continuous]
        while (status := self._status(containers)) is JobStatus.IN_PROGRESS:
            remaining_s = max(0.0, self._deadline - time.monotonic())
            woken = self._changed.wait(min(self._settings.sweep_s, remaining_s))
            self._changed.clear()
            if not woken:
                for uploader in continuous:
                    uploader.sweep()
        return status

    def _status(self, containers: Sequence[Container]) -> JobStatus:
        if any(container.exit_code for container in containers):
            return JobStatus.FAILED
        if all(container.exit_code == 0 for container in containers):
            return JobStatus.COMPLETED
        if self._stop.is_set() or time.monotonic() >= self._deadline:
            return JobStatus.STOPPED
        return JobStatus.IN_PROGRESS

    def _end_gently(self, containers: Sequence[Container]) -> None:
        for container in containers:
            container.signal(signal.SIGTERM)
        self._wait_for(containers, self._grace_s)

    def _kill(self, containers: Sequence[Container]) -> None:
        for container in containers:
            container.signal(signal.SIGKILL)
        self._wait_for(containers, float("inf"))

    def _wait_for(self, containers: Sequence[Container], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while any(container.exit_code is None for container in containers):
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return
            self._changed.wait(min(remaining_s, 1.0))
            self._changed.clear()

    def _finish(
        self,
        status: JobStatus,
        failed: Sequence[Container],
        containers: Sequence[Container],
        uploaders: Sequence[OutputUploader],
    ) -> JobEnd:
        for uploader in uploaders:
            if status is JobStatus.COMPLETED or uploader.is_continuous:
                uploader.finish()
        messages = (container.instance.exit_message() for container in failed or containers)
        message = next(filter(None, messages), None)
        if not failed:
            return JobEnd(status, exit_message=message)
        reason = f"AlgorithmError: , exit code: {failed[0].exit_code}"
        return JobEnd(status, exit_message=message, failure_reason=reason)
