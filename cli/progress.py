"""Bars and tables that move while something is under way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from cli.jobs import follow
from cli.output import messages, seconds_between, shown_clock, shown_id, shown_state
from cli.sending import Submitted
from cli.uploads import Upload

if TYPE_CHECKING:
    from rich.console import Console

    from lambdas.common.ledger import JobRecord, Ledger
    from vision.pipeline import Progress as VideoProgress

MAX_LINES = 12
"""Of jobs shown at once; the rest is counted."""


@contextmanager
def byte_bar(
    console: "Console", title: str, uploads: Sequence[Upload]
) -> Iterator[Callable[[int], None]]:
    """A bar of bytes sent; yields what is to be called with each further number of bytes."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=sum(upload.size_bytes for upload in uploads))
        yield lambda count: bar.advance(task, count)


@contextmanager
def video_bar(console: "Console", title: str) -> Iterator[Callable[["VideoProgress"], None]]:
    """A bar of a video's time; yields what `process_video` is to call."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[frames]} frames"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, frames=0)

        def show(progress: "VideoProgress") -> None:
            bar.update(
                task,
                total=progress.duration_s,
                completed=progress.time_s,
                frames=progress.frames_processed,
            )

        yield show


def follow_shown(
    ledger: "Ledger",
    submitted: Sequence[Submitted],
    *,
    interval_s: float,
    time_limit_s: float | None = None,
) -> "list[JobRecord | None]":
    """
    Follow jobs until they have ended or time is up, showing how each stands.

    On a terminal a table moves; elsewhere each change of a job's state is a line.
    """
    records: list[JobRecord | None] = [None] * len(submitted)
    snapshots = follow(ledger, submitted, interval_s=interval_s, time_limit_s=time_limit_s)
    console = messages()
    if not console.is_terminal:
        return _print_changes(submitted, snapshots, records)
    with Live(console=console, transient=True) as live:
        for records in snapshots:
            live.update(_jobs_table(submitted, records))
    return records


def _print_changes(
    submitted: Sequence[Submitted],
    snapshots: "Iterable[list[JobRecord | None]]",
    before: "list[JobRecord | None]",
) -> "list[JobRecord | None]":
    for records in snapshots:
        for upload, old, new in zip(submitted, before, records, strict=True):
            if new and (old is None or (old.state, old.attempt) != (new.state, new.attempt)):
                line = f"{shown_clock(new.updated_at)}  {new.state:10}  {shown_id(new.job_id)}"
                typer.echo(f"{line}  {upload.source.key}  attempt {new.attempt}", err=True)
        before = records
    return before


def _jobs_table(submitted: Sequence[Submitted], records: "Sequence[JobRecord | None]") -> Table:
    ended = sum(1 for record in records if record and record.state.is_terminal)
    table = Table(box=None, show_header=False, padding=(0, 1))
    running = [
        (upload, record)
        for upload, record in zip(submitted, records, strict=True)
        if not (record and record.state.is_terminal)
    ]
    for upload, record in running[:MAX_LINES]:
        table.add_row(
            shown_state(record.state if record else None),
            shown_id(record.job_id if record else upload.job_id),
            upload.source.key,
            f"attempt {record.attempt}, {_age(record)}" if record else "",
        )
    more = f", {len(running) - MAX_LINES} more under way" if len(running) > MAX_LINES else ""
    table.add_row("", f"{ended} of {len(records)} ended{more}")
    return table


def _age(record: "JobRecord") -> str:
    from lambdas.common.ledger import utc_now

    return f"{seconds_between(record.updated_at, utc_now()):.0f} s in this state"
