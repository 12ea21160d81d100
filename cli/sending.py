"""Putting files into the uploads bucket, and knowing the very versions they became."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.uploads import Asked, Upload
from contracts.messages import Source, job_id

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Sent = Callable[[int], None]
"""Called with the bytes sent since the last call; negative when some are sent again."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """
    An object that was uploaded.

    Attributes:
        job_id: None where the stage decides on the pipeline, so only the ledger will tell.
    """

    path: Path
    source: Source
    job_id: str | None


def upload_all(
    uploads: Sequence[Upload],
    *,
    s3: "S3Client",
    bucket: str,
    asked: Asked,
    sent: Sent,
) -> list[Submitted]:
    """
    Put files into the bucket, large ones in parts, several at a time.

    Args:
        sent: Called from several threads.

    Raises:
        Exception: Of the first upload that failed; those not begun are given up.
    """
    from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager

    receipts = _Receipts(s3)
    extra = {"Metadata": asked.metadata}
    # The other transfer client, of the AWS common runtime, does not pass by the events listened to.
    config = TransferConfig(preferred_transfer_client="classic")
    with create_transfer_manager(s3, config) as manager:
        futures = [
            manager.upload(
                str(upload.path), bucket, upload.key, extra, [ProgressCallbackInvoker(sent)]
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
    return [_submitted(upload, bucket, receipts[upload.key], asked) for upload in uploads]


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


def _submitted(upload: Upload, bucket: str, answer: Mapping[str, Any], asked: Asked) -> Submitted:
    source = Source(
        bucket=bucket,
        key=upload.key,
        etag=answer["ETag"].strip('"'),
        size_bytes=upload.size_bytes,
        version_id=answer.get("VersionId"),
    )
    return Submitted(upload.path, source, asked.pipeline and job_id(source, asked.pipeline))
