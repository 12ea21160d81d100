"""The scripts that the documentation offers do what it says of them."""

import json
import re
import runpy
from pathlib import Path

import pytest

from cli.stage import Stage
from contracts.keys import result_key
from contracts.outcomes import RejectionCode, RetryCode, WarningCode
from tests.cli.commands import Commands, succeeded_job
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
