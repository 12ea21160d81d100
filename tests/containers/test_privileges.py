"""
Root is given up before any input is read, and cannot be had back.

These tests are about what the kernel allows, so they need a real root and ask the kernel: each runs
in a process of its own, and faults are privileges taken away from it by setpriv(1).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.privileges import RUN_AS_VARIABLE, Account, PrivilegesError, give_up_root
from contracts.models import resolve_model
from contracts.outcomes import ExitCode, Outcome
from tests.containers.ml_tree import REPOSITORY, Ended, Tree
from tests.vision.attempts import any_request

NOBODY = 65534
RUN_AS = f"{NOBODY}:{NOBODY}"
# Loaded beforehand, because a checkout in a private home is not readable for that user.
_ENTRY_POINT = """
import sys
import containers.processing.attempt, containers.processing.run, encodings.ascii
import vision.models.people
from containers.processing.__main__ import main, os, parse_arguments
parse_arguments([])
print_status = sys.argv.pop(1) == "status"
code = main(sys.argv[1:], os.environ)
if print_status:
    import json
    lines = (line.partition(":") for line in open("/proc/self/status"))
    facts = {name: value.split() for name, _, value in lines}
    print(json.dumps({**facts, "home": os.environ["HOME"]}))
sys.exit(code)
"""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can give up root: run as root, with setpriv (util-linux) installed",
)


@pytest.fixture
def public_tree() -> Iterator[Tree]:
    """An ML root that is all root's, where everyone may look, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="framewright-test-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "tmp").mkdir()
        tree = Tree(Path(folder) / "ml")
        tree.root.mkdir()
        tree.configure()
        tree.results.mkdir(parents=True)
        (tree.root / "output").mkdir()
        yield tree


def run_entry_point(
    tree: Tree, *setpriv: str, run_as: str = RUN_AS, arguments: tuple[str, ...] = ("plain",)
) -> Ended:
    ended = subprocess.run(
        ["setpriv", *setpriv, sys.executable, "-c", _ENTRY_POINT, *arguments],
        env={
            **os.environ,
            "ML_ROOT": str(tree.root),
            "PYTHONPATH": str(REPOSITORY),
            "TMPDIR": str(tree.root.parent / "tmp"),
            RUN_AS_VARIABLE: run_as,
        },
        cwd=tree.root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = tuple(json.loads(line) for line in ended.stdout.splitlines())
    return Ended(ended.returncode, lines, ended.stderr)


def ask_for_rejection(tree: Tree) -> str:
    """A request whose answer needs every kind of file: an input read, results written."""
    tree.videos.mkdir(parents=True, exist_ok=True)
    (tree.videos / "bad.mp4").write_bytes(b"no video")
    request = any_request(tree.videos / "bad.mp4", model=resolve_model("builtin:people"))
    tree.ask(request)
    return request.output.prefix


def owners(path: Path) -> set[tuple[int, int]]:
    found = [path, *path.rglob("*")]
    return {(item.lstat().st_uid, item.lstat().st_gid) for item in found}


@pytest.mark.parametrize(
    "text", ["", "0:0", "0:10001", "10001:0", "10001", "a:b", "1:2:3", "1:2\n"]
)
def test_only_an_ordinary_account_is_accepted(text: str) -> None:
    with pytest.raises(PrivilegesError, match="expected <uid>:<gid>"):
        Account.parse(text)


def test_a_developers_machine_stays_as_it_is(tree: Tree) -> None:
    before, environment = owners(tree.root), {"HOME": "/home/me"}
    assert give_up_root(environment, tree.root) is None
    assert (owners(tree.root), environment) == (before, {"HOME": "/home/me"})


@needs_root
def test_the_job_writes_into_roots_folders_as_an_ordinary_user(public_tree: Tree) -> None:
    prefix = ask_for_rejection(public_tree)
    ended = run_entry_point(public_tree)
    assert ended.code == ExitCode.SUCCEEDED, ended
    assert [attempt.outcome for attempt in public_tree.attempts()] == [Outcome.REJECTED]
    assert (public_tree.results.parent / prefix).is_dir()
    assert owners(public_tree.results) == owners(public_tree.root / "output") == {(NOBODY, NOBODY)}
    assert owners(public_tree.videos) == owners(public_tree.root / "config") == {(0, 0)}


@needs_root
def test_nothing_of_root_is_left(public_tree: Tree) -> None:
    ask_for_rejection(public_tree)
    ended = run_entry_point(public_tree, "--groups=0,4", arguments=("status",))
    assert ended.code == ExitCode.SUCCEEDED, ended
    status = ended.lines[-1]
    assert (status["Uid"], status["Gid"]) == ([str(NOBODY)] * 4, [str(NOBODY)] * 4)
    assert (status["Groups"], status["NoNewPrivs"]) == ([], ["1"])
    assert {status[f"Cap{kind}"][0] for kind in ("Prm", "Eff", "Amb")} == {"0" * 16}  # type: ignore[index]
    home = Path(str(status["home"]))
    assert (owners(home), home.stat().st_mode & 0o777) == ({(NOBODY, NOBODY)}, 0o700)


@needs_root
def test_root_is_given_up_before_anything_else_is_looked_at(public_tree: Tree) -> None:
    ended = run_entry_point(public_tree, arguments=("plain", "--no-such-argument"))
    assert [line["message"] for line in ended.lines] == ["gave up root", "wrong use"]
    assert (ended.lines[0]["uid"], ended.lines[0]["gid"]) == (NOBODY, NOBODY)
    assert owners(public_tree.root / "output") == {(NOBODY, NOBODY)}


@needs_root
def test_folders_that_are_missing_are_made(public_tree: Tree) -> None:
    shutil.rmtree(public_tree.root / "processing")
    shutil.rmtree(public_tree.root / "output")
    ask_for_rejection(public_tree)
    assert run_entry_point(public_tree).code == ExitCode.SUCCEEDED
    assert owners(public_tree.results) == {(NOBODY, NOBODY)}


@needs_root
def test_input_folders_that_only_root_may_read_are_opened_and_not_given_away(
    public_tree: Tree,
) -> None:
    ask_for_rejection(public_tree)
    inputs = public_tree.root / "processing/input"
    folders = [inputs / "videos", inputs / "requests", inputs, public_tree.root / "config"]
    folders += [public_tree.root / "processing", public_tree.root]
    for folder in folders:
        folder.chmod(0o700)
    assert run_entry_point(public_tree).code == ExitCode.SUCCEEDED
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o705] * 6
    assert owners(public_tree.videos) == {(0, 0)}


