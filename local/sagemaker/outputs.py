"""Outputs on their way from an instance to S3."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.sagemaker.inputs import S3Place
from local.sagemaker.layout import Instance

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_Mark = tuple[int, int]
"""Time of modification in ns and size in bytes: when both stay, the file was not written to."""


class OutputError(Exception):
    """An output cannot be uploaded; the message is the job's failure reason."""


class OutputUploader:
    """
    Uploads one output of one instance.

    Continuous outputs are swept again and again while the container runs: a file goes up once it
    was the same in two sweeps, and again when it changed afterwards.
    """

    def __init__(
        self,
        s3: "S3Client",
        s3_output: Mapping[str, Any],
        instance: Instance,
        *,
        kms_key_id: str | None,
    ) -> None:
        self._s3 = s3
        self._place = S3Place.parse(s3_output["S3Uri"])
        self._folder = instance.local_path(s3_output["LocalPath"])
        self._encryption: dict[str, Any] = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
        )
        self.is_continuous = s3_output["S3UploadMode"] == "Continuous"
        self._seen: dict[Path, _Mark] = {}
        self._uploaded: dict[Path, _Mark] = {}

    def sweep(self) -> None:
        """
        Upload the files that came or changed, and then rested since the last sweep.

        Raises:
            OutputError: S3 does not take one.
        """
        found = dict(_files(self._folder))
        for path, mark in found.items():
            if self._seen.get(path) == mark:
                self._upload(path, mark)
        self._seen = found

    def finish(self) -> None:
        """
        Upload whatever is not up yet; the container has ended.

        Raises:
            OutputError: S3 does not take a file.
        """
        for path, mark in _files(self._folder):
            self._upload(path, mark)

    def _upload(self, path: Path, mark: _Mark) -> None:
        if self._uploaded.get(path) == mark:
            return
        relative = path.relative_to(self._folder).as_posix()
        folder = self._place.key.rstrip("/")
        key = f"{folder}/{relative}" if folder else relative
        try:
            with path.open("rb") as body:
                self._s3.put_object(
                    Bucket=self._place.bucket, Key=key, Body=body, **self._encryption
                )
        except (ClientError, BotoCoreError, OSError, UnicodeError) as error:
            if _mark(path) != mark:
                return  # Written to or removed meanwhile: a later sweep sees what has become of it.
            raise OutputError(
                f"ClientError: Failed to upload output data to s3://{self._place.bucket}/{key}: "
                f"{error}"
            ) from error
        self._uploaded[path] = mark


def _files(folder: Path) -> Iterator[tuple[Path, _Mark]]:
    """Regular files below a folder, oldest first so that what was written last goes up last."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if mark := _mark(path):
                found.append((mark, path))
    for mark, path in sorted(found):
        yield path, mark


def _mark(path: Path) -> _Mark | None:
    """A regular file's mark; None for links and whatever else is no file."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    return (facts.st_mtime_ns, facts.st_size) if stat.S_ISREG(facts.st_mode) else None
