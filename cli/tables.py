"""Jobs as tables and stories."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.jobs import RECENT_PER_PARTITION
from cli.output import (
    program,
    seconds_between,
    shown_age,
    shown_clock,
    shown_id,
    shown_size,
    shown_state,
)
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord


def jobs_table(jobs: Sequence[JobRecord], *, limit: int) -> RenderableType:
    """The latest jobs, one a line, and how many there are of each state."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("State", "Job", "Video", "Model", "Try", "Changed", "Why"):
        table.add_column(column, no_wrap=column in ("State", "Job", "Try", "Changed"))
    for job in jobs[:limit]:
        table.add_row(
            shown_state(job.state),
            shown_id(job.job_id),
            job.source.key,
            _shown_model(job),
            str(job.attempt),
            shown_age(job.updated_at),
            job.code or "",
        )
    return Group(table, _counts(jobs))


def job_story(job: JobRecord, *, results_bucket: str) -> RenderableType:
    """Everything the ledger knows of a job."""
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    rows: dict[str, RenderableType] = {
        "Job": job.job_id,
        "State": shown_state(job.state),
        "Video": f"{job.source.uri} ({shown_size(job.source.size_bytes)})",
        "Version": job.source.version_id or f"unversioned, ETag {job.source.etag}",
        "Model": job.model.name,
        "Frames": str(job.selection),
        "Attempt": str(job.attempt),
    }
    if job.route:
        rows["Route"] = f"{job.route}: {job.reason}"
        rows["Backend job"] = job.backend_ref or ""
    if job.code:
        rows["Why"] = f"{job.code}: {job.message}"
    if job.result_key:
        rows["Results"] = f"s3://{results_bucket}/{job.result_key}"
        rows["Download"] = f"{program()} results {shown_id(job.job_id)} --to DIR"
    for name, value in rows.items():
        facts.add_row(name, value)
    return Group(facts, Text(), _history(job))


def _history(job: JobRecord) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Time", "After", "State", "Try", ""):
        table.add_column(column, overflow="fold", justify="right" if column == "After" else "left")
    steps = [(job.history[0], job.history[0]), *pairwise(job.history)]
    for before, step in steps:
        table.add_row(
            shown_clock(step.at),
            "" if step is before else f"{seconds_between(before.at, step.at):.1f} s",
            shown_state(step.state),
            str(step.attempt),
            step.note or "",
        )
    return table


def _counts(jobs: Sequence[JobRecord]) -> Text:
    counts = Counter(job.state for job in jobs)
    parts = [Text()]
    for state in JobState:
        if count := counts[state]:
            more = "+" if count >= RECENT_PER_PARTITION else ""
            parts.append(Text.assemble(f"{count}{more} ", shown_state(state)))
    return Text("\n").join([Text(), Text(" · ").join(parts[1:])])


def _shown_model(job: JobRecord) -> str:
    kind, _, name = job.model.name.partition(":")
    return f"{kind}:{shown_id(name)}" if kind == "bundle" else job.model.name
