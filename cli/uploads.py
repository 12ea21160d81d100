"""Which files to upload under which keys, and what to ask for them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.errors import Exit, UserError
from cli.output import program, sentence
from contracts.keys import MAX_KEY_BYTES, storable_fault
from contracts.messages import (
    METADATA_MODEL,
    METADATA_SELECT,
    Model,
    pipeline_digest,
)
from contracts.models import resolve_model
from contracts.pipeline import PipelineSettings
from contracts.selection import Selection
from lambdas.common.video_names import VIDEO_SUFFIXES, has_video_name
from lambdas.dispatch.recognise import HEAD_BYTES, Content, recognise

MAX_METADATA_BYTES = 2048
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html"""


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


def find_uploads(paths: Iterable[Path], prefix: str) -> list[Upload]:
    """
    The videos in files and folders; a folder's keep their place below the folder's name.

    Raises:
        UserError: A path does not exist or holds no video, two files would take one key, or the
            prefix does not end with a slash.
    """
    _check_prefix(prefix)
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
            sentence(str(error)),
            remedy=f"See `{program()} submit --help` for --model and --select.",
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


def _check_prefix(prefix: str) -> None:
    if prefix and not prefix.endswith("/"):
        raise UserError(
            f"--prefix {prefix} does not end with a slash, so a key would begin with "
            f"{prefix + 'NAME'!r}.",
            remedy=f"Write --prefix {prefix}/ to put the videos below it.",
            code=Exit.USAGE,
        )


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
