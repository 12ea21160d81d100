"""SageMaker's tree of a Processing container: where things are, and what the job says of itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from containers.processing.arguments import UsageError
from contracts.env import (
    ML_ROOT_DEFAULT,
    ML_ROOT_VARIABLE,
    PROCESSING_MODEL,
    PROCESSING_REQUESTS,
    PROCESSING_RESULTS,
    PROCESSING_VIDEOS,
)
from contracts.keys import BUNDLE_FILE, REQUESTS_FILE, RESULTS_PREFIX, storable_fault

MAX_MESSAGE_BYTES = 1024
"""SageMaker keeps this much of output/message as the job's ExitMessage."""
_LOCAL_BUCKET = "local"
"""Stands for the bucket where the container is run by hand, without a job's description."""


class UnsafePathError(ValueError):
    """A key would lead out of the folder it belongs in."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a folder of the container lies in S3."""

    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True)
class MlTree:
    """The tree below `root`, which is /opt/ml in a container."""

    root: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "MlTree":
        """The tree that the environment names."""
        return cls(Path(environment.get(ML_ROOT_VARIABLE) or ML_ROOT_DEFAULT))

    @property
    def requests_file(self) -> Path:
        return self.root / PROCESSING_REQUESTS / REQUESTS_FILE

    @property
    def videos(self) -> Path:
        return self.root / PROCESSING_VIDEOS

    @property
    def bundle(self) -> Path | None:
        """The model bundle among the inputs, if there is one."""
        path = self.root / PROCESSING_MODEL / BUNDLE_FILE
        return path if path.is_file() else None

    def host_count(self) -> int:
        """How many instances the job has."""
        hosts = self._config("resourceconfig.json").get("hosts")
        return len(hosts) if isinstance(hosts, list) and hosts else 1

    def videos_location(self) -> Location:
        """Where the videos come from."""
        inputs = self._config("processingjobconfig.json").get("ProcessingInputs") or []
        for item in inputs:
            source = item.get("S3Input") or {}
            if str(source.get("LocalPath", "")).rstrip("/").endswith(PROCESSING_VIDEOS):
                return _location(source.get("S3Uri"))
        return Location(_LOCAL_BUCKET, "")

    def results_bucket(self) -> str:
        """Where the results go."""
        config = self._config("processingjobconfig.json").get("ProcessingOutputConfig") or {}
        for item in config.get("Outputs") or []:
            target = item.get("S3Output") or {}
            if str(target.get("LocalPath", "")).rstrip("/").endswith(PROCESSING_RESULTS):
                return _location(target.get("S3Uri")).bucket
        return _LOCAL_BUCKET

    def attempt_folder(self, prefix: str) -> Path:
        """
        The folder of an attempt by its output prefix, of which the folder's place has the start.

        Raises:
            UnsafePathError: The prefix leads elsewhere.
        """
        if not prefix.startswith(RESULTS_PREFIX):
            raise UnsafePathError(
                f"an output prefix starts with {RESULTS_PREFIX!r}, got {prefix!r}"
            )
        below = prefix.removeprefix(RESULTS_PREFIX).removesuffix("/")
        return safe_join(self.root / PROCESSING_RESULTS, below)

    def write_message(self, text: str) -> None:
        """Leave a message that SageMaker shows as the job's ExitMessage."""
        whole = text.encode("utf-8", "replace")
        path = self.root / "output" / "message"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Cut on a character's border: SageMaker drops a message that is not UTF-8.
        path.write_text(whole[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore"), encoding="utf-8")

    def _config(self, name: str) -> dict[str, Any]:
        path = self.root / "config" / name
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UsageError(f"config/{name} is no JSON: {error}") from error
        if not isinstance(content, dict):
            raise UsageError(f"config/{name} holds a {type(content).__name__}, not an object")
        return content


def safe_join(folder: Path, key: str) -> Path:
    """
    The path of a key below a folder.

    Raises:
        UnsafePathError: The key is no relative path of ordinary names, or a link leads elsewhere.
    """
    if fault := storable_fault(key):
        raise UnsafePathError(f"{key[:200]!r}: {fault}")
    path = folder / key
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UnsafePathError(f"{key[:200]!r} leads out of its folder")
    return path


def _location(uri: object) -> Location:
    # A "?" or "#" in a key is part of the key.
    scheme, _, rest = str(uri).partition("://")
    bucket, _, prefix = rest.partition("/")
    return Location(bucket, prefix) if scheme == "s3" and bucket else Location(_LOCAL_BUCKET, "")
