"""Downloading committed results, each file checked against what `result.json` says of it."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import Exit, UserError
from contracts.documents import to_json
from contracts.keys import (
    RESULT_DOCUMENT,
    attempt_folder,
    job_prefix,
    shown_source_key,
    storable_fault,
)
from contracts.results import ResultDocument, ResultFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_BYTES = 1 << 20


def job_folder(base: Path, source_key: str, job_id: str) -> Path:
    """Where a job's files lie below a folder: the same path as in the results bucket."""
    return base / job_prefix(source_key, job_id)


def fetch_results(document: ResultDocument, *, s3: "S3Client", to: Path) -> Path:
    """
    Download a job's files; `result.json` comes last, so that a folder with it is whole.

    Returns:
        The job's folder: `result.json`, and the attempt's files in `attempt-<n>/`.

    Raises:
        UserError: A file is missing or differs from what `result.json` says; it is not kept.
    """
    _check_names(document)
    folder = job_folder(to, document.source.key, document.job_id)
    for file in document.files:
        target = folder / attempt_folder(document.attempt) / file.name
        if not _is_there(file, target):
            _fetch(file, target, document, s3)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULT_DOCUMENT).write_text(to_json(document), encoding="utf-8")
    return folder


def _fetch(file: ResultFile, target: Path, document: ResultDocument, s3: "S3Client") -> None:
    key = document.prefix + file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    # By a digest: the file's own name may be as long as names get.
    mark = hashlib.sha256(file.name.encode()).hexdigest()[:32]
    growing = target.with_name(f".{mark}.part")
    digest, size = hashlib.sha256(), 0
    try:
        body = s3.get_object(Bucket=document.bucket, Key=key)["Body"]
    except s3.exceptions.NoSuchKey:
        raise _damaged(f"{key} is missing in {document.bucket}") from None
    try:
        with growing.open("wb") as copy:
            for chunk in body.iter_chunks(_READ_BYTES):
                copy.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        if (size, digest.hexdigest()) != (file.size_bytes, file.sha256):
            raise _damaged(
                f"{key} has {size} bytes with SHA-256 {digest.hexdigest()}; "
                f"result.json says {file.size_bytes} and {file.sha256}"
            )
        growing.replace(target)
    finally:
        growing.unlink(missing_ok=True)


def _is_there(file: ResultFile, target: Path) -> bool:
    if not target.is_file() or target.stat().st_size != file.size_bytes:
        return False
    with target.open("rb") as copy:
        return hashlib.file_digest(copy, "sha256").hexdigest() == file.sha256


def _check_names(document: ResultDocument) -> None:
    """Names become paths here, so none may lead out of the folder."""
    for name in (shown_source_key(document.source.key), *(file.name for file in document.files)):
        if fault := storable_fault(name):
            raise UserError(
                f"{name!r} cannot be written to disk: {fault}.",
                remedy=f"Read it from s3://{document.bucket}/{document.prefix} instead.",
            )


def _damaged(what: str) -> UserError:
    return UserError(
        f"The results are damaged: {what}.",
        remedy="Nothing of that file was kept. Submit the video again for fresh results.",
        code=Exit.DAMAGED,
    )
