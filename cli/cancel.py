"""`framewright cancel`: end jobs that have not ended."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import Exit
from cli.options import JOB_NAME_HELP, Json, Stage
from cli.output import messages, plain_record, print_json, program, shown_age, shown_id
from contracts.messages import Completion
from contracts.outcomes import JobState, Outcome, RejectionCode

if TYPE_CHECKING:
    from cli.stage import Stage as OpenStage
    from lambdas.common.ledger import JobRecord

JobNames = Annotated[list[str], typer.Argument(metavar="JOB...", help=JOB_NAME_HELP)]
TimeLimit = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to wait for the ledger."),
]
_MESSAGE = "An operator cancelled the job."


def cancel(
    jobs: JobNames, stage: Stage = "local", timeout: TimeLimit = 60, as_json: Json = False
) -> None:
    """
    End jobs as REJECTED with the code `cancelled`, and stop what runs for them.

    A job that has ended cannot be cancelled; one whose result is being committed succeeds.
    """
    from cli.console import plain
    from cli.jobs import find_job
    from cli.stage import open_stage

    opened = open_stage(stage)
    found = [find_job(opened.ledger, text) for text in jobs]
    before = list({job.job_id: job for job in found}.values())
    running = [job for job in before if not job.state.is_terminal]
    completions = opened.queue(opened.names.completions_queue)
    for job in running:
        completions.send(
            Completion(
                job.job_id,
                job.attempt,
                Outcome.REJECTED,
                code=RejectionCode.CANCELLED,
                message=_MESSAGE,
            )
        )
    with messages().status("Waiting for the ledger"):
        after = _wait(opened, running, time_limit_s=timeout)
    now = {job.job_id: job for job in after}
    if as_json:
        print_json([plain_record(now.get(job.job_id, job)) for job in before])
    else:
        for job in before:
            what = _what_happened(job, now.get(job.job_id))
            typer.echo(f"{shown_id(job.job_id)}  {plain(job.source.key)}: {what}")
    if any(not job.state.is_terminal for job in after):
        look = f"{program()} status{opened.option}"
        typer.echo(f"Look with `{look}` whether settle is at work.", err=True)
        raise typer.Exit(Exit.UNFINISHED)
    if len(after) < len(before) or not all(_is_cancelled(job) for job in after):
        raise typer.Exit(Exit.USAGE)


def _wait(
    stage: "OpenStage", jobs: "Sequence[JobRecord]", *, time_limit_s: float
) -> "list[JobRecord]":
    """The jobs once all have ended and that was told, or when time is up."""
    from cli.jobs import named_jobs

    deadline = time.monotonic() + time_limit_s
    while True:
        now = named_jobs(stage.ledger, [job.job_id for job in jobs])
        if all(job.published for job in now) or time.monotonic() >= deadline:
            return now
        time.sleep(stage.poll_interval_s)


def _is_cancelled(job: "JobRecord") -> bool:
    return job.state is JobState.REJECTED and job.code == RejectionCode.CANCELLED


def _what_happened(before: "JobRecord", now: "JobRecord | None") -> str:
    if now is None:
        return f"not cancelled: it is {before.state} already, for {shown_age(before.updated_at)}."
    if not now.state.is_terminal:
        return f"asked for, but the ledger still says {now.state}; it will be heard."
    if not _is_cancelled(now):
        return f"not cancelled: it ended {now.state} first."
    if not now.published:
        return "cancelled, but what runs for it may not have been stopped yet."
    if before.state is JobState.DISPATCHED:
        return f"cancelled; SageMaker was told to stop {before.backend_ref}."
    return "cancelled before it was started."
