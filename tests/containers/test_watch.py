"""A decoder that crashes, hangs or eats memory costs one video, and its cause decides how."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from containers.processing.confine import memory_limit
from contracts.limits import VideoLimits
from contracts.messages import InferenceRequest
from contracts.models import resolve_model
from contracts.outcomes import ExitCode, RejectionCode
from tests.containers.hostile import (
    DECODER_FAULTS,
    MODEL_CRASH_WIDTH,
    MODEL_KEEP_WIDTH,
    MODEL_WAIT_WIDTH,
)
from tests.containers.ml_tree import REPOSITORY, Tree
from tests.vision.attempts import any_request
from tests.vision.videos import VideoSpec, make_video

PEOPLE = resolve_model("builtin:people")
REJECTED = {
    "crash": RejectionCode.UNREADABLE,
    "abort": RejectionCode.UNREADABLE,
    "spin": RejectionCode.TOO_SLOW,
    "wait": RejectionCode.TOO_SLOW,
    "eat": RejectionCode.TOO_LARGE,
}
RETRIED = {
    "killed": "memory",
    "leave": "crashed",
    "model_crash": "crashed",
    "model_wait": "time_limit",
}
WIDTHS = {"model_crash": MODEL_CRASH_WIDTH, "model_wait": MODEL_WAIT_WIDTH}


def ask(tree: Tree, *names: str) -> dict[str, InferenceRequest]:
    """A request for a video of each name, in their order."""
    tree.videos.mkdir(parents=True, exist_ok=True)
    requests = {}
    for name in names:
        size = ({**WIDTHS, "keep": MODEL_KEEP_WIDTH}.get(name, 96), 64)
        path = make_video(tree.videos / f"{name}.mp4", VideoSpec(frame_count=3, size=size))
        requests[name] = any_request(path, model=PEOPLE)
    tree.ask(*requests.values())
    return requests


def test_each_fault_costs_its_own_video_and_no_other(tree: Tree) -> None:
    faults = [*DECODER_FAULTS, *WIDTHS]
    names = ["first", *faults, "last"]
    requests = ask(tree, *names)
    ended = tree.run(
        *("--max-stall-s", "2", "--max-memory-bytes", "1000000000"),
        module="tests.containers.hostile",
    )
    assert ended.code == ExitCode.RETRYABLE, ended
    codes = {attempt.source.key.removesuffix(".mp4"): attempt.code for attempt in tree.attempts()}
    good = [name for name in names if name not in faults]
    assert codes == {**dict.fromkeys(good), **REJECTED}
    for name, word in RETRIED.items():
        assert re.search(rf"{name}\.mp4: [^;]*{word}", tree.message), tree.message
        folder = tree.attempt_folder(requests[name])
        assert not folder.exists() or not any(it.is_file() for it in folder.rglob("*"))
    for name in REJECTED:
        message = tree.attempt(requests[name]).message
        assert message is not None
        assert message.endswith(".")


def test_a_video_that_finds_no_memory_is_not_refused_for_what_a_model_keeps(tree: Tree) -> None:
    requests = ask(tree, "keep", "take", "last")
    ended = tree.run("--max-memory-bytes", "1000000000", module="tests.containers.hostile")
    assert ended.code == ExitCode.RETRYABLE, ended
    codes = {attempt.source.key: attempt.code for attempt in tree.attempts()}
    assert codes == {"keep.mp4": None, "last.mp4": None}
    assert re.search(r"take\.mp4: out of memory", tree.message), tree.message
    folder = tree.attempt_folder(requests["take"])
    assert not folder.exists() or not any(it.is_file() for it in folder.rglob("*"))


def test_what_a_dead_process_leaves_behind_is_taken_away(tree: Tree, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ask(tree, "crash", "good")
    command = [sys.executable, "-m", "tests.containers.hostile"]
    environment = {"ML_ROOT": str(tree.root), "TMPDIR": str(scratch), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
    assert list(scratch.iterdir()) == []
    assert len(tree.attempts()) == 2


def test_the_process_that_works_ends_with_the_one_that_watches(tree: Tree) -> None:
    ask(tree, "spin")
    command = [sys.executable, "-m", "tests.containers.hostile"]
    environment = {"ML_ROOT": str(tree.root), "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env={**os.environ, **environment}) as container:
        children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
        wait_until(lambda: bool(children.read_text()))
        worker = Path(f"/proc/{children.read_text().split()[0]}")
        container.send_signal(signal.SIGKILL)
        wait_until(lambda: not worker.exists() or ") Z" in (worker / "stat").read_text())


def wait_until(is_met: Callable[[], bool]) -> None:
    """Look until it is so; fail after half a minute."""
    for _ in range(600):
        if is_met():
            return
        time.sleep(0.05)
    pytest.fail("it never came to be")


def test_memory_is_bounded_by_the_machine_where_nothing_else_is_said() -> None:
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine_bytes // 50 < memory_limit(VideoLimits()) < machine_bytes
    assert memory_limit(VideoLimits(max_memory_bytes=7)) == 7
