"""What attempts left that no result names: tagged, so that the bucket's lifecycle removes it."""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts.keys import LEFTOVER_TAG, attempt_prefix
from lambdas.common.errors import is_absent
from lambdas.common.record import JobRecord

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_TAGGED = 50_000
"""Of one attempt, by one message: about two minutes."""
_TAGGERS = 32
_CHUNK = 1000


def left_attempts(record: JobRecord) -> list[int]:
    """The attempts of a job that has ended which its result does not name."""
    latest = max(record.attempt, *(step.attempt for step in record.history))
    committed = record.attempt if record.result_key else None
    return [attempt for attempt in range(1, latest + 1) if attempt != committed]


def tag_leftovers(
    record: JobRecord, attempts: Iterable[int], *, s3: "S3Client", bucket: str
) -> None:
    """Tag all that these attempts of a job left; again does no harm."""
    name, value = LEFTOVER_TAG
    tagging: Any = {"TagSet": [{"Key": name, "Value": value}]}

    def tag(key: str) -> None:
        try:
            s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tagging)
        except ClientError as error:
            if not is_absent(error):
                raise

    with ThreadPoolExecutor(_TAGGERS) as taggers:
        for attempt in attempts:
            prefix = attempt_prefix(record.source.key, record.job_id, attempt)
            keys = itertools.islice(_keys(prefix, s3, bucket), MAX_TAGGED)
            while chunk := list(itertools.islice(keys, _CHUNK)):
                list(taggers.map(tag, chunk))


def _keys(prefix: str, s3: "S3Client", bucket: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (found["Key"] for found in page.get("Contents", []))
