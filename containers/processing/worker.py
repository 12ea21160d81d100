"""
A forked process that answers tasks, one after the other, and how it is watched.

A decoder is native code that is given what strangers made: it may crash, hang, or ask for all the
memory there is. In a process of its own it takes nothing with it.
"""

import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from containers.processing.arguments import UsageError
from containers.processing.confine import confine
from containers.processing.pulse import Pulse

Answer = str | None
"""What kept a task from being answered; None where it was answered."""
_POLL_S = 0.1
_DISK_SHARE = 0.5
"""Who waited for a disk at so many looks is not at fault; a decoder's deadlock waits for none."""
_OUT_OF_MEMORY = 12
"""The exit status of a process whose work raised a MemoryError: Linux's number for it."""


@dataclass(frozen=True, slots=True)
class Death:
    """
    How a process ended that had not answered.

    Attributes:
        signal: That it died of; None where it ended by itself.
        stalled_s: How long nothing had come forth when it was killed for that; else None.
        is_waiting: Whether it waited for the machine's disks meanwhile.
        is_engine: Whether a model was at work meanwhile, or being loaded.
        is_memory: Whether its work ended for want of memory.
    """

    signal: int | None
    stalled_s: float | None = None
    is_waiting: bool = False
    is_engine: bool = False
    is_memory: bool = False

    @property
    def is_crash(self) -> bool:
        """Whether native code broke: nobody sends these signals."""
        crashes = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
        return self.stalled_s is None and self.signal in crashes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may take, and where its temporary files are."""

    memory_bytes: int
    max_stall_s: float
    scratch: Path


class Worker:
    """
    Forks a process that does `work`; to be ended.

    Args:
        work: Called in the process; what it gives out are the answers.
    """

    def __init__(self, work: Callable[[], Iterable[Answer]], bounds: Bounds, pulse: Pulse) -> None:
        self._pulse, self._bounds = pulse, bounds
        self._stall: tuple[float, bool, bool] | None = None
        pulse.beat()
        self._reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent_pid = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            _work(work, bounds, writer, parent_pid)
        os.close(writer)

    def answers(self) -> Iterator[Answer]:
        """
        As they come, until the process ends or has stalled.

        Raises:
            UsageError: What `work` raised.
        """
        rest = b""
        beat, looks, disk_looks = 0.0, 0, 0
        while True:
            if select.select([self._reader], [], [], _POLL_S)[0]:
                chunk = os.read(self._reader, 65_536)
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _received(line)
                continue
            found, is_engine = self._pulse.read()
            if found != beat:
                beat, looks, disk_looks = found, 0, 0
            stalled_s = time.monotonic() - beat
            if stalled_s > self._bounds.max_stall_s / 2:
                looks += 1
                disk_looks += _waits_for_disk(self._pid)
            if stalled_s > self._bounds.max_stall_s:
                self._stall = stalled_s, disk_looks >= looks * _DISK_SHARE, is_engine
                return

    def end(self) -> Death | None:
        """Make sure that the process is no more; None where it was done."""
        os.close(self._reader)
        if self._stall is not None:
            self.kill()
        _, status = os.waitpid(self._pid, 0)
        if self._stall is not None:
            return Death(signal.SIGKILL, *self._stall)
        if status == 0:
            return None
        code = os.waitstatus_to_exitcode(status)
        return Death(-code if code < 0 else None, is_memory=code == _OUT_OF_MEMORY)

    def kill(self) -> None:
        """End it, whatever it is at."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


def _work(
    work: Callable[[], Iterable[Answer]], bounds: Bounds, writer: int, parent_pid: int
) -> NoReturn:
    """All there is of the forked process."""
    code = 1
    try:
        tempfile.tempdir = str(bounds.scratch)
        confine(bounds.memory_bytes, parent_pid)
        for answer in work():
            _send(writer, {"answer": answer})
        code = 0
    except UsageError as error:
        _send(writer, {"usage": str(error)})
    except MemoryError:
        code = _OUT_OF_MEMORY
    except BaseException:  # noqa: BLE001 - nothing of the parent's stack may run on here
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _send(writer: int, message: dict[str, Answer]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(writer, data) :]


def _received(line: bytes) -> Answer:
    message = json.loads(line)
    if "usage" in message:
        raise UsageError(message["usage"])
    answer: Answer = message["answer"]
    return answer


def _waits_for_disk(pid: int) -> bool:
    """Whether any thread is in uninterruptible sleep; False where no system tells."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                line = (thread / "stat").read_text(encoding="ascii", errors="replace")
                if line.rpartition(")")[2].split()[0] == "D":
                    return True
    return False
