"""
Time things side by side, each in a fresh process on cores of its own choosing.

A fresh process gives every entrant the same cold decoder, an honest peak of memory and its own
processor affinity. Entrants take turns, in an order that turns round every time, so that a busy
moment of the machine meets all of them; medians are compared.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.inputs import ROOT

Answer = dict[str, Any]


class NotInstalledError(Exception):
    """A peer's package is not there."""


class WrongAnswerError(Exception):
    """Frames came out that were not asked for, or not those that were."""


class FailedError(Exception):
    """An entrant could not do it, or broke down."""


@dataclass(slots=True)
class Stopwatch:
    """
    What a stretch of work cost this process and its children.

    Attributes:
        base_rss_mb: Resident before the work; `peak_rss_mb` is the highest during it.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    base_rss_mb: float = 0.0
    peak_rss_mb: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the block."""
        self.base_rss_mb = _status_mb("VmRSS")
        # Forgets the peak of the imports before (Linux; elsewhere it is counted in).
        if (clear := Path("/proc/self/clear_refs")).exists():
            clear.write_text("5", encoding="ascii")
        cpu_s, start = _cpu_s(), time.perf_counter()
        yield
        self.wall_s = time.perf_counter() - start
        self.cpu_s = _cpu_s() - cpu_s
        of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        self.peak_rss_mb = _status_mb("VmHWM") + of_children

    def answer(self, **more: Any) -> Answer:
        """The figures as a worker's answer."""
        return {
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "base_rss_mb": round(self.base_rss_mb, 1),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            **more,
        }


@dataclass(slots=True)
class Measured:
    """An entrant's runs, or why there are none."""

    runs: list[Answer] = field(default_factory=list)
    absent: str | None = None
    wrong: str | None = None

    def median(self, figure: str = "wall_s") -> float:
        """The median of a figure over the runs."""
        return float(statistics.median(run[figure] for run in self.runs))


def in_worker(task: Callable[..., Answer], cores: int, **arguments: Any) -> Answer:
    """
    Run a function in a fresh process that may use so many cores.

    Raises:
        NotInstalledError: A package the function imports is missing.
        WrongAnswerError: The function found its own frames wrong.
        FailedError: Anything else went wrong.
    """
    order = {
        "task": f"{task.__module__}:{task.__qualname__}",
        "cores": cores,
        "arguments": arguments,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", json.dumps(order)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ended.stdout.splitlines()
    if ended.returncode != 0 or not lines:
        print(ended.stderr, file=sys.stderr)
        raise FailedError(f"fails: {ended.stderr.strip().splitlines()[-1][-200:]}")
    answer: Answer = json.loads(lines[-1])
    if "failed" in answer:
        raise FailedError(f"fails: {answer['failed']}")
    if "absent" in answer:
        raise NotInstalledError(answer["absent"])
    if "wrong" in answer:
        raise WrongAnswerError(answer["wrong"])
    return answer


def take_turns(
    entrants: Mapping[str, Callable[[], Answer]],
    repeats: int,
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Measured]:
    """Measure every entrant so many times; one that is absent or wrong is asked no more."""
    measured = {name: Measured() for name in entrants}
    for number in range(repeats):
        names = list(entrants)[:: -1 if number % 2 else 1]
        for name in names:
            entry = measured[name]
            if entry.absent or entry.wrong:
                continue
            note(f"{name} {number + 1}/{repeats}")
            try:
                entry.runs.append(entrants[name]())
            except (NotInstalledError, FailedError) as error:
                entry.absent = str(error)
            except WrongAnswerError as error:
                entry.wrong = str(error)
    return measured


def available_cores() -> Sequence[int]:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _status_mb(name: str) -> float:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
