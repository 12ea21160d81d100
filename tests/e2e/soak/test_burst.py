"""Two hundred uploads at once: two hundred answers, none lost, none doubled."""

import pytest

from contracts.outcomes import JobState
from tests.e2e.soak.burst import upload_burst
from tests.e2e.stage import LocalStage

UPLOADS = 200

pytestmark = pytest.mark.embedded_cloud


def test_a_burst_ends_in_as_many_results_at_the_first_attempt(stage: LocalStage) -> None:
    burst = upload_burst(stage.cloud, uploads=UPLOADS, prefix="burst", show=lambda _: None)
    assert burst.is_good, burst
    jobs = stage.jobs("burst/")
    assert {(job.state, job.attempt) for job in jobs} == {(JobState.SUCCEEDED, 1)}
