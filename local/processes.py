"""Child processes that outlive their parent, and ending exactly those again."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """
    A process that leads its own group.

    Attributes:
        started: When it started, as the system tells it: the same pid with another start is
            another process, which must not be touched.
    """

    pid: int
    started: str

    def is_alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return start_mark(self.pid) == self.started


def start_mark(pid: int) -> str | None:
    """What tells a process from a later one with the same pid; None when it does not run."""
    try:
        # Field 2 may hold spaces and brackets: count from behind its last bracket.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _start_mark_of_ps(pid)
    except ProcessLookupError:
        return None
    return None if state in "ZX" else fields[18]


def _start_mark_of_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    state, _, started = shown.partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def start_detached(
    command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path
) -> ProcessRecord:
    """Start a process in a session of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env=dict(environment),
        )
    # The record, not this object, ends it: a later program may. Unset, Popen warns on deletion.
    child.returncode = child.poll() or 0
    return ProcessRecord(child.pid, start_mark(child.pid) or "")


def end_group(record: ProcessRecord, *, grace_s: float) -> None:
    """
    End a process and its group: SIGTERM to the leader, SIGKILL to whatever is left after a while.

    A leader that is gone already may leave children in its group; they cannot be told from
    strangers once the id is used again, so only a living leader's group is ended.
    """
    if not record.is_alive():
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while record.is_alive() and time.monotonic() < deadline:
        reap(record.pid)
        time.sleep(_POLL_S)
    # A pid is not used again while a group of that id has members, so this hits no stranger.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(record.pid, signal.SIGKILL)
    while record.is_alive():
        reap(record.pid)
        time.sleep(_POLL_S)
    reap(record.pid)


def reap(pid: int) -> None:
    """Take a child's exit status, if it is ours and has ended, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def tail(log: Path, *, lines: int = 20) -> str:
    """The last lines of a log, or a note that there are none."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "(no log was written)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
