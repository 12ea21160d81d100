"""A part of `make faults` with real processes, in a cloud of its own that may be broken."""

from collections.abc import Iterator

import pytest

from tests.e2e.faults.cloud import breakable_cloud
from tests.e2e.faults.embedded import EmbeddedFaults
from tests.e2e.faults.report import Experiment

JOBS = 6
TRIED = ("container killed while it writes", "settle killed", "MiniStack killed three times")

pytestmark = pytest.mark.embedded_cloud


@pytest.fixture(scope="module")
def experiments() -> Iterator[dict[str, Experiment]]:
    """The experiments by fault."""
    with breakable_cloud() as cloud:
        found = EmbeddedFaults(cloud, jobs=JOBS).experiments()
        yield {experiment.fault.removeprefix("real: "): experiment for experiment in found}


@pytest.mark.parametrize("fault", TRIED)
def test_a_process_that_dies_loses_and_doubles_no_job(
    experiments: dict[str, Experiment], fault: str
) -> None:
    verdict = experiments[fault].run().verdict
    assert verdict.is_good, verdict
