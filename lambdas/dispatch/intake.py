"""From an upload to a job in the ledger, a rejection, or nothing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from contracts.env import Names
from contracts.keys import bundle_key, storable_fault
from contracts.messages import (
    METADATA_MODEL,
    METADATA_SELECT,
    Model,
    Source,
    job_id,
    pipeline_digest,
)
from contracts.models import is_bundle
from contracts.outcomes import RejectionCode
from contracts.pipeline import PipelineSettings
from contracts.selection import Selection
from lambdas.common.errors import code_of, is_absent
from lambdas.common.source import Fault
from lambdas.common.video_names import has_video_name
from lambdas.dispatch.recognise import HEAD_BYTES, Content, recognise

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READING_FAULTS: Mapping[str, Fault] = {
    "NoSuchKey": (
        RejectionCode.SOURCE_MISSING,
        "The object was deleted before it could be read.",
    ),
    "InvalidObjectState": (
        RejectionCode.SOURCE_UNREADABLE,
        "The object lies in an archive storage class. Upload it to the class STANDARD.",
    ),
    "InvalidRequest": (
        RejectionCode.SOURCE_UNREADABLE,
        "The object is encrypted with a key that only its sender has (SSE-C). "
        "Upload it without, and the bucket encrypts it.",
    ),
}
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""

_SEQUENCER_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Upload:
    """
    One object version as S3's event tells of it; the key raw.

    Attributes:
        sequencer: S3's order of the uploads to one key, made so long that text compares as it
            does: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """

    bucket: str
    key: str
    etag: str
    size_bytes: int
    version_id: str | None
    sequencer: str | None = None

    @classmethod
    def from_event(cls, detail: Mapping[str, Any]) -> "Upload":
        """
        Read the `detail` of an EventBridge event "Object Created".

        Raises:
            ValueError: The event is not of that form.
        """
        try:
            found = detail["object"]
            return cls(
                bucket=detail["bucket"]["name"],
                key=found["key"],
                etag=found["etag"],
                size_bytes=found["size"],
                version_id=found.get("version-id"),
                sequencer=_padded(found.get("sequencer")),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an Object Created event: {error!r} in {detail!r}") from error

    @classmethod
    def from_source(cls, source: Source) -> "Upload":
        """The upload that made an object version."""
        return cls(
            bucket=source.bucket,
            key=source.key,
            etag=source.etag,
            size_bytes=source.size_bytes,
            version_id=source.version_id,
        )


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an object, and what its sender wrote beside it."""

    content: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not a video, and not meant as one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Job:
    """
    A job to enter in the ledger.

    Attributes:
        fault: Why it ends right away, as a code and a sentence; None when it is to be run.
    """

    job_id: str
    source: Source
    model: Model
    selection: Selection
    fault: Fault | None = None


def take_in(
    upload: Upload,
    *,
    s3: "S3Client",
    names: Names,
    settings: PipelineSettings,
    asked: Mapping[str, str] = MappingProxyType({}),
) -> Job | Ignored:
    """
    Decide what an upload is.

    Args:
        asked: Metadata that count more than the object's own.

    Raises:
        botocore.exceptions.ClientError: S3 did not answer; the event must be tried again.
    """
    named = has_video_name(upload.key)
    if upload.key.endswith("/"):
        return Ignored("the key is that of a folder")
    if upload.size_bytes == 0 and not named:
        return Ignored("an empty marker")
    head = read_head(upload, s3=s3)
    if not isinstance(head, Head):
        return _job(upload, asked, settings, fault=head) if named else Ignored(head[1])
    content, other = recognise(head.content)
    if not named and content is not Content.VIDEO:
        return Ignored(f"neither name nor content is a video's{f': {other}' if other else ''}")
    metadata = {**head.metadata, **asked}
    job = _job(upload, metadata, settings, fault=_fault(upload, content, other, settings))
    if job.fault is None and is_bundle(job.model) and not _has_bundle(job.model, s3, names):
        sentence = f"There is no bundle {job.model.digest} in {names.models_bucket}; push it first."
        return _job(upload, metadata, settings, fault=(RejectionCode.BAD_REQUEST, sentence))
    return job


def read_head(upload: Upload, *, s3: "S3Client") -> Head | Fault:
    """The first bytes and the metadata of that very version, or why S3 never gives them out."""
    version = {"VersionId": upload.version_id} if upload.version_id else {}
    span = {"Range": f"bytes=0-{HEAD_BYTES - 1}"} if upload.size_bytes else {}
    try:
        response = s3.get_object(Bucket=upload.bucket, Key=upload.key, **version, **span)  # type: ignore[arg-type]
    except s3.exceptions.ClientError as error:
        if fault := _READING_FAULTS.get("NoSuchKey" if is_absent(error) else code_of(error)):
            return fault
        raise
    return Head(response["Body"].read(), response["Metadata"])


def _fault(
    upload: Upload, content: Content, other: str | None, settings: PipelineSettings
) -> Fault | None:
    if upload.size_bytes == 0:
        return RejectionCode.EMPTY_FILE, "The file is empty: it has 0 bytes."
    if content is Content.OTHER:
        return RejectionCode.NOT_A_VIDEO, f"The file is named like a video but holds {other}."
    if upload.size_bytes > settings.max_size_bytes:
        return RejectionCode.TOO_LARGE, (
            f"The file has {upload.size_bytes} bytes; "
            f"this stage takes at most {settings.max_size_bytes}."
        )
    if fault := storable_fault(upload.key):
        return RejectionCode.KEY_NOT_STORABLE, (
            f"The video cannot be handed to a backend as a file: {fault}. "
            "Upload it under another key."
        )
    return None


def _job(
    upload: Upload,
    metadata: Mapping[str, str],
    settings: PipelineSettings,
    *,
    fault: Fault | None,
) -> Job:
    source = Source(
        bucket=upload.bucket,
        key=upload.key,
        etag=upload.etag,
        size_bytes=upload.size_bytes,
        version_id=upload.version_id,
    )
    asked_model, asked_selection = metadata.get(METADATA_MODEL), metadata.get(METADATA_SELECT)
    try:
        model, selection = settings.model(asked_model), settings.selection(asked_selection)
        pipeline = pipeline_digest(model, selection)
    except ValueError as error:
        model, selection = settings.model(None), settings.selection(None)
        asked = f"{asked_model}\n{asked_selection}"
        pipeline = hashlib.sha256(asked.encode()).hexdigest()
        fault = fault or (RejectionCode.BAD_REQUEST, f"What the upload asks for: {error}.")
    return Job(job_id(source, pipeline), source, model, selection, fault)


def _padded(sequencer: str | None) -> str | None:
    return None if sequencer is None else sequencer.ljust(_SEQUENCER_DIGITS, "0")


def _has_bundle(model: Model, s3: "S3Client", names: Names) -> bool:
    try:
        s3.head_object(Bucket=names.models_bucket, Key=bundle_key(model.digest))
    except s3.exceptions.ClientError as error:
        if is_absent(error):
            return False
        raise
    return True
