"""The private `/opt/ml` tree of one instance, on this machine's disk."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.env import ML_ROOT_DEFAULT
from contracts.keys import storable_fault
from local.sagemaker.jobs import ProcessingJob
from local.sagemaker.rules import outputs_of

_MESSAGE_BYTES = 1024
"""https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html"""
_CONFIG_KEYS = (
    "ProcessingJobName",
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "AppSpecification",
    "StoppingCondition",
    "Environment",
    "NetworkConfig",
    "RoleArn",
)


class InputError(Exception):
    """A job cannot have its input; the message is the job's failure reason."""


@dataclass(frozen=True, slots=True)
class Instance:
    """
    One host of a job.

    Attributes:
        host: `algo-1`, `algo-2` and so on.
        folder: Holds the ML root and the process's home and temporary files.
    """

    host: str
    folder: Path

    @property
    def ml_root(self) -> Path:
        return self.folder / "ml"

    def local_path(self, container_path: str) -> Path:
        """Where a path of the container lies on this machine."""
        return self.ml_root / Path(container_path).relative_to(ML_ROOT_DEFAULT)

    def input_file(self, container_path: str, relative_key: str) -> Path:
        """
        Where an object becomes a file below an input's folder.

        Raises:
            InputError: The key is no relative path of ordinary file names.
        """
        if fault := storable_fault(relative_key):
            raise InputError(
                f"ClientError: Failed to download data. '{relative_key[:200]}' cannot be "
                f"a file: {fault}"
            )
        return self.local_path(container_path) / relative_key

    def exit_message(self) -> str | None:
        """What the container left in `/opt/ml/output/message`, its first 1024 bytes."""
        try:
            with (self.ml_root / "output" / "message").open("rb") as file:
                return file.read(_MESSAGE_BYTES).decode(errors="ignore") or None
        except OSError:
            return None


def host_names(count: int) -> list[str]:
    """The names of a job's hosts."""
    return [f"algo-{number}" for number in range(1, count + 1)]


def prepare_instance(
    job: ProcessingJob, *, host: str, hosts: Sequence[str], folder: Path
) -> Instance:
    """Make an instance's folders and the two documents that tell the container about its job."""
    instance = Instance(host, folder)
    for path in (instance.ml_root / "config", instance.ml_root / "output", folder / "tmp"):
        path.mkdir(parents=True)
    places = [i["S3Input"] for i in job.request.get("ProcessingInputs", [])]
    for place in (*places, *outputs_of(job.request)):
        instance.local_path(place["LocalPath"]).mkdir(parents=True, exist_ok=True)
    resources = {"current_host": host, "hosts": list(hosts)}
    _write_json(instance.ml_root / "config" / "resourceconfig.json", resources)
    described = {key: job.request[key] for key in _CONFIG_KEYS if key in job.request}
    described["ProcessingJobArn"] = job.arn
    _write_json(instance.ml_root / "config" / "processingjobconfig.json", described)
    return instance


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
