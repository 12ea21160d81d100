"""One burst: upload, wait, count."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord
from local.cloud import EmbeddedCloud
from local.state import read_state
from tests.e2e.soak.processes import Watch, watched
from tests.e2e.stage import LocalStage
from tests.vision.videos import VideoSpec, make_video

PATIENCE_S = 60.0
"""Without a job that ends, before the rest is given up."""


_ALL = 100_000


@dataclass(frozen=True, slots=True)
class Burst:
    """
    What became of a burst.

    Attributes:
        told: Jobs that ended and whose outcome was told; `succeeded` those with a result.
        results: Committed results, each a version of a `result.json`.
        dead_letters: Messages that nobody could handle.
        took_s: From the first upload to the end of the last job.
    """

    uploads: int
    jobs: int
    told: int
    succeeded: int
    results: int
    dead_letters: int
    took_s: float
    watch: Watch

    @property
    def lost(self) -> int:
        return self.uploads - min(self.succeeded, self.uploads)

    @property
    def doubled(self) -> int:
        return max(self.jobs, self.results) - min(self.jobs, self.uploads)

    @property
    def is_good(self) -> bool:
        """Whether every upload has one job, one end, one result, and nothing is left over."""
        counts = {self.jobs, self.told, self.succeeded, self.results}
        return counts == {self.uploads} and self.dead_letters == 0


def upload_burst(
    cloud: EmbeddedCloud, *, uploads: int, prefix: str, show: Callable[[str], None]
) -> Burst:
    """
    Upload so many small videos at once, and wait until their jobs have ended.

    Args:
        show: Told of the progress, a line at a time.
    """
    stage = LocalStage(cloud)
    keys = [f"{prefix}/{number:05d}.mp4" for number in range(uploads)]
    with tempfile.TemporaryDirectory() as folder:
        body = make_video(Path(folder) / "video.mp4", VideoSpec(frame_count=5)).read_bytes()
    before = _ended(stage)
    with watched(read_state(cloud.config.state_file)) as watch:
        began_s = time.monotonic()
        with ThreadPoolExecutor(8) as uploaders:
            list(uploaders.map(lambda key: stage.upload(key, body), keys))
        show(f"{uploads:,} videos are uploaded")
        ended_s = _wait(stage, uploads, before, show)
    jobs = _told(stage, prefix)
    with ThreadPoolExecutor(8) as readers:
        results = sum(readers.map(lambda job: len(stage.result_keys([job])), jobs))
    return Burst(
        uploads=uploads,
        jobs=len(jobs),
        told=sum(job.state.is_terminal and job.published for job in jobs),
        succeeded=sum(job.state is JobState.SUCCEEDED for job in jobs),
        results=results,
        dead_letters=stage.dead_letters(),
        took_s=ended_s - began_s,
        watch=watch,
    )


def _wait(stage: LocalStage, uploads: int, before: int, show: Callable[[str], None]) -> float:
    """Until all jobs have ended, or none does any more; when the last one did."""
    ended, changed_s = 0, time.monotonic()
    while ended < uploads and time.monotonic() - changed_s < PATIENCE_S:
        time.sleep(1.0)
        if (now := _ended(stage) - before) != ended:
            ended, changed_s = now, time.monotonic()
            show(f"{ended:,} of {uploads:,} jobs have ended")
    return changed_s


def _ended(stage: LocalStage) -> int:
    terminal = (state for state in JobState if state.is_terminal)
    return sum(stage.ledger.count(state, most=_ALL)[0] for state in terminal)


def _told(stage: LocalStage, prefix: str) -> list[JobRecord]:
    """The jobs, when the outcomes of all that ended are told, which is a moment after their end."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        jobs = stage.jobs(f"{prefix}/")
        if time.monotonic() > deadline or all(job.published for job in jobs):
            return jobs
        time.sleep(0.5)
