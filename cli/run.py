"""`framewright run`: one video on this machine, with no cloud at all."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import Exit, UserError
from cli.options import SELECT_HELP, Json
from cli.output import counted, messages, print_json, program, sentence, shown_size
from contracts.documents import to_dict
from contracts.keys import attempt_folder, storable_fault
from contracts.messages import InferenceRequest, Source, inference_request
from contracts.outcomes import Outcome
from contracts.selection import Selection

if TYPE_CHECKING:
    from contracts.results import AttemptDocument
    from vision.models.base import VisionModel
    from vision.shards import Shard

LOCAL_BUCKET = "local-files"
"""Stands for this machine in the documents, where a bucket would be named."""

Video = Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")]
Folder = Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the results go.")]
Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only part I of N, counted from 0; see `merge`."),
]
Shards = Annotated[
    list[Path], typer.Argument(metavar="SHARD...", help="The folders of all shards of a video.")
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FILE",
        help="A built-in such as builtin:people, or a model.tar.gz.",
    ),
]
Select = Annotated[str, typer.Option("--select", metavar="FRAMES", help=SELECT_HELP)]
Workers = Annotated[
    int | None,
    typer.Option(
        "--decode-workers", min=1, help="Decoders at work at once; one for each core unless given."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--model-threads", min=1, help="Of a bundle's engine; one for each core unless given."
    ),
]
Render = Annotated[
    bool, typer.Option("--render", help="Also write an annotated picture and video.")
]


def run(
    video: Video,
    to: Folder,
    model: Model = "builtin:people",
    select: Select = "every_seconds=1",
    shard: Part = None,
    render: Render = False,
    decode_workers: Workers = None,
    model_threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Process a video here, without any cloud; the files are those of a job's attempt."""
    from cli.fetch import job_folder

    check_video(video)
    if fault := storable_fault(video.name):
        what = f"{str(video)!r} cannot name its results: {fault}."
        raise UserError(what, remedy="Rename the file.", code=Exit.USAGE)
    loaded = _load(model, model_threads)
    request = _request(video, loaded, select)
    folder = job_folder(to, video.name, request.job_id) / attempt_folder(1)
    part = _part(shard)
    if part is not None:
        folder = folder.with_name(f"{folder.name}-shard-{part.index}-of-{part.count}")
    document = _process(video, request, loaded, folder, part, decode_workers)
    succeeded = document.outcome is Outcome.SUCCEEDED
    pictures = (
        _render(video, document.selection, folder) if render and succeeded and part is None else []
    )
    if as_json:
        extra = {"folder": str(folder), "pictures": [str(path) for path in pictures]}
        print_json(to_dict(document) | extra)
    else:
        _show(document, folder, pictures)
    raise typer.Exit(Exit.OK if succeeded else Exit.REJECTED)


def merge(shards: Shards, to: Folder, as_json: Json = False) -> None:
    """Join what `run --shard` left for every part of a video into one attempt."""
    from contracts.documents import DocumentError
    from vision.merge import ShardsDifferError, merge_shards

    try:
        document = merge_shards(shards, to)
    except (ShardsDifferError, DocumentError, FileNotFoundError) as error:
        raise _wrong(f"{error}", "Give the folder of every shard, each once and whole.") from None
    if as_json:
        print_json(to_dict(document) | {"folder": str(to)})
    else:
        _show(document, to, [])
    raise typer.Exit(Exit.OK if document.outcome is Outcome.SUCCEEDED else Exit.REJECTED)


def check_video(video: Path) -> None:
    """
    Check that there is a file to process.

    Raises:
        UserError: There is none, or it is a folder.
    """
    if video.is_dir():
        raise UserError(
            f"{video} is a folder; one video is processed at a time here.",
            remedy=f"Name a file in it, or submit the folder with `{program()} submit`.",
            code=Exit.USAGE,
        )
    if not video.is_file():
        raise UserError(f"There is no file {video}.", remedy="Check the path.", code=Exit.USAGE)


def _load(model: str, threads: int | None) -> "VisionModel":
    from cli.bundles import is_bundle_path, load_bundle_file
    from contracts.models import is_bundle, resolve_model
    from vision.models.load import load_model

    if is_bundle_path(model):
        return load_bundle_file(Path(model), threads=threads)
    try:
        identity = resolve_model(model)
    except ValueError as error:
        raise _wrong(f"{error}", "Give builtin:people or a model.tar.gz.") from None
    if is_bundle(identity):
        raise _wrong(f"{model} names a bundle of a stage", "Give the model.tar.gz itself.")
    return load_model(identity)


def _request(video: Path, model: "VisionModel", select: str) -> InferenceRequest:
    try:
        selection = Selection.parse(select)
        with video.open("rb") as file:
            etag = hashlib.file_digest(file, _md5).hexdigest()
        source = Source(LOCAL_BUCKET, video.name, etag, video.stat().st_size)
        return inference_request(
            source=source,
            model=model.identity,
            selection=selection,
            attempt=1,
            results_bucket=LOCAL_BUCKET,
        )
    except ValueError as error:
        raise _wrong(f"{error}", f"See `{program()} run --help` for --select.") from None


def _part(shard: str | None) -> "Shard | None":
    from vision.shards import Shard

    try:
        return Shard.parse(shard) if shard else None
    except ValueError as error:
        raise _wrong(f"{error}", "Give --shard 0/4 for the first of four parts.") from None


def _process(
    video: Path,
    request: InferenceRequest,
    model: "VisionModel",
    folder: Path,
    shard: "Shard | None",
    decode_workers: int | None,
) -> "AttemptDocument":
    from cli.progress import video_bar
    from vision.models.bundle import BundleError
    from vision.pipeline import process_video
    from vision.workers import Parallelism

    parallelism = Parallelism(decode_workers) if decode_workers else None

    with video_bar(messages(), video.name) as progress:
        try:
            return process_video(
                path=video,
                request=request,
                model=model,
                folder=folder,
                progress=progress,
                shard=shard,
                parallelism=parallelism,
            )
        except BundleError as error:
            raise UserError(
                f"The model cannot be used: {error}.",
                remedy=f"Try it with `{program()} model check`.",
                code=Exit.MODEL_FAULT,
            ) from None


def _show(document: "AttemptDocument", folder: Path, pictures: list[Path]) -> None:
    if document.outcome is Outcome.REJECTED:
        typer.echo(f"Rejected, {document.code}: {document.message}", err=True)
        return
    counts = document.counts
    typer.echo(
        f"{counted(counts.detections, 'object')} in {counted(counts.frames_processed, 'frame')}, "
        f"{document.timings_s['total']:.1f} s, "
        f"at most {shown_size(document.peak_memory_bytes)} of memory"
    )
    for warning in document.warnings:
        typer.echo(f"Warning, {warning.code}: {warning.message}")
    for path in (folder, *pictures):
        typer.echo(str(path))


def _md5() -> "hashlib._Hash":
    """S3's ETag of a small object; identity, not protection."""
    return hashlib.md5(usedforsecurity=False)


def _wrong(what: str, remedy: str) -> UserError:
    return UserError(sentence(what), remedy=remedy, code=Exit.USAGE)


def _render(video: Path, selection: Selection, folder: Path) -> list[Path]:
    from cli.annotate import annotate_attempt

    # Beside the attempt, whose files are those that attempt.json names and no others.
    drawn = annotate_attempt(video, selection, folder, folder.parent)
    return [drawn.picture, drawn.video]
