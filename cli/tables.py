"""Jobs and stages as tables."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.jobs import RECENT_PER_PARTITION
from cli.output import (
    counted,
    program,
    shown_age,
    shown_id,
    shown_state,
)
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord

if TYPE_CHECKING:
    from cli.overview import Depth, Overview


def watched_jobs(jobs: Sequence[JobRecord], *, limit: int) -> RenderableType:
    """The latest jobs, one a line, and how many there are of each state."""
    return Group(jobs_table(jobs, limit=limit), _counts(jobs))


def jobs_table(jobs: Sequence[JobRecord], *, limit: int) -> Table:
    """The latest jobs, one a line."""
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
    return table


def overview_table(overview: "Overview", *, option: str) -> RenderableType:
    """
    How a stage stands, below the latest jobs.

    Args:
        option: What the commands that are advised take to mean the stage.
    """
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    counts = [
        Text.assemble(f"{count}{'' if is_all else '+'} ", shown_state(state))
        for state, (count, is_all) in overview.counts.items()
    ]
    if counts:
        facts.add_row("Jobs", Text(" · ").join(counts))
    if job := overview.oldest_open:
        what = f"{shown_id(job.job_id)} {job.source.key}, {job.state}"
        why = f": {job.waiting or job.checked}" if job.waiting or job.checked else ""
        facts.add_row("Oldest open", f"{what}, unchanged for {shown_age(job.updated_at)}{why}")
    for name, depth in overview.depths.items():
        facts.add_row(name, _shown_depth(name, depth, option))
    if isinstance(overview.running, str):
        facts.add_row("Parts", overview.running)
    elif resting := [part for part, runs in overview.running.items() if not runs]:
        remedy = f" Go on with: {program()} resume{option}"
        facts.add_row("Paused", Text(f"{', '.join(resting)}.{remedy}", style="yellow"))
    return facts


def _shown_depth(name: str, depth: "Depth | str", option: str) -> Text:
    if isinstance(depth, str):
        return Text(depth)
    if name.endswith("-dlq"):
        count = counted(depth.waiting + depth.in_work, "dead letter")
        remedy = f". Look with: {program()} redrive --dry-run{option}"
        return Text(count + remedy, style="red") if depth.waiting + depth.in_work else Text(count)
    return Text(f"{depth.waiting} waiting, {depth.in_work} in work, {depth.delayed} delayed")


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
