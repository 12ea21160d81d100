"""
Has tasks answered by a process apart, and replaces it when it dies.

This process reads no video and loads no library that does, so forking it takes a millisecond and
what befalls a video cannot befall it.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from containers.processing.pulse import Pulse
from containers.processing.worker import Answer, Bounds, Death, Worker


@dataclass(slots=True)
class Supervisor:
    """
    Keeps one process at work.

    Attributes:
        work: Called in it with the number of its first task; gives out the answers in turn.
        bury: Called in this process: what a death means for the task of this number.
    """

    work: Callable[[int, Pulse], Iterator[Answer]]
    bury: Callable[[int, Death], Answer]
    memory_bytes: int
    max_stall_s: float
    _pulse: Pulse = field(default_factory=Pulse)

    def answers(self, count: int) -> Iterator[Answer]:
        """
        The answers to tasks 0 to `count` - 1, in order.

        Raises:
            UsageError: What the work raised.
        """
        done = 0
        while done < count:
            with self._worker(partial(self.work, done, self._pulse)) as ended:
                for answer in ended.answers:
                    done += 1
                    yield answer
            if done < count:
                yield self.bury(done, ended.death or Death(None))
                done += 1

    def alone(self, work: Callable[[Pulse], object]) -> Death | None:
        """Do something else in a process apart; how that died, or None where it did not."""

        def answers() -> Iterator[Answer]:
            work(self._pulse)
            yield None

        with self._worker(answers) as ended:
            for _ in ended.answers:
                pass
        return ended.death

    @contextmanager
    def _worker(self, work: Callable[[], Iterator[Answer]]) -> Iterator["_Ended"]:
        with tempfile.TemporaryDirectory(prefix="framewright-work-") as scratch:
            bounds = Bounds(self.memory_bytes, self.max_stall_s, Path(scratch))
            worker = Worker(work, bounds, self._pulse)
            ended = _Ended(worker.answers())
            try:
                yield ended
            except BaseException:
                worker.kill()
                raise
            finally:
                ended.death = worker.end()


@dataclass(slots=True)
class _Ended:
    """A process while it works, and how it ended afterwards."""

    answers: Iterator[Answer]
    death: Death | None = None
