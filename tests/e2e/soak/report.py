"""A burst in figures."""

from tests.e2e.soak.burst import Burst
from tests.e2e.soak.processes import CONTAINERS, FUNCTIONS, MINISTACK, SAGEMAKER

_KINDS = (MINISTACK, SAGEMAKER, FUNCTIONS, CONTAINERS)
_QUARTERS = range(4)
MOST_GROWTH_BYTES = {MINISTACK: 64 << 10, SAGEMAKER: 16 << 10, FUNCTIONS: 8 << 10}
"""
A job, in the second half of a run. MiniStack holds the account's objects, records and logs in its
memory, and the local SageMaker every job's description; a function keeps nothing. Containers live
for one job each.
"""
_MIB = 1 << 20


def show(burst: Burst) -> None:
    """Print the counts, the throughput, and the memory of each kind of process."""
    rate = burst.uploads / burst.took_s
    print(f"{'uploads':>9} {'told':>9} {'lost':>9} {'doubled':>9} {'dead letters':>13} {'took':>9}")
    print(
        f"{burst.uploads:9,} {burst.told:9,} {burst.lost:9,} {burst.doubled:9,} "
        f"{burst.dead_letters:13,} {burst.took_s:7,.0f} s"
    )
    print(f"\n{rate:.2f} jobs a second, {60 * rate:.0f} a minute\n")
    quarters = "".join(f"{f'quarter {number + 1}':>12}" for number in _QUARTERS)
    print(f"{'most memory, MiB':18}{quarters}")
    for kind in _KINDS:
        sizes = (burst.watch.quarter(kind, number) / _MIB for number in _QUARTERS)
        print(f"{kind:18}" + "".join(f"{size:12.1f}" for size in sizes))


def grown(burst: Burst) -> list[str]:
    """The kinds of process that grew more than by what they hold of a job, a sentence each."""
    faults = []
    for kind, most in MOST_GROWTH_BYTES.items():
        growth = burst.watch.quarter(kind, 3) - burst.watch.quarter(kind, 1)
        if growth > most * burst.uploads / 2:
            a_job = 2 * growth / burst.uploads / 1024
            faults.append(f"{kind} grew by {a_job:.1f} KiB a job, not {most / 1024:.0f} at most")
    return faults
