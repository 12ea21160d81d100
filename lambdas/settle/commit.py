"""
The commit: `result.json`, written once, after every file it names was found whole.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import hashlib
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts.documents import DocumentError, from_json, to_json
from contracts.keys import ATTEMPT_DOCUMENT, attempt_prefix, result_key
from contracts.results import AttemptDocument, ResultDocument, ResultFile
from lambdas.common.errors import is_absent, is_conflict

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from lambdas.common.ledger import JobRecord

READERS = 32
"""A result may name hundreds of thousands of class maps, each far smaller than its round trip."""

MAX_DOCUMENT_BYTES = 64 << 20
"""Of an attempt.json: some 400,000 files. One that a container made larger must not cost settle its
memory, time after time."""

_READ_BYTES = 1 << 20
_CHUNK = 1000
_NO_VIDEO = "attempt.json tells of success but not of a video"


class DamagedAttemptError(Exception):
    """The attempt's files are not what attempt.json says; another attempt may leave better ones."""


def read_attempt(
    record: "JobRecord", attempt: int, *, s3: "S3Client", bucket: str
) -> AttemptDocument | None:
    """
    The attempt's own document; None where there is none.

    Raises:
        DamagedAttemptError: It is not the document of that attempt.
    """
    key = attempt_prefix(record.source.key, record.job_id, attempt) + ATTEMPT_DOCUMENT
    body = _read(bucket, key, s3=s3, max_bytes=MAX_DOCUMENT_BYTES)
    if body is None:
        return None
    try:
        document = from_json(AttemptDocument, body)
    except DocumentError as error:
        raise DamagedAttemptError(f"{key}: {error}") from error
    told = (document.job_id, document.attempt, document.source, document.model)
    asked = (record.job_id, attempt, record.source, record.model)
    if (*told, document.selection) != (*asked, record.selection):
        raise DamagedAttemptError(f"{key} does not answer what was asked of that attempt")
    return document


def check_files(document: AttemptDocument, *, s3: "S3Client", bucket: str) -> None:
    """
    Read every file the document names and compare size and SHA-256; sizes first, from a listing.

    Raises:
        DamagedAttemptError: A file is missing or differs, or the video's facts are missing.
    """
    if document.video is None:
        raise DamagedAttemptError(_NO_VIDEO)
    prefix = attempt_prefix(document.source.key, document.job_id, document.attempt)
    _check_sizes(document, _sizes(prefix, s3=s3, bucket=bucket), prefix)

    def check(file: ResultFile) -> None:
        _check_file(file, bucket, prefix + file.name, s3)

    files = iter(document.files)
    with ThreadPoolExecutor(READERS) as readers:
        # By chunks, so that a fault found early ends the reading soon.
        while chunk := list(itertools.islice(files, _CHUNK)):
            list(readers.map(check, chunk))


def _sizes(prefix: str, *, s3: "S3Client", bucket: str) -> dict[str, int]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}


def _check_sizes(document: AttemptDocument, sizes: Mapping[str, int], prefix: str) -> None:
    for file in document.files:
        size = sizes.get(prefix + file.name)
        if size is None:
            raise DamagedAttemptError(f"{prefix}{file.name} is missing")
        if size != file.size_bytes:
            raise DamagedAttemptError(
                f"{prefix}{file.name} has {size} bytes; attempt.json says {file.size_bytes}"
            )


def commit(document: AttemptDocument, *, s3: "S3Client", bucket: str, now: str) -> ResultDocument:
    """
    Put `result.json`, unless an attempt was committed before; what is committed then.

    Raises:
        DamagedAttemptError: The document of a success lacks the video's facts.
    """
    if document.video is None:
        raise DamagedAttemptError(_NO_VIDEO)
    result = ResultDocument(
        job_id=document.job_id,
        attempt=document.attempt,
        source=document.source,
        model=document.model,
        selection=document.selection,
        video=document.video,
        counts=document.counts,
        engine=document.engine,
        warnings=document.warnings,
        timings_s=document.timings_s,
        peak_memory_bytes=document.peak_memory_bytes,
        bucket=bucket,
        prefix=attempt_prefix(document.source.key, document.job_id, document.attempt),
        files=document.files,
        committed_at=now,
    )
    key = result_key(document.source.key, document.job_id)
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=to_json(result).encode(),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if not is_conflict(error):
            raise
        committed = read_result(document.source.key, document.job_id, s3=s3, bucket=bucket)
        if committed is None:
            raise
        return committed
    return result


def read_result(
    source_key: str, job_id: str, *, s3: "S3Client", bucket: str
) -> ResultDocument | None:
    """What was committed for a job; None where nothing was."""
    body = _read(bucket, result_key(source_key, job_id), s3=s3)
    return None if body is None else from_json(ResultDocument, body)


def _read(bucket: str, key: str, *, s3: "S3Client", max_bytes: int | None = None) -> bytes | None:
    try:
        response = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    if max_bytes is not None and response["ContentLength"] > max_bytes:
        size_bytes = response["ContentLength"]
        raise DamagedAttemptError(f"{key} has {size_bytes} bytes; at most {max_bytes} are read")
    return response["Body"].read()


def _check_file(file: ResultFile, bucket: str, key: str, s3: "S3Client") -> None:
    try:
        response = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_absent(error):
            raise DamagedAttemptError(f"{key} is missing") from error
        raise
    digest, size = hashlib.sha256(), 0
    for chunk in response["Body"].iter_chunks(_READ_BYTES):
        digest.update(chunk)
        size += len(chunk)
    if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise DamagedAttemptError(
            f"{key} has {size} bytes with SHA-256 {digest.hexdigest()}; "
            f"attempt.json says {file.size_bytes} and {file.sha256}"
        )