@needs_root
@pytest.mark.parametrize("link", ["output", "processing/output", "processing/output/results"])
def test_no_link_leads_to_a_folder_that_is_given_away(public_tree: Tree, link: str) -> None:
    elsewhere = public_tree.root.parent / "elsewhere"
    (elsewhere / "results").mkdir(parents=True)
    shutil.rmtree(public_tree.root / link)
    (public_tree.root / link).symlink_to(elsewhere)
    assert run_entry_point(public_tree).code == ExitCode.USAGE
    assert owners(elsewhere) == {(0, 0)}


@needs_root
@pytest.mark.parametrize(
    ("setpriv", "run_as", "reason"),
    [
        (["--bounding-set=-setuid"], RUN_AS, "Operation not permitted"),
        (["--bounding-set=-setgid"], RUN_AS, "Operation not permitted"),
        (["--bounding-set=-chown"], RUN_AS, "Operation not permitted"),
        (["--securebits=+no_setuid_fixup"], RUN_AS, "gave root back"),
        ([], "", "expected <uid>:<gid>"),
        ([], "0:0", "expected <uid>:<gid>"),
    ],
    ids=["no SETUID", "no SETGID", "no CHOWN", "root comes back", "empty", "root"],
)
def test_a_job_that_cannot_give_up_root_reads_nothing_and_says_why(
    public_tree: Tree, setpriv: list[str], run_as: str, reason: str
) -> None:
    ask_for_rejection(public_tree)
    ended = run_entry_point(public_tree, *setpriv, run_as=run_as)
    assert ended.code == ExitCode.USAGE, ended
    assert reason in public_tree.message
    assert public_tree.attempts() == []


@needs_root
def test_who_is_no_root_has_nothing_to_give_up(public_tree: Tree) -> None:
    before = owners(public_tree.root)
    child = os.fork()
    if child == 0:
        os.setuid(NOBODY)
        unchanged = give_up_root({RUN_AS_VARIABLE: RUN_AS}, public_tree.root) is None
        os._exit(0 if unchanged else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert owners(public_tree.root) == before
