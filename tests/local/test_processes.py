"""Processes that outlive their parent, and how they are ended."""

import os
import sys
from pathlib import Path

from local.processes import ProcessRecord, end_group, start_detached, tail
from tests.local.conftest import eventually, is_running

STUBBORN_PARENT = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("child").write_text(str(child.pid))
time.sleep(60)
"""


def start(code: str, folder: Path) -> ProcessRecord:
    """Start this code detached."""
    return start_detached(
        [sys.executable, "-c", code],
        environment=dict(os.environ),
        cwd=folder,
        log=folder / "log" / "process.log",
    )


def test_ending_a_group_ends_what_it_started_however_stubborn(tmp_path: Path) -> None:
    record = start(STUBBORN_PARENT, tmp_path)
    eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "")
    child = int((tmp_path / "child").read_text())
    assert record.is_alive()
    end_group(record, grace_s=0.1)
    assert not record.is_alive()
    eventually(lambda: not is_running(child))


def test_a_process_that_was_given_the_pid_of_another_is_left_alone(tmp_path: Path) -> None:
    record = start("import time; time.sleep(60)", tmp_path)
    earlier = ProcessRecord(record.pid, "an earlier start")
    assert not earlier.is_alive()
    end_group(earlier, grace_s=0.1)
    assert record.is_alive()
    end_group(record, grace_s=5)


def test_a_process_that_ended_by_itself_counts_as_ended(tmp_path: Path) -> None:
    record = start("pass", tmp_path)
    eventually(lambda: not record.is_alive())
    end_group(record, grace_s=5)


def test_the_end_of_a_log_is_shown(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == "(no log was written)"
    log.write_text("".join(f"line {n}\n" for n in range(100)))
    assert tail(log, lines=2) == "line 98\nline 99"
