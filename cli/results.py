"""`framewright results`: what a job found, and its files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import Exit, UserError
from cli.options import JOB_NAME_HELP, Json, Stage
from cli.output import counted, messages, print_json, program, show, shown_id, shown_size
from contracts.documents import to_dict
from contracts.outcomes import JobState

if TYPE_CHECKING:
    from contracts.results import ResultDocument
    from lambdas.common.ledger import JobRecord

JobName = Annotated[
    str,
    typer.Argument(metavar="JOB", help=JOB_NAME_HELP),
]
Folder = Annotated[
    Path | None,
    typer.Option("--to", metavar="DIR", help="Download the files there.", show_default=False),
]


def results(job: JobName, to: Folder = None, stage: Stage = "local", as_json: Json = False) -> None:
    """Show what a job found; with --to, download its files and check them."""
    from cli.fetch import fetch_results
    from cli.jobs import find_job
    from cli.stage import open_stage
    from lambdas.settle.commit import read_result

    opened = open_stage(stage)
    record = find_job(opened.ledger, job)
    bucket = opened.names.results_bucket
    document = read_result(record.source.key, record.job_id, s3=opened.s3, bucket=bucket)
    if document is None:
        raise _not_committed(record)
    folder = None
    if to is not None:
        with messages().status(f"Downloading {counted(len(document.files), 'file')}"):
            folder = fetch_results(document, s3=opened.s3, to=to)
    if as_json:
        extra: dict[str, Any] = {"folder": str(folder)} if folder else {}
        print_json(to_dict(document) | extra)
        return
    _show(document, folder)


def _show(document: "ResultDocument", folder: Path | None) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    video, counts = document.video, document.counts
    objects = counted(counts.detections, "object")
    found = f"{objects} in {counted(counts.frames_processed, 'frame')}"
    length = f", {video.duration_s:.1f} s" if video.duration_s is not None else ""
    table.add_row("Video", f"{document.source.key}: {video.width}×{video.height}{length}")
    table.add_row("Model", f"{document.model.name}, {document.selection}")
    table.add_row("Found", found)
    table.add_row("Took", f"{document.timings_s.get('total', 0):.1f} s, attempt {document.attempt}")
    for warning in document.warnings:
        table.add_row("Warning", f"{warning.code}: {warning.message}")
    for file in document.files:
        table.add_row("File", f"{file.name} ({shown_size(file.size_bytes)})")
    where = f"s3://{document.bucket}/{document.prefix}"
    table.add_row("Where", f"{folder}, every file as its SHA-256 says" if folder else where)
    show(table)
    if folder is None:
        messages().print(
            f"Download them with: {program()} results {shown_id(document.job_id)} --to DIR"
        )


def _not_committed(record: "JobRecord") -> UserError:
    name = shown_id(record.job_id)
    if not record.state.is_terminal:
        return UserError(
            f"Job {name} has no results yet: it is {record.state}, attempt {record.attempt}.",
            remedy=f"Wait with `{program()} watch --until-done`.",
            code=Exit.UNFINISHED,
        )
    if record.state is JobState.SUCCEEDED:
        return UserError(
            f"The results of job {name} were committed, and are not there any more.",
            remedy="docs/runbook.md says how what was deleted is taken back.",
            code=Exit.DAMAGED,
        )
    rejected = record.state == "REJECTED"
    return UserError(
        f"Job {name} has no results: it is {record.state}, {record.code}: {record.message}",
        remedy=f"`{program()} status {name}` tells its story.",
        code=Exit.REJECTED if rejected else Exit.UNFINISHED,
    )
