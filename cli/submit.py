"""`framewright submit`: upload videos and say which jobs they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Json, Model, Select, Stage, TimeLimit, Wait
from cli.output import counted, messages, plain_record, print_json, program

if TYPE_CHECKING:
    from cli.sending import Submitted
    from cli.stage import Stage as OpenStage
    from cli.uploads import Asked, Upload
    from lambdas.common.ledger import JobRecord

Paths = Annotated[list[Path], typer.Argument(metavar="PATH", help="Videos, or folders of them.")]
Again = Annotated[
    bool,
    typer.Option("--again", help="Upload as a new version, and so as a new job, all the same."),
]
Prefix = Annotated[str, typer.Option("--prefix", metavar="KEY/", help="Put before each key.")]


_MOST_NAMED = 3
"""Jobs whose ids fit on the line that says how to follow them."""


def submit(
    paths: Paths,
    stage: Stage = "local",
    model: Model = None,
    select: Select = None,
    prefix: Prefix = "",
    again: Again = False,
    wait: Wait = False,
    timeout: TimeLimit = None,
    as_json: Json = False,
) -> None:
    """
    Upload videos to a stage, which makes a job of each.

    Where the latest version under a file's key has the same content, and asked for the same model
    and frames in the same words, nothing is sent and its job is kept. Older versions do not count.
    """
    from cli.stage import open_stage
    from cli.uploads import find_uploads

    opened = open_stage(stage)
    uploads = find_uploads(paths, prefix)
    asked = ask_for(opened, model, select)
    submitted = send(opened, uploads, asked, again=again)
    if not wait:
        _report(submitted, stage, as_json=as_json)
        return
    from cli.jobs import exit_code
    from cli.progress import follow_shown

    records = follow_shown(
        opened.ledger, submitted, interval_s=opened.poll_interval_s, time_limit_s=timeout
    )
    _report_ended(submitted, records, as_json=as_json)
    raise typer.Exit(exit_code(records))


def ask_for(stage: "OpenStage", model: str | None, select: str | None) -> "Asked":
    """What uploads will ask for; a model given as a file is pushed first."""
    from cli.bundles import is_bundle_path, push_bundle
    from cli.uploads import ask

    if model is not None and is_bundle_path(model):
        model, _ = push_bundle(Path(model), s3=stage.s3, bucket=stage.names.models_bucket)
    return ask(model, select, stage.settings)


def send(
    stage: "OpenStage", uploads: "Sequence[Upload]", asked: "Asked", *, again: bool
) -> "list[Submitted]":
    """Upload files, with a bar of bytes on standard error."""
    from cli.progress import byte_bar
    from cli.sending import upload_all

    with byte_bar(messages(), f"Uploading {counted(len(uploads), 'file')}", uploads) as sent:
        return upload_all(
            uploads,
            s3=stage.s3,
            bucket=stage.names.uploads_bucket,
            asked=asked,
            again=again,
            sent=sent,
        )


def _report(submitted: "Sequence[Submitted]", stage: str, *, as_json: bool) -> None:
    if as_json:
        print_json([_plain(upload) for upload in submitted])
        return
    for upload in submitted:
        job_id = upload.job_id or "(id not known yet)"
        typer.echo(f"{job_id:32}  {upload.source.key}{_note(upload)}")
    option = "" if stage == "local" else f" --stage {stage}"
    ids = [upload.job_id for upload in submitted if upload.job_id]
    named = " ".join(["", *ids]) if len(ids) == len(submitted) <= _MOST_NAMED else ""
    typer.echo(f"Follow with: {program()} watch{named}{option} --until-done", err=True)


def _report_ended(
    submitted: "Sequence[Submitted]", records: "Sequence[JobRecord | None]", *, as_json: bool
) -> None:
    pairs = list(zip(submitted, records, strict=True))
    if as_json:
        print_json(
            [
                plain_record(record) | {"was_there": upload.was_there} if record else _plain(upload)
                for upload, record in pairs
            ]
        )
        return
    for upload, record in pairs:
        job_id = record.job_id if record else upload.job_id or "(id not known yet)"
        state = record.state if record else "UPLOADED"
        why = f"  {record.code}: {record.message}" if record and record.code else ""
        typer.echo(f"{job_id:32}  {state:10}  {upload.source.key}{why}{_note(upload)}")


def _note(upload: "Submitted") -> str:
    return "  (was there already; --again makes a new job)" if upload.was_there else ""


def _plain(upload: "Submitted") -> dict[str, Any]:
    source = upload.source
    return {
        "job_id": upload.job_id,
        "path": str(upload.path),
        "bucket": source.bucket,
        "key": source.key,
        "version_id": source.version_id,
        "was_there": upload.was_there,
    }
