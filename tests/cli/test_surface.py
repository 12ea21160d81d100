"""What users meet first: help, checks, and sentences where others show tracebacks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli.checks import Check, local_checks
from cli.errors import Exit, explain
from cli.main import app
from cli.output import program, sentence
from cli.stage import Stage
from contracts.outcomes import ExitCode
from tests.cli.commands import Commands

HEAVY = ("av", "boto3", "botocore", "cv2", "numpy", "onnxruntime", "rich")


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkout in which nothing is installed and no cloud runs."""
    monkeypatch.setattr("local.config.REPOSITORY", tmp_path)
    return tmp_path


def test_help_waits_for_no_heavy_import() -> None:
    code = f"import sys, cli.main; print([it for it in {HEAVY} if it in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"


def test_help_names_every_command_and_the_exit_codes(commands: Commands) -> None:
    done = commands("--help")

    assert done.exit_code == 0
    for name in (
        "demo", "run", "up", "down", "submit", "status", "watch", "results", "doctor", "model",
        "redrive", "reprocess", "cancel", "pause", "resume",
    ):  # fmt: skip
        assert name in done.output
    for code in Exit:
        assert str(int(code)) in done.output


@pytest.mark.parametrize("command", [(), ("submit",), ("model",), ("model", "push")])
def test_help_shows_no_value_for_flags(commands: Commands, command: tuple[str, ...]) -> None:
    done = commands(*command, "--help")

    assert "--help" in done.output
    assert "<bool>" not in done.output


def test_only_stages_have_aliases(commands: Commands) -> None:
    assert "alias" in commands("submit", "--help").output
    assert "alias" not in commands("run", "--help").output


def test_the_version_is_told(commands: Commands) -> None:
    from importlib.metadata import version

    done = commands("--version")

    assert done.exit_code == 0
    assert done.output == f"framewright {version('framewright')}\n"


@pytest.mark.parametrize(
    ("called", "from_folder", "search", "shown"),
    [
        (".venv/bin/framewright", ".", "", ".venv/bin/framewright"),
        ("../.venv/bin/framewright", "videos", "", "../.venv/bin/framewright"),
        ("./framewright", ".venv/bin", "", "./framewright"),
        (".venv/bin/framewright", ".", ".venv/bin", "framewright"),
        (".venv/bin/framewright", ".", "other", ".venv/bin/framewright"),
        ("a b/framewright", ".", "", "'a b/framewright'"),
        ("bin/pytest", ".", "", "framewright"),
    ],
)
def test_printed_commands_call_the_program_as_it_can_be_called_from_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    called: str,
    from_folder: str,
    search: str,
    shown: str,
) -> None:
    for name in (".venv/bin", "other", "a b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "framewright").touch(mode=0o755)
    (tmp_path / "videos").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / search) if search else "")
    monkeypatch.chdir(tmp_path / from_folder)
    monkeypatch.setattr("sys.argv", [called])

    assert program() == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("unknown selection 'x'", "Unknown selection 'x'."),
        ("every_seconds must be above 0", "every_seconds must be above 0."),
    ],
)
def test_sentences_keep_names_as_they_are_written(text: str, said: str) -> None:
    assert sentence(text) == said


def test_exit_codes_mean_the_same_as_the_containers() -> None:
    own = {Exit.UNAVAILABLE, Exit.DAMAGED}
    shared = set(Exit) - own

    assert {int(code) for code in ExitCode} == {int(code) for code in shared}


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("watch",),
        ("results", "x"),
        ("submit", "a.mp4"),
        ("model", "push", "m.tar.gz"),
        ("redrive",),
        ("reprocess", "x/"),
        ("cancel", "x"),
        ("pause",),
        ("resume",),
    ],
)
def test_a_local_stage_that_is_down_is_to_be_brought_up(
    commands: Commands, checkout: Path, arguments: tuple[str, ...]
) -> None:
    done = commands(*arguments)

    assert done.exit_code == 69
    assert "framewright up" in done.errors


