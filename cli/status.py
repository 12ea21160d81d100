"""`framewright status` and `watch`: how jobs stand."""

import time
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import JOB_NAME_HELP, Json, Stage, TimeLimit
from cli.output import output, plain_record, print_json, program, show

if TYPE_CHECKING:
    from cli.stage import Stage as OpenStage
    from lambdas.common.ledger import JobRecord

JobName = Annotated[
    str | None,
    typer.Argument(
        metavar="[JOB]",
        help=JOB_NAME_HELP,
        show_default=False,
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many jobs to show.")]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of your own zone.")]
UntilDone = Annotated[bool, typer.Option("--until-done", help="End when every job has ended.")]


Watched = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB]...", help="Ids of jobs; all recent ones unless given."),
]


def status(
    job: JobName = None,
    stage: Stage = "local",
    limit: Limit = 20,
    utc: Utc = False,
    as_json: Json = False,
) -> None:
    """Show how a stage stands and its latest jobs, or the whole story of one job."""
    from cli.jobs import find_job
    from cli.stage import open_stage
    from cli.story import job_story

    opened = open_stage(stage)
    if job is None:
        _show_stage(opened, limit=limit, as_json=as_json)
        return
    found = find_job(opened.ledger, job)
    if as_json:
        print_json(plain_record(found))
    else:
        zone = UTC if utc else None
        show(job_story(found, results_bucket=opened.names.results_bucket, zone=zone))


def _show_stage(stage: "OpenStage", *, limit: int, as_json: bool) -> None:
    from cli.jobs import recent_jobs
    from cli.overview import look_over
    from cli.tables import jobs_table, overview_table

    overview, jobs = look_over(stage), recent_jobs(stage.ledger)
    if as_json:
        print_json(overview.plain() | {"jobs": [plain_record(found) for found in jobs[:limit]]})
        return
    if jobs:
        show(jobs_table(jobs, limit=limit))
    else:
        typer.echo(f"There are no jobs yet. Make one with: {program()} submit VIDEO")
    typer.echo()
    show(overview_table(overview, option=stage.option))


def watch(
    ids: Watched = None,
    stage: Stage = "local",
    limit: Limit = 20,
    until_done: UntilDone = False,
    timeout: TimeLimit = None,
    as_json: Json = False,
) -> None:
    """
    Show jobs and keep the table up to date, until interrupted or all have ended.

    A job that was named is waited for even while the ledger does not know it yet.
    """
    from rich.live import Live

    from cli.jobs import exit_code, named_jobs, recent_jobs
    from cli.stage import open_stage
    from cli.tables import watched_jobs

    opened = open_stage(stage)
    deadline = None if timeout is None else time.monotonic() + timeout
    printed: list[JobRecord] = []
    console = output()
    moves = console.is_terminal and not as_json
    with Live(console=console, auto_refresh=False, transient=not moves) as live:
        while True:
            jobs = named_jobs(opened.ledger, ids) if ids else recent_jobs(opened.ledger)
            if as_json:
                printed = _print_changes(jobs, printed)
            elif moves:
                live.update(watched_jobs(jobs, limit=limit), refresh=True)
            all_known = len(jobs) == len(set(ids or ())) or not ids
            if until_done and all_known and all(found.state.is_terminal for found in jobs):
                break
            if deadline is not None and time.monotonic() >= deadline:
                break
            time.sleep(max(1.0, opened.poll_interval_s))
    if not (as_json or moves):
        show(watched_jobs(jobs, limit=limit))
    raise typer.Exit(exit_code(jobs) if until_done else 0)


def _print_changes(jobs: "Sequence[JobRecord]", before: "list[JobRecord]") -> "list[JobRecord]":
    """One line of JSON for each job that is new or has changed."""
    for found in reversed(jobs):
        if found not in before:
            print_json(plain_record(found))
    return list(jobs)
