"""The story of one job, with times."""

from datetime import datetime, tzinfo
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.output import (
    counted,
    program,
    seconds_between,
    shown_age,
    shown_id,
    shown_size,
    shown_span,
    shown_state,
)
from lambdas.common.ledger import JobRecord, Transition


def job_story(job: JobRecord, *, results_bucket: str, zone: tzinfo | None = None) -> RenderableType:
    """
    Everything the ledger knows of a job.

    Args:
        zone: What times are shown in; this machine's own unless given.
    """
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    rows: dict[str, RenderableType] = {
        "Job": job.job_id,
        "State": _standing(job),
        "Video": f"{job.source.uri} ({shown_size(job.source.size_bytes)})",
        "Version": job.source.version_id or f"unversioned, ETag {job.source.etag}",
        "Model": job.model.name,
        "Frames": str(job.selection),
        "Attempt": _attempt(job),
        **_whereabouts(job),
    }
    if job.code:
        rows["Why"] = f"{job.code}: {job.message}"
    if job.result_key:
        rows["Results"] = f"s3://{results_bucket}/{job.result_key}"
        rows["Download"] = f"{program()} results {shown_id(job.job_id)} --to DIR"
    for name, value in rows.items():
        facts.add_row(name, value)
    return Group(facts, Text(), _history(job, zone))


def _standing(job: JobRecord) -> Text:
    if not job.state.is_terminal:
        rest = f", unchanged for {shown_age(job.updated_at)}"
    else:
        took = shown_span(seconds_between(job.created_at, job.history[-1].at))
        told = "" if job.published else "; the outcome has not been told yet"
        rest = f", {took} after it was received{told}"
    return Text.assemble(shown_state(job.state), rest)


def _attempt(job: JobRecord) -> str:
    again = f", redriven after attempt {job.first_attempt - 1}" if job.first_attempt > 1 else ""
    start = f", start {job.start}" if job.start > 1 else ""
    return f"{job.attempt}{start}{again}"


def _whereabouts(job: JobRecord) -> dict[str, RenderableType]:
    """Where the job is, and what it waits for."""
    rows: dict[str, RenderableType] = {}
    if job.route:
        rows["Route"] = f"{job.route}: {job.reason}"
        rows["Backend job"] = job.backend_ref or ""
    if job.waiting:
        rows["Waiting"] = f"put off {counted(job.waits, 'time')}: {job.waiting}"
    if job.checked:
        rows["Last look"] = job.checked
    if job.committing and not job.state.is_terminal:
        rows["Committing"] = f"attempt {job.committing} was found whole"
    return rows


def _history(job: JobRecord, zone: tzinfo | None) -> Table:
    last = _local(job.history[-1], zone)
    offset = last.strftime("%z")
    name = "UTC" if not last.utcoffset() else f"UTC{offset[:3]}:{offset[3:]}"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (f"Time ({name})", "After", "State", "Try", ""):
        table.add_column(column, overflow="fold", justify="right" if column == "After" else "left")
    steps = [(job.history[0], job.history[0]), *pairwise(job.history)]
    for number, (before, step) in enumerate(steps):
        if number == 1 and job.history_left_out:
            table.add_row("…", "", "", "", f"{counted(job.history_left_out, 'step')} left out")
        at = datetime.fromisoformat(step.at).astimezone(last.tzinfo)
        table.add_row(
            at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "" if step is before else shown_span(seconds_between(before.at, step.at)),
            shown_state(step.state),
            str(step.attempt),
            step.note or "",
        )
    return table


def _local(step: Transition, zone: tzinfo | None) -> datetime:
    return datetime.fromisoformat(step.at).astimezone(zone)
