"""`framewright redrive`: dead letters back to their queues, failed jobs back to work."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import Exit, UserError
from cli.options import JOB_NAME_HELP, DryRun, Json, Stage, Yes, confirm
from cli.output import counted, messages, print_json, program, show, shown_id
from contracts.outcomes import JobState

if TYPE_CHECKING:
    from cli.dead_letters import Letter
    from cli.redriving import Redriving
    from cli.stage import Stage as OpenStage
    from lambdas.common.ledger import JobRecord


class WhichQueue(StrEnum):
    """Whose dead letters are moved."""

    UPLOADS = "uploads"
    COMPLETIONS = "completions"
    RECONCILE = "reconcile"
    ALL = "all"


Queue = Annotated[WhichQueue, typer.Option("--queue", help="Whose dead letters.")]
Jobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        metavar="JOB",
        help="Only this job and its dead letters; may be given several times. " + JOB_NAME_HELP,
        show_default=False,
    ),
]
FailedSince = Annotated[
    str | None,
    typer.Option(
        "--failed-since",
        metavar="AGE",
        help="Also the jobs that ended FAILED no longer ago than that: 90m, 6h or 14d.",
        show_default=False,
    ),
]

MAX_UNASKED = 20
"""Failed jobs that are redriven without asking back: each costs an instance's time."""
_MOST_NAMED = 3


def redrive(
    queue: Queue = WhichQueue.ALL,
    job: Jobs = None,
    failed_since: FailedSince = None,
    stage: Stage = "local",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """
    Send dead letters back to the queues they came from, and let failed jobs be tried again.

    Put right first what they died of. Stopped half-way, or done twice, it does no harm.
    """
    from cli.dead_letters import dead_letter_queues
    from cli.jobs import find_job
    from cli.redriving import Redriving, jobs_failed_since
    from cli.stage import open_stage

    if job and failed_since:
        raise UserError(
            "--job names jobs, --failed-since finds them.", remedy="Give one.", code=Exit.USAGE
        )
    opened = open_stage(stage)
    named = [find_job(opened.ledger, text) for text in job or ()]
    failed = [record for record in named if record.state is JobState.FAILED]
    if failed_since:
        failed = jobs_failed_since(opened.ledger, failed_since)
    if not dry_run:
        confirm(len(failed), "failed job", most=MAX_UNASKED, yes=yes)
    queues = dead_letter_queues(opened.names)
    chosen = [it for name, it in queues.items() if queue in (name, WhichQueue.ALL)]
    work = Redriving(opened, dry_run=dry_run)
    try:
        with messages().status("Looking through the dead letters") as line:
            for count in work.run(chosen, failed, only=named):
                line.update(f"{'Found' if dry_run else 'Redriven'}: {count}")
    except BaseException:
        if work.letters or work.jobs:
            _report(opened, work, dry_run=dry_run, as_json=as_json)
        raise
    if named and not (work.letters or failed):
        raise _nothing(named)
    _report(opened, work, dry_run=dry_run, as_json=as_json)


def _report(stage: "OpenStage", work: "Redriving", *, dry_run: bool, as_json: bool) -> None:
    from cli.causes import find_causes

    causes = find_causes(work.letters, logs=stage.client("logs"))
    if as_json:
        letters = [_plain(letter, causes.get(letter.message_id)) for letter in work.letters]
        jobs = [
            {"job_id": job.job_id, "attempt": job.attempt, "code": job.code, "why": job.message}
            for job in work.jobs
        ]
        print_json({"dry_run": dry_run, "letters": letters, "jobs": jobs})
        return
    if not (work.letters or work.jobs):
        typer.echo("There is nothing to redrive: no dead letters, and no failed jobs asked for.")
        return
    _show(work, causes)
    what = f"{counted(len(work.letters), 'dead letter')}, {counted(len(work.jobs), 'failed job')}"
    if dry_run:
        typer.echo(f"Nothing was changed; to be redriven: {what}.")
    else:
        typer.echo(f"Redriven: {what}. Follow with: {program()} status{stage.option}")


def _show(work: "Redriving", causes: Mapping[str, str]) -> None:
    """A line for each cause, so that what a thousand letters died of can be seen at once."""
    from rich.table import Table

    groups: dict[tuple[str, str, str], list[str]] = {}
    for letter in work.letters:
        to = letter.queue.home or "dropped: the next run does its work"
        key = (letter.queue.name, to, causes.get(letter.message_id, "(not known)"))
        groups.setdefault(key, []).append(letter.about)
    for job in work.jobs:
        key = (f"{JobState.FAILED} jobs", f"attempt {job.attempt + 1}", _failure(job))
        groups.setdefault(key, []).append(f"{shown_id(job.job_id)} {job.source.key}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Count", "From", "To", "Died of", "About"):
        table.add_column(column, overflow="fold", justify="right" if column == "Count" else "left")
    for (origin, to, why), abouts in groups.items():
        more = f" and {len(abouts) - _MOST_NAMED} more" if len(abouts) > _MOST_NAMED else ""
        about = ", ".join(abouts[:_MOST_NAMED]) + more
        table.add_row(str(len(abouts)), origin, to, why, about)
    show(table)


def _plain(letter: "Letter", why: str | None) -> dict[str, Any]:
    return {
        "queue": letter.queue.name,
        "to": letter.queue.home,
        "message_id": letter.message_id,
        "about": letter.about,
        "job_id": letter.job_id,
        "why": why,
    }


def _failure(job: "JobRecord") -> str:
    return f"{job.code}: {job.message}"


def _nothing(jobs: "Sequence[JobRecord]") -> UserError:
    stand = ", ".join(f"{shown_id(job.job_id)} is {job.state}" for job in jobs)
    return UserError(
        f"There is nothing to redrive: {stand}, and there are no dead letters about it.",
        remedy=f"Only FAILED jobs are redriven; `{program()} reprocess` makes new ones.",
    )
