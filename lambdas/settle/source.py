"""
Whether a job that reads by key, as SageMaker's File inputs do, read the version that it is about.

A manifest cannot name a version. If another version took the key between the upload and the end of
the job, nobody can tell which bytes were read, and a result on the wrong video is worse than none.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.messages import Source
from lambdas.common.errors import is_absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def was_stable(source: Source, *, until: str, s3: "S3Client") -> bool:
    """
    Whether the key held this version from its upload until that time.

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
    Whether a later version of that very key appeared before `until`.

    A delete marker does not count: it hides the key, but gives no reader other bytes.
    """
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=source.bucket, Prefix=source.key
    )
    for page in pages:
        for version in page.get("Versions", []):  # of each key, the newest first
            if version["Key"] != source.key:
                return False  # keys come in order, so the prefix's own versions come first
            if version["VersionId"] == source.version_id:
                return False
            if version["LastModified"] <= until:
                return True
    return False
