"""What was lost is found: jobs that stand still, outcomes untold, uploads nobody told of."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.documents import from_dict, from_json, to_json
from contracts.messages import AttemptRequest, Source
from contracts.outcomes import JobState, RetryCode
from contracts.requests import JobCheck, ReprocessRequest
from lambdas.common.queues import Queue
from lambdas.reconcile.core import Found
from tests.lambdas.faults import CrashError, CrashOnce
from tests.lambdas.stage import ACCOUNT, MP4, NAMES, RECONCILE, Stage

LATER = timedelta(hours=1)


def reconcile(stage: Stage, after: timedelta = LATER) -> Found:
    return stage.reconciler(after=after).run(lambda: True)


def test_what_is_young_is_left_alone(stage: Stage) -> None:
    stage.started()
    found = reconcile(stage, timedelta(0))
    assert (found.received, found.dispatched, found.untold, found.swept.lost) == (0, 0, 0, 0)
    assert stage.messages(NAMES.uploads_queue) == stage.messages(NAMES.completions_queue) == []


def test_a_received_job_whose_message_was_lost_is_started(stage: Stage) -> None:
    crashing = CrashOnce(stage.sagemaker, "create_processing_job", after=False)
    with pytest.raises(CrashError):
        stage.dispatcher(sagemaker=crashing).handle(stage.upload())
    assert reconcile(stage).received == 1
    (job,) = stage.jobs()
    assert "dispatch was asked for the attempt again" in (job.checked or "")
    (message,) = stage.messages(NAMES.uploads_queue)
    assert from_dict(AttemptRequest, message) == AttemptRequest(job.job_id, 1)
    stage.dispatch(json.dumps(message))
    assert stage.job(job.job_id).state is JobState.DISPATCHED


def test_a_refusal_that_was_lost_is_refused_again_and_not_started(stage: Stage) -> None:
    stage.dispatch(stage.upload(metadata={"framewright-model": "builtin:cats"}))
    stage.messages(NAMES.completions_queue)
    reconcile(stage)
    (message,) = stage.messages(NAMES.uploads_queue)
    stage.dispatch(json.dumps(message))
    (refusal,) = stage.messages(NAMES.completions_queue)
    job = stage.settle(json.dumps(refusal))
    assert (job.state, job.code) == (JobState.REJECTED, "bad_request")
    assert stage.sagemaker.jobs == {}


def test_an_end_that_was_lost_is_settled(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    stage.ended(running)
    assert reconcile(stage).dispatched == 1
    (message,) = stage.messages(NAMES.completions_queue)
    assert from_dict(JobCheck, message) == JobCheck(running.job_id)
    assert stage.settle(json.dumps(message)).state is JobState.SUCCEEDED


def test_an_attempt_that_still_runs_is_left_with_a_note_and_looked_at_again_later(
    stage: Stage,
) -> None:
    running = stage.started()
    reconcile(stage)
    job = stage.settle(to_json(JobCheck(running.job_id)))
    assert (job.state, job.attempt) == (JobState.DISPATCHED, 1)
    assert job.checked == f"{job.backend_ref} still runs."
    assert len(job.history) == 2
    assert reconcile(stage, timedelta(0)).dispatched == 0
    assert reconcile(stage, LATER).dispatched == 1


def test_an_attempt_that_the_backend_knows_nothing_of_is_made_again(stage: Stage) -> None:
    running = stage.started()
    stage.sagemaker.jobs.clear()
    job = stage.settle(to_json(JobCheck(running.job_id)))
    assert (job.state, job.attempt, job.code) == (JobState.RECEIVED, 2, RetryCode.JOB_LOST)


def test_an_outcome_that_nobody_heard_is_told(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    with pytest.raises(CrashError):
        stage.settler(sns=CrashOnce(stage.sns, "publish", after=False)).handle(ended)
    assert reconcile(stage).untold == 1
    (message,) = stage.messages(NAMES.completions_queue)
    assert stage.settle(json.dumps(message)).state is JobState.SUCCEEDED
    assert stage.job(running.job_id).published
    assert len(stage.messages("outcomes")) == 1
    assert reconcile(stage).untold == 0


def test_an_upload_that_nobody_told_of_becomes_a_job(stage: Stage) -> None:
    known = stage.started("known.mp4")
    event = json.loads(stage.upload("lost.mp4", metadata={"framewright-select": "key_frames"}))
    stage.upload("notes.txt", b"hello")
    assert reconcile(stage).swept.lost == 1
    (message,) = [
        m for m in stage.messages(NAMES.uploads_queue) if m["schema"] == ReprocessRequest.SCHEMA
    ]
    stage.dispatch(json.dumps(message))
    (job,) = [job for job in stage.jobs() if job.job_id != known.job_id]
    assert job.source.version_id == event["detail"]["object"]["version-id"]
    assert (job.source.key, str(job.selection)) == ("lost.mp4", "key_frames")
    assert reconcile(stage).swept.lost == 0


def test_an_upload_found_and_its_late_event_are_one_job(stage: Stage) -> None:
    created = stage.upload()
    reconcile(stage)
    (message,) = stage.messages(NAMES.uploads_queue)
    for body in (json.dumps(message), created, json.dumps(message)):
        stage.dispatch(body)
    assert len(stage.jobs()) == len(stage.sagemaker.jobs) == 1


def test_a_key_may_hold_characters_that_a_queue_does_not_take(stage: Stage) -> None:
    source = Source(NAMES.uploads_bucket, "a\uffff\ufffe.mp4", "etag", 1, "v1")
    Queue(sqs=stage.sqs, name=NAMES.uploads_queue, account=ACCOUNT).send(ReprocessRequest(source))
    (message,) = stage.sqs.receive_message(QueueUrl=stage.urls[NAMES.uploads_queue])["Messages"]
    assert message["Body"].isascii()
    assert from_json(ReprocessRequest, message["Body"]).source == source


@pytest.mark.parametrize("age", [timedelta(minutes=4), timedelta(days=15)])
def test_uploads_that_are_too_young_or_too_old_are_not_looked_for(
    stage: Stage, age: timedelta
) -> None:
    stage.upload()
    assert reconcile(stage, age).swept.lost == 0


def test_a_sweep_goes_on_where_the_last_one_stopped_and_begins_anew(stage: Stage) -> None:
    for number in range(5):
        stage.upload(f"{number}.mp4", MP4)
    few = replace(RECONCILE, max_versions=2)
    sizes = [
        stage.reconciler(after=LATER, settings=few).run(lambda: True).swept.listed for _ in range(4)
    ]
    assert sizes == [2, 2, 1, 2]
    keys = [message["source"]["key"] for message in stage.messages(NAMES.uploads_queue)]
    assert sorted(keys) == sorted(f"{number}.mp4" for number in (0, 1, 2, 3, 4, 0, 1))


def test_a_run_ends_in_time_and_says_so(stage: Stage) -> None:
    for number in range(3):
        stage.started(f"{number}.mp4")
    steps = iter([True, True])
    found = stage.reconciler(after=LATER).run(lambda: next(steps, False))
    assert (found.dispatched, found.out_of_time) == (2, True)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("client", "operation"),
    [("sqs", "send_message"), ("dynamodb", "update_item"), ("dynamodb", "put_item")],
)
def test_a_run_that_dies_half_way_is_made_good_by_the_next(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    running = stage.started()
    stage.write_attempt(running)
    stage.ended(running)
    stage.upload("lost.mp4")
    dying: dict[str, Any] = {client: CrashOnce(getattr(stage, client), operation, after=after)}
    with pytest.raises(CrashError):
        stage.reconciler(after=LATER, **dying).run(lambda: True)
    reconcile(stage, 2 * LATER)
    for queue, handle in (
        (NAMES.uploads_queue, stage.dispatch),
        (NAMES.completions_queue, stage.settle),
    ):
        for message in stage.messages(queue):
            handle(json.dumps(message))
    states = {job.source.key: job.state for job in stage.jobs()}
    assert states == {"street.mp4": JobState.SUCCEEDED, "lost.mp4": JobState.DISPATCHED}
