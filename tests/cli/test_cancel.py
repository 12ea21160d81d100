"""What is cancelled ends; what has ended stays as it is."""

from collections.abc import Callable

import pytest

from cli.stage import Stage
from contracts.documents import from_json
from contracts.messages import Completion
from contracts.outcomes import JobState, Outcome, RejectionCode
from lambdas.common.ledger import JobRecord
from tests.cli.commands import Commands, bodies, known_job, received_job

CANCEL = ("cancel", "--stage", "dev", "--timeout", "5")
Settle = Callable[[Callable[[Stage, JobRecord], object]], None]


@pytest.fixture
def settle(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Lets something happen to each job whose cancellation is waited for."""

    def happen(what: Callable[[Stage, JobRecord], object]) -> None:
        def poll(_seconds: float) -> None:
            for body in bodies(stage, stage.names.completions_queue):
                told = from_json(Completion, body)
                assert (told.outcome, told.code) == (Outcome.REJECTED, RejectionCode.CANCELLED)
                job = stage.ledger.get(told.job_id)
                assert job is not None
                what(stage, job)
                stage.ledger.mark_published(known_job(stage, job))

        monkeypatch.setattr("cli.cancel.time.sleep", poll)

    return happen


def _reject(stage: Stage, job: JobRecord) -> None:
    stage.ledger.reject(job.job_id, job.attempt, code=RejectionCode.CANCELLED, message="So.")


def test_a_running_job_ends_and_what_runs_for_it_is_named(
    stage: Stage, commands: Commands, settle: Settle
) -> None:
    job = received_job(stage)
    stage.ledger.dispatched(job.job_id, 1, route="processing", reason="Only.", backend_ref="fw-1")
    settle(_reject)

    done = commands(*CANCEL, "street.mp4")

    assert done.exit_code == 0
    assert "SageMaker was told to stop fw-1" in done.output
    assert known_job(stage, job).code == RejectionCode.CANCELLED


def test_a_job_that_nobody_began_ends_too(stage: Stage, commands: Commands, settle: Settle) -> None:
    received_job(stage)
    settle(_reject)

    assert "cancelled before it was started" in commands(*CANCEL, "street.mp4").output


def test_a_job_that_has_ended_is_refused_and_the_others_are_cancelled(
    stage: Stage, commands: Commands, settle: Settle
) -> None:
    ended, other = received_job(stage, "a.mp4"), received_job(stage, "b.mp4")
    stage.ledger.succeed(ended.job_id, 1, result_key="r")
    settle(_reject)

    done = commands(*CANCEL, "a.mp4", "b.mp4")

    assert done.exit_code == 64
    assert "not cancelled: it is SUCCEEDED already" in done.output
    assert known_job(stage, ended).state is JobState.SUCCEEDED
    assert known_job(stage, other).state is JobState.REJECTED


def test_a_job_that_succeeds_meanwhile_is_said_to_have(
    stage: Stage, commands: Commands, settle: Settle
) -> None:
    received_job(stage)
    settle(lambda stage, job: stage.ledger.succeed(job.job_id, 1, result_key="r"))

    done = commands(*CANCEL, "street.mp4")

    assert done.exit_code == 64
    assert "not cancelled: it ended SUCCEEDED first" in done.output


def test_where_settle_rests_the_wish_waits_in_its_queue(stage: Stage, commands: Commands) -> None:
    received_job(stage)

    done = commands("cancel", "street.mp4", "--stage", "dev", "--timeout", "0")

    assert done.exit_code == 75
    assert "the ledger still says RECEIVED" in done.output
    assert len(bodies(stage, stage.names.completions_queue)) == 1


def test_a_job_named_twice_is_cancelled_once(
    stage: Stage, commands: Commands, settle: Settle
) -> None:
    job = received_job(stage)
    settle(_reject)

    done = commands(*CANCEL, job.job_id, "street.mp4", "--json")

    assert [(it["state"], it["code"]) for it in done.json] == [("REJECTED", "cancelled")]
