"""From paths on disk to objects in the uploads bucket, and the jobs they will be."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import Exit, UserError
from contracts.keys import MAX_KEY_BYTES, storable_fault
from contracts.messages import (
    METADATA_MODEL,
    METADATA_SELECT,
    Model,
    Source,
    job_id,
    pipeline_digest,
)
from contracts.models import resolve_model
from contracts.pipeline import PipelineSettings
from contracts.selection import Selection
from lambdas.dispatch.recognise import (
    HEAD_BYTES,
    VIDEO_SUFFIXES,
    Content,
    has_video_name,
    recognise,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_METADATA_BYTES = 2048
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""

Sent = Callable[[int], None]
"""Called with the bytes sent since the last call; negative when some are sent again."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and the key it is to have."""

    path: Path
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What uploads ask for, as their metadata say it; None leaves it to the stage.

    Attributes:
        pipeline: The pipeline's digest, where this side can know it.
    """

    model: str | None
    selection: str | None
    pipeline: str | None

    @property
    def metadata(self) -> dict[str, str]:
        """The object metadata."""
        asked = {METADATA_MODEL: self.model, METADATA_SELECT: self.selection}
        return {name: value for name, value in asked.items() if value is not None}


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


def find_uploads(paths: Iterable[Path], prefix: str) -> list[Upload]:
    """
    The videos in files and folders; a folder's keep their place below the folder's name.

    Raises:
        UserError: A path does not exist or holds no video, or two files would take one key.
    """
    uploads: dict[str, Upload] = {}
    for path in paths:
        for file, name in _videos(path):
            upload = Upload(file, prefix + name, file.stat().st_size)
            _check_key(upload)
            taken = uploads.setdefault(upload.key, upload)
            if taken is not upload and taken.path.resolve() != file.resolve():
                raise UserError(
                    f"{taken.path} and {file} would both take the key {upload.key!r}.",
                    remedy="Submit their folders instead, or one after the other with --prefix.",
                    code=Exit.USAGE,
                )
    return list(uploads.values())


def ask(model: str | None, selection: str | None, settings: PipelineSettings | None) -> Asked:
    """
    What uploads are to ask for, checked as far as it can be known here.

    Raises:
        UserError: The selection is none, or the stage offers it not, or not that model.
    """
    try:
        chosen = settings.selection(selection) if settings else _parsed(selection)
        known = settings.model(model) if settings else _resolved(model)
        digest = pipeline_digest(known, chosen) if known and chosen else None
        asked = Asked(model, str(chosen) if selection and chosen else None, digest)
    except ValueError as error:
        raise UserError(
            f"{str(error)[:1].upper()}{str(error)[1:]}.",
            remedy="See `framewright submit --help` for --model and --select.",
            code=Exit.USAGE,
        ) from None
    size = sum(len(name) + len(value.encode()) for name, value in asked.metadata.items())
    if size > MAX_METADATA_BYTES or not all(value.isascii() for value in asked.metadata.values()):
        raise UserError(
            f"Model and selection take {size} bytes of object metadata; S3 holds "
            f"{MAX_METADATA_BYTES}, in ASCII.",
            remedy="Choose fewer indices, or every_nth.",
            code=Exit.USAGE,
        )
    return asked


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


def _videos(path: Path) -> Iterator[tuple[Path, str]]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if has_video_name(file.name))
        files = [file for file in found if file.is_file()]
        if not files:
            raise UserError(
                f"There is no video in {path}: no file ends in {', '.join(VIDEO_SUFFIXES)}.",
                remedy="Name the files themselves; then their content decides.",
            )
        base = path.resolve().parent
        for file in files:
            yield file, (path.resolve() / file.relative_to(path)).relative_to(base).as_posix()
    elif not path.exists():
        raise UserError(f"There is no file {path}.", remedy="Check the path.")
    else:
        _check_content(path)
        yield path, path.name


def _check_content(path: Path) -> None:
    """A file named like a video is sent whatever it holds, so that its answer is on record."""
    if has_video_name(path.name):
        return
    with path.open("rb") as file:
        content, other = recognise(file.read(HEAD_BYTES))
    if content is not Content.VIDEO:
        raise UserError(
            f"{path} is no video: neither its name nor its content is one's"
            f"{f'; it holds {other}' if other else ''}.",
            remedy=f"Video names end in {', '.join(VIDEO_SUFFIXES)}.",
            code=Exit.USAGE,
        )


def _check_key(upload: Upload) -> None:
    fault = storable_fault(upload.key)
    if fault is None and len(upload.key.encode()) > MAX_KEY_BYTES:
        fault = f"the key is longer than {MAX_KEY_BYTES} bytes"
    if fault:
        raise UserError(
            f"{str(upload.path)!r} cannot be uploaded as {upload.key!r}: {fault}.",
            remedy="Rename the file, or choose another --prefix.",
            code=Exit.USAGE,
        )


def _parsed(selection: str | None) -> Selection | None:
    return Selection.parse(selection) if selection else None


def _resolved(model: str | None) -> Model | None:
    """The model, unless its name is an alias that only the stage knows."""
    return resolve_model(model) if model and ":" in model else None
