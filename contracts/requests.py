"""What reconcile and operators ask of dispatch and settle. Neither is told how a job ends."""

from dataclasses import dataclass
from typing import ClassVar

from contracts.messages import Source, check_job


@dataclass(frozen=True, slots=True)
class ReprocessRequest:
    """
    Asks dispatch, in its uploads queue, to take in an object version as if it were uploaded now.

    Attributes:
        model: A name or an alias; None for what the upload asked for, or the stage's default.
        selection: In text form; None likewise.
    """

    SCHEMA: ClassVar[str] = "framewright/reprocess-request/1"

    source: Source
    model: str | None = None
    selection: str | None = None


@dataclass(frozen=True, slots=True)
class JobCheck:
    """
    Asks settle, in its completions queue, to look how a job stands at its source.

    Whatever settle finds there, it does: commits, asks for another attempt, tells the outcome.
    """

    SCHEMA: ClassVar[str] = "framewright/job-check/1"

    job_id: str

    def __post_init__(self) -> None:
        check_job(self.job_id, 1)
