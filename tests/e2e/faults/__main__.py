"""`python -m tests.e2e.faults`: every fault, one after the other, and the table of them all."""

import sys
from collections.abc import Iterator

from tests.e2e.faults.cloud import breakable_cloud
from tests.e2e.faults.concurrent import ConcurrentFaults
from tests.e2e.faults.embedded import EmbeddedFaults
from tests.e2e.faults.report import Experiment, conduct
from tests.e2e.faults.simulated import SimulatedFaults
from tests.e2e.faults.simulation.laboratory import laboratory


def main() -> int:
    """Run all experiments; 1 where a job was lost or doubled."""
    return 0 if conduct(_experiments()) else 1


def _experiments() -> Iterator[Experiment]:
    with laboratory() as made:
        yield from SimulatedFaults(made).experiments()
        yield from ConcurrentFaults(made).experiments()
    with breakable_cloud() as cloud:
        yield from EmbeddedFaults(cloud).experiments()


if __name__ == "__main__":
    sys.exit(main())
