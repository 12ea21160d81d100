"""Messages between the parts: who asks for what, and how it ended. Also the identity of a job."""

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

from contracts.documents import to_json
from contracts.keys import attempt_prefix, is_job_id
from contracts.outcomes import JobState, Outcome
from contracts.selection import Selection

MAX_REQUEST_BYTES = 100_000
"""Fits an inline async `Body` (128,000 bytes) and an SQS message (262,144) with room to spare."""
RESULT_SCHEMA = "framewright/results/1"
"""Version of what a result file holds; part of a job's identity, so a new one re-processes."""

METADATA_MODEL = "framewright-model"
METADATA_SELECT = "framewright-select"
"""Names of the S3 object metadata with which an upload asks for a model and a selection."""
METADATA_SHA256 = "framewright-sha256"
"""What the content is, so that sending it again to the same key can be seen to be needless."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    One version of one object.

    Attributes:
        key: Raw, as S3 stores it.
        version_id: None in an unversioned bucket.
    """

    bucket: str
    key: str
    etag: str
    size_bytes: int
    version_id: str | None = None

    def __post_init__(self) -> None:
        if not self.bucket or not self.key:
            raise ValueError("a source needs a bucket and a key")
        if self.size_bytes < 0:
            raise ValueError(f"size_bytes must not be negative, got {self.size_bytes}")

    @property
    def uri(self) -> str:
        """`s3://bucket/key`, the key raw."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Model:
    """
    A model by name and content.

    Attributes:
        name: `builtin:<name>` or `bundle:<digest>`.
        digest: 64 hex digits; of the bundle's file, or of a built-in's name and version.
    """

    name: str
    digest: str

    def __post_init__(self) -> None:
        if len(self.digest) != 64 or set(self.digest) - set("0123456789abcdef"):
            raise ValueError(f"a model digest is 64 hex digits, got {self.digest!r}")


@dataclass(frozen=True, slots=True)
class Output:
    """Where an attempt's folder lies: `prefix` ends with a slash."""

    bucket: str
    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix.endswith("/"):
            raise ValueError(f"an output prefix ends with '/', got {self.prefix!r}")


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What every backend is given: process this video so, and leave the attempt's files there."""

    SCHEMA: ClassVar[str] = "framewright/inference-request/1"

    job_id: str
    attempt: int
    source: Source
    selection: Selection
    model: Model
    output: Output
    deadline_epoch_s: int | None = None
    callback_topic_arn: str | None = None

    def __post_init__(self) -> None:
        check_job(self.job_id, self.attempt)


@dataclass(frozen=True, slots=True)
class InferenceRequests:
    """The requests of one Processing job, as the container finds them beside its videos."""

    SCHEMA: ClassVar[str] = "framewright/inference-requests/1"

    requests: tuple[InferenceRequest, ...]


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """
    Asks dispatch to start an attempt of a job that the ledger already holds.

    Attributes:
        start: Which start of the attempt; a backend that ran out of capacity costs a start only.
        waits: How often the start had waited for a busy backend when this was sent. Of two
            messages that wait for the same start, the one that is behind the ledger is dropped.
    """

    SCHEMA: ClassVar[str] = "framewright/attempt-request/1"

    job_id: str
    attempt: int
    start: int = 1
    waits: int = 0

    def __post_init__(self) -> None:
        check_job(self.job_id, self.attempt)
        if self.start < 1 or self.waits < 0:
            raise ValueError(f"start counts from 1, waits from 0; got {self.start}, {self.waits}")


@dataclass(frozen=True, slots=True)
class Completion:
    """
    How one attempt ended, whichever backend ran it.

    Attributes:
        code: A machine code of `contracts.outcomes`; None on success.
        message: A sentence a person can act on; None on success.
        result_key: The key of the committed `result.json`; only on success.
    """

    SCHEMA: ClassVar[str] = "framewright/completion/1"

    job_id: str
    attempt: int
    outcome: Outcome
    code: str | None = None
    message: str | None = None
    result_key: str | None = None
    timings_s: dict[str, float] | None = None

    def __post_init__(self) -> None:
        check_job(self.job_id, self.attempt)
        if (self.outcome is Outcome.SUCCEEDED) == (self.code is not None):
            raise ValueError(
                f"outcome {self.outcome}: a code goes with failures, and only with them"
            )


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """
    What the outcomes topic tells: how a job ended. It may come twice; `job_id` tells.

    Attributes:
        result: Where the committed `result.json` is; only on success.
    """

    SCHEMA: ClassVar[str] = "framewright/job-outcome/1"

    job_id: str
    state: JobState
    attempt: int
    source: Source
    model: Model
    selection: Selection
    code: str | None = None
    message: str | None = None
    result: "ObjectLocation | None" = None


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """A bucket and a raw key."""

    bucket: str
    key: str


def check_job(job_id: str, attempt: int) -> None:
    """
    Check the identity of an attempt.

    Raises:
        ValueError: Not a job id, or attempts do not count from 1.
    """
    if not is_job_id(job_id):
        raise ValueError(f"job_id is 32 lower-case hex digits, got {job_id!r}")
    if attempt < 1:
        raise ValueError(f"attempts count from 1, got {attempt}")


def pipeline_digest(model: Model, selection: Selection) -> str:
    """What was done to a video, as 64 hex digits: model, selection and result schema."""
    parts = [model.digest, str(selection), RESULT_SCHEMA]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def job_id(source: Source, pipeline: str) -> str:
    """
    The identity of a job: the same object version and pipeline give the same id.

    Where the bucket is not versioned, ETag and size stand in for the version.
    """
    version = [source.version_id] if source.version_id else [source.etag, source.size_bytes]
    parts = [source.bucket, source.key, version, pipeline]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def inference_request(
    *,
    source: Source,
    model: Model,
    selection: Selection,
    attempt: int,
    results_bucket: str,
    deadline_epoch_s: int | None = None,
) -> InferenceRequest:
    """
    The request for one attempt at a video, its job id and output folder derived.

    Raises:
        ValueError: The request would be larger than every backend's limit.
    """
    job = job_id(source, pipeline_digest(model, selection))
    request = InferenceRequest(
        job_id=job,
        attempt=attempt,
        source=source,
        selection=selection,
        model=model,
        output=Output(results_bucket, attempt_prefix(source.key, job, attempt)),
        deadline_epoch_s=deadline_epoch_s,
    )
    if (size := len(to_json(request).encode())) > MAX_REQUEST_BYTES:
        raise ValueError(f"the request is {size} bytes long; at most {MAX_REQUEST_BYTES} fit")
    return request
