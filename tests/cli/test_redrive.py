"""Dead letters and failed jobs go back to work, and nothing is lost on the way."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cli.dead_letters import DeadLetters, dead_letter_queues
from cli.stage import Stage
from contracts.documents import to_json
from contracts.messages import AttemptRequest
from contracts.outcomes import JobState
from contracts.requests import JobCheck, ReprocessRequest
from lambdas.common.record import ledger_time
from tests.cli.commands import Commands, bodies, failed_job, known_job, put, received_job
from tests.cli.conftest import REGION
from tests.e2e.stage import object_created

REDRIVE = ("redrive", "--stage", "dev")


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.dead_letters.POLL_S", 0)
    monkeypatch.setattr("cli.redriving.HEAD_START_S", 0)


@pytest.fixture
def uploads_dlq(stage: Stage) -> str:
    return stage.names.dead_letter_queue(stage.names.uploads_queue)


@pytest.fixture
def completions_dlq(stage: Stage) -> str:
    return stage.names.dead_letter_queue(stage.names.completions_queue)


def test_dead_letters_go_back_word_for_word_to_the_queues_they_came_from(
    stage: Stage, commands: Commands, uploads_dlq: str, completions_dlq: str
) -> None:
    uploads = [f'{{"number": {number}, "text": "ü+%"}}' for number in range(23)]
    for body in uploads:
        put(stage, uploads_dlq, body)
    put(stage, completions_dlq, to_json(JobCheck("0" * 32)))

    done = commands(*REDRIVE, "--json")

    assert len(done.json["letters"]) == 24
    assert sorted(bodies(stage, stage.names.uploads_queue)) == sorted(uploads)
    assert bodies(stage, stage.names.completions_queue) == [to_json(JobCheck("0" * 32))]
    assert bodies(stage, uploads_dlq) == bodies(stage, completions_dlq) == []


def test_one_queue_may_be_chosen(
    stage: Stage, commands: Commands, uploads_dlq: str, completions_dlq: str
) -> None:
    for queue in (uploads_dlq, completions_dlq):
        put(stage, queue, "{}")

    commands(*REDRIVE, "--queue", "completions")

    assert bodies(stage, uploads_dlq) == ["{}"]
    assert bodies(stage, completions_dlq) == []


def test_a_dry_run_tells_the_same_changes_nothing_and_hides_nothing(
    stage: Stage, commands: Commands, uploads_dlq: str
) -> None:
    job = failed_job(stage)
    for number in range(12):
        put(stage, uploads_dlq, f'{{"number": {number}}}')

    done = commands(*REDRIVE, "--failed-since", "1h", "--dry-run", "--json")

    assert len(bodies(stage, uploads_dlq)) == len(done.json["letters"]) == 12
    assert [it["job_id"] for it in done.json["jobs"]] == [job.job_id]
    assert bodies(stage, stage.names.uploads_queue) == []
    assert known_job(stage, job) == job


def test_letters_that_show_again_before_all_were_seen_are_counted_once(
    stage: Stage, commands: Commands, uploads_dlq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.dead_letters.HIDDEN_S", 0)
    for number in range(3):
        put(stage, uploads_dlq, f'{{"number": {number}}}')

    done = commands(*REDRIVE, "--dry-run", "--json")

    assert len(done.json["letters"]) == 3


def test_runs_of_reconcile_are_dropped_for_the_next_does_their_work(
    stage: Stage, commands: Commands
) -> None:
    died = {
        "requestContext": {"requestId": "r-1"},
        "responsePayload": {"errorType": "KeyError", "errorMessage": "'x'"},
    }
    put(stage, stage.names.reconcile_dead_letters, json.dumps(died))

    done = commands(*REDRIVE)

    assert "the next run does its work" in done.output
    assert "KeyError: 'x'" in done.output
    assert bodies(stage, stage.names.reconcile_dead_letters) == []


def test_a_failed_job_gets_the_next_attempt_and_a_new_budget(
    stage: Stage, commands: Commands
) -> None:
    job = failed_job(stage)

    done = commands(*REDRIVE, "--job", job.job_id[:12])

    again = known_job(stage, job)
    assert (again.state, again.attempt, again.first_attempt) == (JobState.RECEIVED, 2, 2)
    assert bodies(stage, stage.names.uploads_queue) == [to_json(AttemptRequest(job.job_id, 2))]
    assert "job_failed: No such bucket." in done.output


def test_of_a_named_job_the_dead_letters_move_and_no_others(
    stage: Stage, commands: Commands, uploads_dlq: str, completions_dlq: str
) -> None:
    job, other = received_job(stage, "a.mp4"), received_job(stage, "b.mp4")
    ended = {"detail": {"ProcessingJobName": f"fw-dev-{job.job_id}-a1"}}
    mine = [
        json.dumps(object_created(job.source)),
        to_json(ReprocessRequest(job.source)),
        to_json(AttemptRequest(job.job_id, 1)),
    ]
    others = [json.dumps(object_created(other.source)), to_json(JobCheck(other.job_id)), "nonsense"]
    for body in mine + others:
        put(stage, uploads_dlq, body)
    put(stage, completions_dlq, json.dumps(ended))

    done = commands(*REDRIVE, "--job", "a.mp4")

    assert done.exit_code == 0
    assert sorted(bodies(stage, stage.names.uploads_queue)) == sorted(mine)
    assert bodies(stage, stage.names.completions_queue) == [json.dumps(ended)]
    assert sorted(bodies(stage, uploads_dlq)) == sorted(others)


def test_a_job_that_there_is_nothing_to_redrive_of_is_said_so(
    stage: Stage, commands: Commands
) -> None:
    job = received_job(stage)

    done = commands(*REDRIVE, "--job", job.job_id)

    assert done.exit_code == 69
    assert "is RECEIVED" in done.errors
    assert bodies(stage, stage.names.uploads_queue) == []


def test_failed_jobs_are_redriven_by_their_age(stage: Stage, commands: Commands) -> None:
    fresh, old = failed_job(stage, "fresh.mp4"), failed_job(stage, "old.mp4")
    _date(stage, old.job_id, datetime.now(UTC) - timedelta(days=2))

    commands(*REDRIVE, "--failed-since", "1d")

    assert known_job(stage, fresh).state is JobState.RECEIVED
    assert known_job(stage, old).state is JobState.FAILED


def test_without_being_asked_to_failed_jobs_stay_as_they_are(
    stage: Stage, commands: Commands
) -> None:
    job = failed_job(stage)

    done = commands(*REDRIVE)

    assert "no dead letters" in done.output
    assert known_job(stage, job) == job


def test_many_failed_jobs_are_not_redriven_unasked(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.redrive.MAX_UNASKED", 1)
    jobs = [failed_job(stage, f"{number}.mp4") for number in range(2)]

    refused = commands(*REDRIVE, "--failed-since", "1h")

    assert refused.exit_code == 64
    assert "2 failed jobs" in refused.errors
    assert bodies(stage, stage.names.uploads_queue) == []
    commands(*REDRIVE, "--failed-since", "1h", "--yes")
    assert {known_job(stage, job).state for job in jobs} == {JobState.RECEIVED}


@pytest.mark.parametrize("age", ["yesterday", "0h", "6", "-1h", "999999d"])
def test_what_is_no_age_is_refused(stage: Stage, commands: Commands, age: str) -> None:
    assert commands(*REDRIVE, f"--failed-since={age}").exit_code == 64


def test_why_a_letter_died_is_read_from_the_log_or_told_by_who_could_not_deliver_it(
    stage: Stage, commands: Commands, uploads_dlq: str
) -> None:
    received = put(stage, uploads_dlq, "{}")
    put(stage, uploads_dlq, "{}", ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="kms:Decrypt")
    put(stage, uploads_dlq, "{}")
    _log(
        stage,
        "dispatch",
        {
            "message": "message failed and will come again",
            "message_id": received,
            "exception": "Traceback\n  File x\nValueError: the ledger has no job",
        },
    )

    why = [it["why"] for it in commands(*REDRIVE, "--json").json["letters"]]

    assert sorted(why, key=str) == [
        "NO_PERMISSIONS: kms:Decrypt",
        None,
        "ValueError: the ledger has no job",
    ]


def test_letters_of_one_cause_are_one_line(
    stage: Stage, commands: Commands, uploads_dlq: str
) -> None:
    for number in range(5):
        body = to_json(JobCheck(f"{number:032}"))
        put(stage, uploads_dlq, body, ERROR_MESSAGE="Denied.")

    lines = commands(*REDRIVE, "--dry-run").output.splitlines()

    (line,) = [it for it in lines if "Denied." in it]
    assert line.startswith("    5")
    assert "and 2 more" in line


def test_what_is_interrupted_before_deleting_is_there_twice_and_never_lost(
    stage: Stage, uploads_dlq: str
) -> None:
    put(stage, uploads_dlq, "{}")
    stage.sqs.meta.events.register("before-call.sqs.DeleteMessage", _die)
    dead_letters = DeadLetters(sqs=stage.sqs, account=stage.names.account)
    queue = dead_letter_queues(stage.names)["uploads"]

    with pytest.raises(ClientError):
        list(map(dead_letters.move, dead_letters.each(queue)))

    assert bodies(stage, stage.names.uploads_queue) == ["{}"]
    assert bodies(stage, uploads_dlq) == ["{}"]


def _die(**_: Any) -> None:
    raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "DeleteMessage")


def _date(stage: Stage, job_id: str, when: datetime) -> None:
    boto3.client("dynamodb", region_name=REGION).update_item(
        TableName=stage.names.jobs_table,
        Key={"job_id": {"S": job_id}},
        UpdateExpression="SET updated_at = :when",
        ExpressionAttributeValues={":when": {"S": ledger_time(when)}},
    )


def _log(stage: Stage, role: str, line: dict[str, str]) -> None:
    logs, group = boto3.client("logs", REGION), f"/aws/lambda/{stage.names.function(role)}"
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = int(datetime.now(UTC).timestamp() * 1000)
    events: Any = [{"timestamp": now, "message": json.dumps(line)}]
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)
