"""Putting files into the uploads bucket, and knowing the very versions they became."""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.uploads import Asked, Upload
from contracts.messages import METADATA_SHA256, Source, job_id
from lambdas.common.errors import is_absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Sent = Callable[[int], None]
"""Called with the bytes sent since the last call; negative when some are sent again."""

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Submitted:
    """
    An object in the uploads bucket.

    Attributes:
        job_id: None where the stage decides on the pipeline, so only the ledger will tell.
        was_there: The bucket had this content under this key already, asking for the same.
    """

    path: Path
    source: Source
    job_id: str | None
    was_there: bool = False


def upload_all(
    uploads: Sequence[Upload],
    *,
    s3: "S3Client",
    bucket: str,
    asked: Asked,
    again: bool,
    sent: Sent,
) -> list[Submitted]:
    """
    Put files into the bucket, large ones in parts, several at a time.

    A file that is there already, and asks for the same, is the same job: it is not sent again.

    Args:
        again: Send all the same; each file becomes a new version and so a new job.
        sent: Called from several threads.

    Raises:
        Exception: Of the first upload that failed; those not begun are given up.
    """
    with ThreadPoolExecutor(_AT_ONCE) as readers:
        digests = dict(zip(uploads, readers.map(_sha256, uploads), strict=True))
        found = readers.map(
            lambda upload: None if again else _find(upload, digests[upload], s3, bucket, asked),
            uploads,
        )
        there = {upload: one for upload, one in zip(uploads, found, strict=True) if one}
    for upload in there:
        sent(upload.size_bytes)
    absent = [upload for upload in uploads if upload not in there]
    new = _send_all(absent, digests, s3=s3, bucket=bucket, asked=asked, sent=sent)
    return [there.get(upload) or new[upload] for upload in uploads]


def _send_all(
    uploads: Sequence[Upload],
    digests: Mapping[Upload, str],
    *,
    s3: "S3Client",
    bucket: str,
    asked: Asked,
    sent: Sent,
) -> dict[Upload, Submitted]:
    from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

    receipts = _Receipts(s3)
    # The other transfer client, of the AWS common runtime, does not pass by the events listened to.
    config = TransferConfig(preferred_transfer_client="classic")
    with create_transfer_manager(s3, config) as manager:
        futures = [
            manager.upload(
                str(upload.path),
                bucket,
                upload.key,
                {"Metadata": {**asked.metadata, METADATA_SHA256: digests[upload]}},
                [ProgressCallbackInvoker(sent)],
            )
            for upload in uploads
        ]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return {upload: _submitted(upload, bucket, receipts[upload.key], asked) for upload in uploads}


def _sha256(upload: Upload) -> str:
    with upload.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(
    upload: Upload, digest: str, s3: "S3Client", bucket: str, asked: Asked
) -> Submitted | None:
    """What the bucket holds under the key, if it is that very content asking for the same."""
    try:
        answer = s3.head_object(Bucket=bucket, Key=upload.key)
    except s3.exceptions.ClientError as error:
        if is_absent(error):
            return None
        raise
    if answer["Metadata"] != {**asked.metadata, METADATA_SHA256: digest}:
        return None
    return _submitted(upload, bucket, answer, asked, was_there=True)


class _Receipts:
    """
    What S3 answered to each upload, by key.

    The transfer manager keeps the answers to itself, and asking for the latest version afterwards
    might find somebody else's.
    """

    def __init__(self, s3: "S3Client") -> None:
        self._answers: dict[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        for operation in ("PutObject", "CompleteMultipartUpload"):
            s3.meta.events.register(f"provide-client-params.s3.{operation}", self._before)
            s3.meta.events.register(f"after-call.s3.{operation}", self._after)

    def __getitem__(self, key: str) -> Mapping[str, Any]:
        return self._answers[key]

    def _before(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["framewright_key"] = params["Key"]

    def _after(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "ETag" in parsed and "framewright_key" in context:
            with self._lock:
                self._answers[context["framewright_key"]] = parsed


def _submitted(
    upload: Upload,
    bucket: str,
    answer: Mapping[str, Any],
    asked: Asked,
    *,
    was_there: bool = False,
) -> Submitted:
    source = Source(
        bucket=bucket,
        key=upload.key,
        etag=answer["ETag"].strip('"'),
        size_bytes=upload.size_bytes,
        version_id=answer.get("VersionId"),
    )
    job = asked.pipeline and job_id(source, asked.pipeline)
    return Submitted(upload.path, source, job, was_there)
