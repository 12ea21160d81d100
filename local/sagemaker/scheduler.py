"""Which jobs run now and which wait: so many instances at once, first come, first served."""

import threading
from collections import deque

from local.sagemaker.identity import Identity
from local.sagemaker.jobs import JobStatus, JobStore, ProcessingJob
from local.sagemaker.run import JobRun, RunSettings

_SHUTDOWN_GRACE_S = 2.0
_RESTARTED = (
    "InternalServerError: The local SageMaker was restarted while the job ran. Please try again."
)


class Scheduler:
    """
    Runs jobs on a bounded number of instances.

    A job with more instances than there are runs alone; it would wait for ever otherwise.
    """

    def __init__(
        self,
        store: JobStore,
        identity: Identity,
        settings: RunSettings,
        *,
        max_running_instances: int,
    ) -> None:
        self._store = store
        self._identity = identity
        self._settings = settings
        self._max_running = max_running_instances
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting: deque[ProcessingJob] = deque()
        self._runs: dict[str, JobRun] = {}
        self._used = 0
        self._open = True
        settings.running.mkdir(parents=True, exist_ok=True)
        for job in store.all():
            if not job.status.is_terminal:
                store.end(job.name, JobStatus.FAILED, failure_reason=_RESTARTED)

    def submit(self, job: ProcessingJob) -> None:
        """Run the job as soon as its turn comes."""
        with self._lock:
            self._waiting.append(job)
            self._start_what_fits()

    def stop(self, name: str) -> None:
        """
        Stop a job, running or waiting.

        Raises:
            ServiceError: There is no such job, or it has ended.
        """
        self._store.stop(name)
        with self._lock:
            if run := self._runs.get(name):
                run.request_stop()
                return
            job = next((job for job in self._waiting if job.name == name), None)
            if job is None:
                return  # It just ended, and its end is being written.
            self._waiting.remove(job)
        self._store.end(name, JobStatus.STOPPED)
        with self._lock:
            self._start_what_fits()

    def shutdown(self) -> None:
        """Stop all jobs and wait until no container runs."""
        with self._lock:
            self._open = False
            waiting = list(self._waiting)
            self._waiting.clear()
            for run in self._runs.values():
                run.request_stop(grace_s=_SHUTDOWN_GRACE_S)
        for job in waiting:
            self._store.end(job.name, JobStatus.STOPPED)
        with self._idle:
            self._idle.wait_for(lambda: not self._runs)

    def _start_what_fits(self) -> None:
        while self._open and self._waiting:
            job = self._waiting[0]
            if self._used and self._used + job.instance_count > self._max_running:
                return
            self._waiting.popleft()
            self._used += job.instance_count
            run = self._runs[job.name] = JobRun(job, self._identity, self._settings)
            threading.Thread(target=self._work, args=(job, run), name=job.name).start()

    def _work(self, job: ProcessingJob, run: JobRun) -> None:
        self._store.start(job.name)
        end = run.run()
        self._store.end(
            job.name,
            end.status,
            exit_message=end.exit_message,
            failure_reason=end.failure_reason,
        )
        with self._idle:
            del self._runs[job.name]
            self._used -= job.instance_count
            self._start_what_fits()
            self._idle.notify_all()
