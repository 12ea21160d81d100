"""What differs between stages, read from `config/<stage>.toml`. There is no default stage."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.documents import DocumentError, from_dict
from contracts.env import check_stage
from contracts.limits import VideoLimits
from contracts.pipeline import PipelineSettings, ReconcileSettings

MAX_VOLUME_GB = 16_384
CONFIG_FOLDER = Path(__file__).parent.parent / "config"


class SettingsError(Exception):
    """The stage is unknown, or its settings are not what the stacks need."""


@dataclass(frozen=True, slots=True)
class ProcessingSettings:
    """
    How Processing jobs run.

    Attributes:
        volume_size_gb: Must hold the largest video.
        owns_log_group: Whether this stage sets the retention of the account's one log group.
    """

    instance_type: str
    volume_size_gb: int
    max_runtime_s: int
    owns_log_group: bool

    def __post_init__(self) -> None:
        if not 1 <= self.max_runtime_s <= 777_600:
            raise ValueError(f"max_runtime_s is 1 to 777600 s (9 days), got {self.max_runtime_s}")


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """
    How Lambda functions run.

    Attributes:
        max_concurrency: Most copies of one function that its queue may start, 2 to 1,000.
    """

    log_level: str
    tracing: bool
    max_concurrency: int

    def __post_init__(self) -> None:
        if not 2 <= self.max_concurrency <= 1000:
            raise ValueError(f"max_concurrency is 2 to 1000, got {self.max_concurrency}")


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """
    Who of the account may use the stage's key, by `role/<name>` or `user/<name>`, `*` in it or not.

    Being named here is half of it: each also needs policies of its own for bucket, queue or table.

    Attributes:
        deployers: Create the table and the functions that the key encrypts.
        operators: Upload, read, look into the ledger, send to queues.
        uploaders: Write to the uploads bucket, and no more.
        readers: Read uploads and results.
    """

    deployers: tuple[str, ...]
    operators: tuple[str, ...]
    uploaders: tuple[str, ...]
    readers: tuple[str, ...]

    def __post_init__(self) -> None:
        for principal in (*self.deployers, *self.operators, *self.uploaders, *self.readers):
            kind, _, name = principal.partition("/")
            if kind not in ("role", "user") or not name:
                raise ValueError(
                    f"access names principals of the account, such as 'role/video-operators' or "
                    f"'user/ada', got {principal!r}"
                )


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One stage's settings.

    Attributes:
        keep_data: Whether buckets, table and key outlive their stack.
    """

    stage: str
    keep_data: bool
    log_retention_days: int
    pipeline: PipelineSettings
    reconcile: ReconcileSettings
    processing: ProcessingSettings
    limits: VideoLimits
    functions: FunctionSettings
    access: AccessSettings

    def __post_init__(self) -> None:
        largest_gb = self.pipeline.max_size_bytes / 1e9
        if not largest_gb < self.processing.volume_size_gb <= MAX_VOLUME_GB:
            raise ValueError(
                f"volume_size_gb must hold the largest video of {largest_gb:g} GB "
                f"and be at most {MAX_VOLUME_GB}, got {self.processing.volume_size_gb}"
            )
        if self.limits.max_decode_s >= self.processing.max_runtime_s:
            raise ValueError(
                f"max_decode_s must be below max_runtime_s, {self.processing.max_runtime_s}, "
                f"to act before it, got {self.limits.max_decode_s:g}"
            )


def load_settings(stage: str | None, folder: Path = CONFIG_FOLDER) -> Settings:
    """
    Read a stage's settings.

    Raises:
        SettingsError: No stage was named, it has no file, or the file is not right.
    """
    known = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
    if not stage:
        raise SettingsError(f"name a stage, for example: cdk synth -c stage=dev (known: {known})")
    try:
        file = folder / f"{check_stage(stage)}.toml"
        values: dict[str, Any] = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise SettingsError(f"there is no config/{stage}.toml (known stages: {known})") from None
    except ValueError as error:
        raise SettingsError(f"config/{stage}.toml: {error}") from error
    try:
        return from_dict(Settings, {"stage": stage, **values}, path=f"config/{stage}.toml")
    except DocumentError as error:
        raise SettingsError(str(error)) from error
