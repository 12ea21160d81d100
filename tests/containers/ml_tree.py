"""Lays out a Processing container's tree as SageMaker does, and runs the entry point over it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.documents import to_json
from contracts.messages import InferenceRequest, InferenceRequests
from contracts.results import AttemptDocument
from vision.results import read_attempt

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the entry point ended."""

    code: int
    lines: tuple[dict[str, object], ...]
    stderr: str


@dataclass(frozen=True, slots=True)
class Tree:
    """An ML root under construction."""

    root: Path

    @property
    def videos(self) -> Path:
        return self.root / "processing/input/videos"

    @property
    def results(self) -> Path:
        return self.root / "processing/output/results"

    def attempt_folder(self, request: InferenceRequest) -> Path:
        """Where the answer to a request lies: its output prefix, `results/` being the folder."""
        return self.root / "processing/output" / request.output.prefix

    @property
    def message(self) -> str:
        return (self.root / "output/message").read_text(encoding="utf-8")

    def add_video(self, source: Path, name: str | None = None) -> Path:
        target = self.videos / (name or source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(source, target))

    def ask(self, *requests: InferenceRequest) -> None:
        """Write the requests file."""
        path = self.root / "processing/input/requests/requests.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_json(InferenceRequests(requests)), encoding="utf-8")

    def configure(
        self, *, hosts: Sequence[str] = ("algo-1",), videos: str = "s3://uploads/"
    ) -> None:
        """Write the job's own description."""
        (self.root / "config").mkdir(parents=True, exist_ok=True)
        resources = {"current_host": hosts[0], "hosts": list(hosts)}
        (self.root / "config/resourceconfig.json").write_text(json.dumps(resources))
        source = {"S3Uri": videos, "LocalPath": "/opt/ml/processing/input/videos"}
        target = {"S3Uri": "s3://results/results", "LocalPath": "/opt/ml/processing/output/results"}
        job = {
            "ProcessingInputs": [{"InputName": "videos", "S3Input": source}],
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "results", "S3Output": target}]},
        }
        (self.root / "config/processingjobconfig.json").write_text(json.dumps(job))

    def attempt(self, request: InferenceRequest) -> AttemptDocument:
        return read_attempt(self.attempt_folder(request))

    def attempts(self) -> list[AttemptDocument]:
        """Every attempt's document, in the order of their sources' keys."""
        folders = [path.parent for path in self.results.rglob("attempt.json")]
        return sorted(map(read_attempt, folders), key=lambda attempt: attempt.source.key)

    def run(
        self, *arguments: str, module: str = "containers.processing", timeout_s: float = 120
    ) -> Ended:
        """Run the entry point in a process of its own."""
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "ML_ROOT": str(self.root), "PYTHONPATH": str(REPOSITORY)},
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        lines = tuple(json.loads(line) for line in ended.stdout.splitlines())
        return Ended(ended.returncode, lines, ended.stderr)
