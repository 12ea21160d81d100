"""
Whether a job that reads by key, as SageMaker's File inputs do, reads the version that it is about.

A manifest cannot name a version. If another version took the key between the upload and the end of
the job, nobody can tell which bytes were read, and a result on the wrong video is worse than none.
"""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts.messages import METADATA_SHA256, Source
from contracts.outcomes import RejectionCode
from lambdas.common.errors import code_of, is_absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

Fault = tuple[RejectionCode, str]
"""A code, and a sentence a person can act on."""

REPLACED: Fault = (
    RejectionCode.SOURCE_REPLACED,
    "A newer version took the key before this one was read for sure; "
    "the newer version has a job of its own.",
)
GONE: Fault = (
    RejectionCode.SOURCE_MISSING,
    "The object was deleted before an attempt had read it.",
)


def source_fault(source: Source, *, now: str, s3: "S3Client") -> Fault | None:
    """Why a job that began now would not read this version; None when it would."""
    current = _current(source, s3)
    if current is None:
        return GONE
    return None if _is_stable(source, current, now, s3) else REPLACED


def was_stable(source: Source, *, until: str, s3: "S3Client") -> bool:
    """
    Whether the key held this version's bytes from its upload until that time.

    Args:
        until: ISO 8601 with offset; when the job ended.
    """
    return _is_stable(source, _current(source, s3) or {}, until, s3)


def is_gone(source: Source, *, s3: "S3Client") -> bool:
    """Whether no reader by key finds the object any more."""
    return _current(source, s3) is None


def _current(source: Source, s3: "S3Client") -> Mapping[str, Any] | None:
    """What the key holds now; None where a reader by key finds nothing."""
    try:
        return s3.head_object(Bucket=source.bucket, Key=source.key)
    except ClientError as error:
        if is_absent(error):
            return None
        if code_of(error) == "400":  # encrypted with a key of its sender's: certainly another
            return {}
        raise


def _is_stable(source: Source, current: Mapping[str, Any], until: str, s3: "S3Client") -> bool:
    if source.version_id is None:
        return str(current.get("ETag", "")).strip('"') == source.etag.strip('"')
    if current.get("VersionId") == source.version_id:
        return True
    return not _taken_before(source, datetime.fromisoformat(until), s3)


def _taken_before(source: Source, until: datetime, s3: "S3Client") -> bool:
    """
    Whether a later version of that very key, with other bytes, appeared before `until`.

    A delete marker does not count: it hides the key, but gives no reader other bytes.
    """
    ours = functools.cache(lambda: _content(source, source.version_id, s3))
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=source.bucket, Prefix=source.key
    )
    for page in pages:
        for version in page.get("Versions", []):  # of each key, the newest first
            if version["Key"] != source.key:
                return False  # keys come in order, so the prefix's own versions come first
            if version["VersionId"] == source.version_id:
                return False
            if version["LastModified"] <= until and not _is_same(version, source, ours, s3):
                return True
    return False


def _is_same(
    version: "ObjectVersionTypeDef", source: Source, ours: Callable[[], str | None], s3: "S3Client"
) -> bool:
    """Whether another version holds the same bytes, as who uploads the same file twice makes it."""
    if (version["ETag"].strip('"'), version["Size"]) == (source.etag, source.size_bytes):
        return True
    # Under a key of our own an ETag says nothing of the content; what the sender wrote beside does.
    return version["Size"] == source.size_bytes and (
        ours() is not None and ours() == _content(source, version["VersionId"], s3)
    )


def _content(source: Source, version_id: str | None, s3: "S3Client") -> str | None:
    """The SHA-256 that the sender wrote beside a version; None where there is none."""
    try:
        found = s3.head_object(Bucket=source.bucket, Key=source.key, VersionId=version_id or "")
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    return found["Metadata"].get(METADATA_SHA256)
