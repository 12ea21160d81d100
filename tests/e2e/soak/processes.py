"""Memory of the embedded cloud's processes while it works, read from the system's own count."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from local.state import CloudState
from tests.e2e.process_tree import children, descendants, resident_bytes

EVERY_S = 0.5
MINISTACK, SAGEMAKER, FUNCTIONS, CONTAINERS = "MiniStack", "SageMaker", "functions", "containers"


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One look.

    Attributes:
        memory_bytes: Resident bytes by kind of process; of functions and containers the biggest.
    """

    at_s: float
    memory_bytes: dict[str, int]


@dataclass(slots=True)
class Watch:
    """The samples of a run, oldest first."""

    samples: list[Sample] = field(default_factory=list)

    def quarter(self, kind: str, number: int) -> int:
        """The most that a kind of process held in a quarter of the run, 0 to 3."""
        size = max(1, len(self.samples) // 4)
        part = self.samples[number * size : (number + 1) * size] or self.samples[-1:]
        return max(sample.memory_bytes.get(kind, 0) for sample in part)


@contextmanager
def watched(state: CloudState) -> Iterator[Watch]:
    """Look every so often at the processes of a cloud."""
    watch, ended, began_s = Watch(), threading.Event(), time.monotonic()

    def work() -> None:
        while not ended.wait(EVERY_S):
            watch.samples.append(Sample(time.monotonic() - began_s, _look(state)))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def _look(state: CloudState) -> dict[str, int]:
    assert state.ministack is not None
    assert state.sagemaker is not None
    ministack, sagemaker = state.ministack.pid, state.sagemaker.pid
    return {
        MINISTACK: resident_bytes(ministack),
        SAGEMAKER: resident_bytes(sagemaker),
        FUNCTIONS: max(map(resident_bytes, children(ministack)), default=0),
        CONTAINERS: max(map(resident_bytes, descendants(sagemaker)), default=0),
    }
