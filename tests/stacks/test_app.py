"""The app: short, offline, and helpful when no stage is named."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.synthesis import ROOT, STACKS, STAGES, assembly


def run_app(tmp_path: Path, **context: str) -> subprocess.CompletedProcess[str]:
    """`python app.py` as the CDK CLI runs it, with no credentials and no way out."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))
    }
    environment |= {
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_CONTEXT_JSON": json.dumps(flags | context),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HOME": str(tmp_path),
    }
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_app_writes_three_stacks_of_the_stage_tagged_with_it(tmp_path: Path) -> None:
    done = run_app(tmp_path, stage="staging")
    assert done.returncode == 0, done.stderr
    for stack in STACKS:
        file = tmp_path / "out" / f"framewright-staging-{stack}.template.json"
        tags = [
            resource["Properties"]["Tags"]
            for resource in json.loads(file.read_text())["Resources"].values()
            if "Tags" in resource.get("Properties", {})
        ]
        assert tags
        for tag in (
            {"Key": "project", "Value": "framewright"},
            {"Key": "stage", "Value": "staging"},
        ):
            assert all(tag in found for found in tags)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({}, "framewright: name a stage, for example: cdk synth -c stage=dev"),
        ({"stage": "nowhere"}, "framewright: there is no config/nowhere.toml"),
    ],
)
def test_without_a_known_stage_the_app_says_what_to_write(
    tmp_path: Path, context: dict[str, str], message: str
) -> None:
    done = run_app(tmp_path, **context)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_app_stays_short() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize("stage", STAGES)
def test_synthesis_looks_nothing_up(stage: str) -> None:
    manifest = json.loads((assembly(stage) / "manifest.json").read_text())
    assert manifest.get("missing", []) == []


@pytest.mark.parametrize("stage", STAGES)
def test_only_the_processing_stack_needs_an_image_built(stage: str) -> None:
    for stack in STACKS:
        file = assembly(stage) / f"framewright-{stage}-{stack}.assets.json"
        images = json.loads(file.read_text())["dockerImages"]
        assert bool(images) == (stack == "processing")


@pytest.mark.parametrize("stage", STAGES)
def test_functions_ask_for_a_new_image_only_after_it_was_pushed(stage: str) -> None:
    artifacts = json.loads((assembly(stage) / "manifest.json").read_text())["artifacts"]
    orchestration = artifacts[f"framewright-{stage}-orchestration"]
    assert f"framewright-{stage}-processing" in orchestration["dependencies"]
