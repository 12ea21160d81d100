"""Uploads to the embedded cloud, and the verdict on what became of them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from contracts.messages import METADATA_SELECT
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord
from tests.e2e.faults.cloud import BreakableCloud
from tests.e2e.faults.report import Verdict

PATIENCE_S = 120.0


class Uploads:
    """Videos uploaded at once under a prefix, and what became of them."""

    def __init__(self, cloud: BreakableCloud, prefix: str, count: int, video: bytes) -> None:
        self._stage = cloud.stage
        self._prefix = f"{prefix}/"
        self.count = count
        self._began_s = time.monotonic()
        self._over_s: float | None = None
        keys = [f"{self._prefix}{number:03d}.mp4" for number in range(count)]
        every_frame = {METADATA_SELECT: "all"}
        with ThreadPoolExecutor(8) as uploaders:
            versions = uploaders.map(
                lambda key: self._stage.upload(key, video, metadata=every_frame), keys
            )
            self._uploaded = list(zip(keys, versions, strict=True))

    def jobs(self) -> list[JobRecord]:
        """The ledger's jobs of these uploads."""
        return self._stage.jobs(self._prefix)

    def is_over(self) -> bool:
        """Whether every upload's job has ended and was told of."""
        jobs = self.jobs()
        done = sum(job.state.is_terminal and job.published for job in jobs) >= self.count
        if done and self._over_s is None:
            self._over_s = time.monotonic()
        return done

    def wait(self, condition: Callable[[list[JobRecord]], bool]) -> None:
        """
        Until it holds.

        Raises:
            TimeoutError: It did not, and for long nothing had happened to any job.
        """
        before: set[str] | None = None
        deadline = 0.0
        while not condition(jobs := self.jobs()):
            now = {f"{job.job_id} {job.updated_at} {job.published}" for job in jobs}
            if now != before:
                before, deadline = now, time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise TimeoutError(self._prefix)
            time.sleep(0.25)

    def judge(self, injected: int) -> Verdict:
        """One end each, success, and one whole result."""
        verdict = Verdict(jobs=self.count, injected=injected)
        verdict.settled_after_s = (self._over_s or time.monotonic()) - self._began_s
        found: dict[tuple[str, str | None], list[JobRecord]] = {}
        for job in self.jobs():
            found.setdefault((job.source.key, job.source.version_id), []).append(job)
        for key, version in self._uploaded:
            jobs = found.get((key, version), [])
            if lost := self._why_lost(jobs):
                verdict.lost.append(f"{key}: {lost}")
            verdict.doubled += [f"{key}: {fault}" for fault in self._faults(jobs)]
        return verdict

    def _why_lost(self, jobs: list[JobRecord]) -> str | None:
        if not jobs:
            return "the ledger never heard of it"
        job = jobs[0]
        if job.state is not JobState.SUCCEEDED or not job.published:
            return f"it is {job.state}, published: {job.published}, {job.code}: {job.message}"
        try:
            self._stage.verified_files(self._stage.result(job))
        except (AssertionError, self._stage.s3.exceptions.ClientError) as error:
            return f"its result cannot be read: {error}"
        return None

    def _faults(self, jobs: list[JobRecord]) -> Iterator[str]:
        if len(jobs) > 1:
            yield f"{len(jobs)} jobs"
        for job in jobs:
            if (ends := sum(step.state.is_terminal for step in job.history)) > 1:
                yield f"it ended {ends} times"
            if (results := len(self._stage.result_keys([job]))) > 1:
                yield f"{results} results were committed"
