"""The scripts that the documentation offers do what it says of them."""

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from typer.main import get_command

from cli.main import app
from cli.stage import Stage
from contracts.keys import result_key
from contracts.outcomes import RejectionCode, RetryCode, WarningCode
from tests.cli.commands import Commands, received_job, succeeded_job
from tests.cli.conftest import REGION
from tests.stacks.synthesis import STAGES, properties
from tests.vision.models.graphs import a_bundle, a_spec, constant_graph, plain_outputs
from tests.vision.videos import make_video

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def run_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "RunScript":
    return RunScript(tmp_path, monkeypatch, capsys)


class RunScript:
    """Runs a page's script, named by a part of it, and returns what it prints."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys

    def __call__(self, page: str, part: str, *arguments: str) -> list[str]:
        text = (DOCS / page).read_text(encoding="utf-8")
        (script,) = (it for it in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if part in it)
        file = self._folder / "script.py"
        file.write_text(script, encoding="utf-8")
        self._monkeypatch.setattr("sys.argv", [str(file), *arguments])
        self._monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        runpy.run_path(str(file), run_name="__main__")
        return self._capsys.readouterr().out.splitlines()


def test_committed_results_are_read(stage: Stage, run_script: RunScript, tmp_path: Path) -> None:
    job = succeeded_job(stage, make_video(tmp_path / "numbers.mp4"), tmp_path / "attempt")
    key = result_key(job.source.key, job.job_id)

    lines = run_script("results.md", "boto3", stage.names.results_bucket, key)

    assert len(lines) == 30
    assert lines[10].startswith("1.0 ")


def test_what_a_run_left_is_read(commands: Commands, run_script: RunScript, tmp_path: Path) -> None:
    graph = constant_graph(plain_outputs([[1, 1, 4, 4]], [1], [0.9]))
    bundle = a_bundle(tmp_path, graph, a_spec())
    words = tmp_path / "words.mp4"
    words.write_text("only words")
    for video in (make_video(tmp_path / "numbers.mp4"), words):
        commands("run", video, "--to", tmp_path / "to", "--model", bundle)

    lines = run_script("results.md", "rglob", str(tmp_path / "to"))

    assert lines[0] == "numbers.mp4 succeeded "
    assert [line.split()[0] for line in lines[1:4]] == ["0.0", "1.0", "2.0"]
    assert lines[4].startswith("words.mp4 rejected ")


def test_buckets_are_emptied_of_every_version(stage: Stage, run_script: RunScript) -> None:
    bucket = stage.names.uploads_bucket
    for body in (b"one", b"two"):
        stage.s3.put_object(Bucket=bucket, Key="a.mp4", Body=body)
    stage.s3.delete_object(Bucket=bucket, Key="a.mp4")
    stage.s3.put_object(Bucket=stage.names.results_bucket, Key="unversioned", Body=b"x")

    run_script("deployment.md", "object_versions", bucket, stage.names.results_bucket)

    for name in (bucket, stage.names.results_bucket):
        stage.s3.delete_bucket(Bucket=name)


def test_every_code_is_explained() -> None:
    text = (DOCS / "results.md").read_text(encoding="utf-8")

    explained = re.findall(r"^\| `(\w+)` \| .* \| .* \|$", text, re.MULTILINE)

    codes = [*RejectionCode, *RetryCode, *WarningCode]
    assert sorted(set(explained) & set(codes)) == sorted(codes)
    assert len([code for code in explained if code in codes]) == len(codes)


def test_every_field_of_a_result_is_explained(stage: Stage, tmp_path: Path) -> None:
    job = succeeded_job(stage, make_video(tmp_path / "numbers.mp4"), tmp_path / "attempt")
    key = result_key(job.source.key, job.job_id)
    body = stage.s3.get_object(Bucket=stage.names.results_bucket, Key=key)["Body"]
    text = (DOCS / "results.md").read_text(encoding="utf-8")

    result = json.load(body)

    names = [*result, *(f"video.{it}" for it in result["video"]), *result["counts"]]
    missing = [it for it in names if f"`{it}`" not in text and f"`.{it[6:]}`" not in text]
    assert missing == []


def test_what_was_deleted_below_a_prefix_is_taken_back(stage: Stage, run_script: RunScript) -> None:
    bucket = stage.names.uploads_bucket
    for key in ("in/a.mp4", "in/b.mp4", "other/c.mp4"):
        stage.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        stage.s3.delete_object(Bucket=bucket, Key=key)
    stage.s3.put_object(Bucket=bucket, Key="in/b.mp4", Body=b"new")

    taken_back = run_script("runbook.md", "a delete marker", bucket, "in/")

    assert taken_back == ["in/a.mp4"]
    left = stage.s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [(it["Key"], it["Size"]) for it in left] == [("in/a.mp4", 1), ("in/b.mp4", 3)]


def test_a_restored_ledger_is_copied_back(stage: Stage, run_script: RunScript) -> None:
    jobs = [received_job(stage, f"{number}.mp4") for number in range(3)]
    dynamodb, table = boto3.client("dynamodb", REGION), stage.names.jobs_table
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.restore_table_to_point_in_time(SourceTableName=table, TargetTableName="restored")
    for job in jobs:
        dynamodb.delete_item(TableName=table, Key={"job_id": {"S": job.job_id}})

    assert run_script("runbook.md", "dynamodb", "restored", table) == ["3 items"]

    assert [stage.ledger.get(job.job_id) for job in jobs] == jobs


def test_every_alarm_is_explained() -> None:
    text = (DOCS / "runbook.md").read_text(encoding="utf-8")

    explained = re.findall(r"^\| `(\w+)` \|.*\|.*\|.*\|$", text, re.MULTILINE)

    for stage in STAGES:
        alarms = properties(stage, "AWS::CloudWatch::Alarm").values()
        names = [it["AlarmName"].removeprefix(f"framewright-{stage}-") for it in alarms]
        assert sorted(explained) == sorted(names)


def test_the_commands_of_every_page_are_those_there_are() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    told = [words for page in DOCS.glob("*.md") for words in _told_commands(page)]
    assert len(told) > 30

    for name, *arguments in told:
        assert name in commands, name
        options = {it for param in commands[name].params for it in param.opts} | {"--help"}
        asked = {it.partition("=")[0] for it in arguments if it.startswith("--")}
        if name != "model":
            assert asked <= options, (name, asked - options)


def test_links_within_the_documentation_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        for file, anchor in re.findall(r"\]\(([\w./-]*\.md)?(?:#([\w-]+))?\)", text):
            target = page.parent / file if file else page
            assert target.exists(), (page.name, file)
            if anchor:
                assert anchor in _anchors(target), (page.name, file, anchor)


def _told_commands(page: Path) -> Iterator[list[str]]:
    """The words after `framewright` in a page's shell blocks and code spans."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in (*lines, *spans):
        for found in re.findall(r"(?:^|[\s/|])framewright ((?:(?!&&|\|).)+)", line):
            words = shlex.split(found.replace("'", ""), comments=True)
            if words and re.fullmatch(r"[a-z]+", words[0]):
                yield words


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