def test_an_unknown_stage_is_answered_with_those_there_are(commands: Commands) -> None:
    for name in ("nowhere", "No such"):
        done = commands("status", "--stage", name)
        assert done.exit_code == 64
        assert "dev, local, prod, staging" in done.errors


def test_missing_credentials_are_told(
    commands: Commands, credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    done = commands("status", "--stage", "dev")

    assert done.exit_code == 69
    assert "no AWS credentials" in done.errors


def test_a_missing_region_is_told(
    commands: Commands, credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")

    done = commands("status", "--stage", "dev")

    assert done.exit_code == 69
    assert "AWS_REGION" in done.errors


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"), "may not do PutObject"),
        (ClientError({"Error": {"Code": "NoSuchBucket"}}, "PutObject"), "not deployed"),
        (ClientError({"Error": {"Code": "ExpiredToken"}}, "GetItem"), "credentials"),
        (ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"), "SlowDown"),
        (EndpointConnectionError(endpoint_url="https://x"), "cannot be reached"),
        (PermissionError(13, "Permission denied", "secret.mp4"), "secret.mp4: Permission denied"),
        (OSError(28, "No space left on device", "big.mp4"), "big.mp4: No space left"),
    ],
)
def test_errors_that_users_can_put_right_are_sentences_with_a_remedy(
    error: Exception, said: str
) -> None:
    explained = explain(error)

    assert explained is not None
    assert said in explained.what
    assert explained.remedy.endswith(".")


def test_a_fault_of_ours_is_not_explained_away() -> None:
    assert explain(KeyError("x")) is None


def test_the_doctor_says_what_to_do_about_what_is_missing(
    commands: Commands, checkout: Path
) -> None:
    done = commands("doctor", "--json")

    assert done.exit_code == 69
    ill = {it["name"]: it["remedy"] for it in done.json if not it["ok"]}
    assert {"CDK CLI", "MiniStack"} <= set(ill)
    assert all(ill.values())
    assert {"Python", "Codecs", "H.264 encoder", "Node", "Disk"} <= {
        it["name"] for it in done.json if it["ok"]
    }


def test_the_doctor_marks_each_check(
    commands: Commands, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check("One", "there"), Check("Two", "gone", "Bring it.")]
    monkeypatch.setattr("cli.checks.local_checks", lambda: iter(checks))

    done = commands("doctor")

    assert done.exit_code == 69
    assert done.output == "✓ One: there\n✗ Two: gone\n    → Bring it.\n"
    monkeypatch.setattr("cli.checks.local_checks", lambda: iter(checks[:1]))
    assert commands("doctor").exit_code == 0


def test_the_doctor_names_the_port_that_is_taken(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("FRAMEWRIGHT_PORT", str(port))
        *_, cloud = local_checks()

    assert not cloud.ok
    assert f"Port {port} is taken" in (cloud.remedy or "")


def test_the_doctor_checks_a_deployed_stage(stage: Stage, commands: Commands) -> None:
    done = commands("doctor", "--stage", "dev", "--json")

    assert done.exit_code == 0
    assert stage.names.uploads_bucket in json.dumps(done.json)
    stage.s3.delete_bucket(Bucket=stage.names.results_bucket)
    again = commands("doctor", "--stage", "dev")
    assert again.exit_code == 69
    assert "not deployed" in again.output


def test_down_is_at_peace_with_nothing_running(commands: Commands, checkout: Path) -> None:
    done = commands("down", "--json")

    assert done.exit_code == 0
    assert done.json == {"running": False, "was_running": False}


def test_a_demo_of_a_missing_video_starts_nothing(commands: Commands, checkout: Path) -> None:
    for video, said in ((checkout / "missing.mp4", "no file"), (checkout, "is a folder")):
        done = commands("demo", "--video", video)
        assert done.exit_code == 64
        assert said in done.errors
    assert list(checkout.rglob("state.json")) == []


def test_the_command_is_what_the_project_installs() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="framewright")
    assert script.value == "cli.main:main"
    assert app.info.name == "framewright"
