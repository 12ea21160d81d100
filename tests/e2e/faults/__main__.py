"""`python -m tests.e2e.faults`: every fault, one after the other, and the table of them all."""

import sys

from tests.e2e.faults.concurrent import ConcurrentFaults
from tests.e2e.faults.report import conduct
from tests.e2e.faults.simulated import SimulatedFaults
from tests.e2e.faults.simulation.laboratory import laboratory


def main() -> int:
    """Run all experiments; 1 where a job was lost or doubled."""
    with laboratory() as made:
        good = conduct(
            [*SimulatedFaults(made).experiments(), *ConcurrentFaults(made).experiments()]
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
