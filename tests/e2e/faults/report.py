"""What was injected and what became of the jobs, as rows of a table."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_HEADER = ("fault", "injected", "jobs", "lost", "doubled", "settled after")
_TIME_FORMAT = "{:,.0f} s{}"


@dataclass(slots=True)
class Verdict:
    """
    What became of some jobs; adds up over worlds.

    Attributes:
        lost: A sentence for each job without its one right end.
        doubled: A sentence for each job with more than one end or result.
        settled_after_s: From the first upload until the last outcome was told.
    """

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    settled_after_s: float = 0.0
    dead_letters: int = 0
    injected: int = 0

    def add(self, other: "Verdict") -> None:
        """Take another's jobs in."""
        self.jobs += other.jobs
        self.lost += other.lost
        self.doubled += other.doubled
        self.settled_after_s = max(self.settled_after_s, other.settled_after_s)
        self.dead_letters += other.dead_letters
        self.injected += other.injected

    @property
    def sentences(self) -> list[str]:
        """What went wrong."""
        return [*self.lost, *self.doubled]

    @property
    def is_good(self) -> bool:
        """Whether something was injected, and no job was lost or doubled."""
        return bool(self.injected and self.jobs) and not self.lost and not self.doubled


@dataclass(frozen=True, slots=True)
class Row:
    """A fault's line of the table; `is_simulated` says whose seconds they are."""

    fault: str
    verdict: Verdict
    is_simulated: bool

    def cells(self) -> tuple[str, ...]:
        verdict = self.verdict
        mark = "*" if self.is_simulated else ""
        counts = (verdict.injected, verdict.jobs, len(verdict.lost), len(verdict.doubled))
        after = _TIME_FORMAT.format(verdict.settled_after_s, mark)
        return (self.fault, *(f"{count:,}" for count in counts), after)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A fault and how it is tried; one row."""

    fault: str
    conduct: Callable[[], Verdict]
    is_simulated: bool

    def run(self) -> Row:
        return Row(self.fault, self.conduct(), self.is_simulated)


def conduct(experiments: Iterable[Experiment]) -> bool:
    """Try all, tell of the progress, and print the table; whether all is well."""
    began_s = time.monotonic()
    rows = []
    for experiment in experiments:
        _show(f"{time.monotonic() - began_s:5.0f} s  {experiment.fault} …")
        rows.append(experiment.run())
    _show("")
    print(table(rows))
    for row in rows:
        for sentence in row.verdict.sentences[:20]:
            print(f"{row.fault}: {sentence}")
    if any(row.is_simulated for row in rows):
        print("* simulated seconds")
    good = all(row.verdict.is_good for row in rows)
    jobs, faults = (sum(getattr(row.verdict, n) for row in rows) for n in ("jobs", "injected"))
    verdict = "none lost, none doubled" if good else "NOT as it should be"
    print(f"{faults:,} faults, {jobs:,} jobs, {verdict}; {time.monotonic() - began_s:.0f} s")
    return good


def table(rows: Iterable[Row]) -> str:
    """Rows under a header, numbers to the right."""
    lines = [_HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADER))]
    shown = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([shown[0], "─" * len(shown[0]), *shown[1:]])


def _show(line: str) -> None:
    """The progress line, written over the one before on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)
