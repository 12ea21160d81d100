"""
Whether a job that reads by key, as SageMaker's File inputs do, read the version that it is about.

A manifest cannot name a version. If another version took the key between the upload and the end of
the job, nobody can tell which bytes were read, and a result on the wrong video is worse than none.
"""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.messages import METADATA_SHA256, Source
from lambdas.common.errors import is_absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef


def was_stable(source: Source, *, until: str, s3: "S3Client") -> bool:
    """
    Whether the key held this version's bytes from its upload until that time.

    Args:
        until: ISO 8601 with offset; when the job ended.
    """
    try:
        current = s3.head_object(Bucket=source.bucket, Key=source.key)
        if source.version_id is None:
            return current["ETag"].strip('"') == source.etag.strip('"')
        if current.get("VersionId") == source.version_id:
            return True
    except ClientError as error:
        if not is_absent(error):
            raise
        if source.version_id is None:
            return False
    return not _taken_before(source, datetime.fromisoformat(until), s3)


def is_gone(source: Source, *, s3: "S3Client") -> bool:
    """Whether no reader by key finds the object any more."""
    try:
        s3.head_object(Bucket=source.bucket, Key=source.key)
    except ClientError as error:
        if is_absent(error):
            return True
        raise
    return False


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
