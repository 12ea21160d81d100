"""What a stage's Lambdas are told at deployment: what uploads may ask for, and a job's form."""

import fnmatch
from dataclasses import dataclass, fields

from contracts.messages import Model
from contracts.models import resolve_model
from contracts.selection import Selection


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """
    What uploads may ask for, and how often an attempt is made.

    Attributes:
        allowed_models: Names, or patterns such as `bundle:*`.
        model_aliases: Short names for models, such as `fastestdet` for `bundle:<digest>`.
        allowed_selections: Patterns of selections in text form, such as `every_seconds=*`.
        retry_base_s: Longest wait before the second attempt; it doubles with each further one.
    """

    default_model: str
    default_selection: str
    allowed_models: tuple[str, ...]
    allowed_selections: tuple[str, ...]
    max_size_bytes: int
    max_attempts: int
    retry_base_s: int
    model_aliases: dict[str, str]

    def __post_init__(self) -> None:
        self.model(None)
        self.selection(None)
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {self.max_attempts}")

    def model(self, asked: str | None) -> Model:
        """
        The model for an upload that asks for one by name or alias, or not at all.

        Raises:
            ValueError: There is no such model, or the stage does not offer it.
        """
        name = self.model_aliases.get(asked, asked) if asked else self.default_model
        if not _matches(name, self.allowed_models):
            offered = ", ".join((*self.model_aliases, *self.allowed_models))
            raise ValueError(f"the stage does not offer the model {name!r}; it offers {offered}")
        return resolve_model(name)

    def selection(self, asked: str | None) -> Selection:
        """
        The selection for an upload that asks for one in text form, or not at all.

        Raises:
            ValueError: It is no selection, or the stage does not offer it.
        """
        selection = Selection.parse(asked or self.default_selection)
        if not _matches(str(selection), self.allowed_selections):
            offered = ", ".join(self.allowed_selections)
            raise ValueError(f"the stage does not offer {selection}; it offers {offered}")
        return selection


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """
    When reconcile looks for what was lost, and how much of it in one run.

    Attributes:
        received_after_s: How long a job may be RECEIVED without a change before it is looked at.
        dispatched_after_s: The same for DISPATCHED: the route's expected time.
        uploaded_after_s: How long an upload may be unknown to the ledger.
        max_jobs: Most jobs of one state in one run.
        max_versions: Most object versions that one run lists to find lost uploads.
    """

    every_minutes: int
    received_after_s: int
    dispatched_after_s: int
    uploaded_after_s: int
    max_jobs: int
    max_versions: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) < 1:
                raise ValueError(f"{field.name} must be at least 1, got {value}")


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """The part of a Processing job that does not depend on the video."""

    image_uri: str
    role_arn: str
    kms_key_arn: str
    instance_type: str
    volume_size_gb: int
    max_runtime_s: int
    arguments: tuple[str, ...] = ()


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
