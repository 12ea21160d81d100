"""Ends that are not plain: cancelled, out of capacity, half committed, overlapping, left over."""

import json
from typing import Any

import pytest

from contracts.documents import from_json, to_json
from contracts.keys import DETECTIONS_FILE, LEFTOVER_TAG, attempt_prefix
from contracts.messages import AttemptRequest, Completion
from contracts.outcomes import JobState, Outcome, RejectionCode
from contracts.requests import JobCheck
from contracts.results import ResultDocument
from lambdas.common.ledger import JobRecord
from lambdas.dispatch.core import Done, NotYetError
from tests.lambdas.faults import CrashError, CrashOnce
from tests.lambdas.stage import MP4, NAMES, Stage, event

NO_CAPACITY = {"FailureReason": "CapacityError: Unable to provision requested ML compute capacity."}


def cancellation(job: JobRecord) -> str:
    return to_json(
        Completion(
            job.job_id,
            job.attempt,
            Outcome.REJECTED,
            code=RejectionCode.CANCELLED,
            message="An operator cancelled the job.",
        )
    )


def tags(stage: Stage, key: str) -> dict[str, str]:
    found = stage.s3.get_object_tagging(Bucket=NAMES.results_bucket, Key=key)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in found}


def status_of(stage: Stage, job: JobRecord) -> Any:
    name = NAMES.processing_job(job.job_id, job.attempt, job.start)
    return stage.sagemaker.jobs[name]["ProcessingJobStatus"]


def test_a_cancelled_job_is_stopped_told_and_never_begun_again(stage: Stage) -> None:
    running = stage.started()
    job = stage.settle(cancellation(running))
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.CANCELLED)
    assert status_of(stage, running) == "Stopping"
    assert stage.job(job.job_id).published
    stage.write_attempt(running)
    after = stage.settle(stage.ended(running, "Stopped"))
    assert after.state is JobState.REJECTED
    assert stage.results("/result.json") == []


def test_a_job_that_waits_is_cancelled_before_it_is_paid_for(stage: Stage) -> None:
    stage.sagemaker.refusals = ["ResourceLimitExceeded"]
    stage.dispatch(stage.upload())
    (waiting,) = stage.jobs()
    assert stage.settle(cancellation(waiting)).state is JobState.REJECTED
    assert stage.dispatch(to_json(AttemptRequest(waiting.job_id, 1, waits=1))).done is (
        Done.DUPLICATE
    )
    assert stage.sagemaker.jobs == {}


def test_a_cancellation_that_comes_between_a_commit_and_its_record_is_too_late(
    stage: Stage,
) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    with pytest.raises(CrashError):
        stage.settler(s3=CrashOnce(stage.s3, "put_object", after=True)).handle(ended)
    job = stage.settle(cancellation(running))
    assert (job.state, job.code) == (JobState.SUCCEEDED, None)
    assert len(stage.results("/result.json")) == 1


def test_a_lack_of_capacity_costs_a_start_and_no_attempt(stage: Stage) -> None:
    job = stage.started()
    for start in (1, 2, 3, 4, 5):
        assert (job.state, job.attempt, job.start) == (JobState.DISPATCHED, 1, start)
        ended = stage.ended(job, "Failed", **NO_CAPACITY)
        assert stage.settle(ended).start == start + 1
        assert stage.settle(ended).start == start + 1  # the same end again
        waiting = stage.job(job.job_id)
        assert "CapacityError" in (waiting.history[-1].note or "")
        stage.dispatch(to_json(AttemptRequest(job.job_id, 1, start=start + 1)))
        job = stage.job(job.job_id)
    assert len(stage.sagemaker.jobs) == 6
    stage.write_attempt(job)
    done = stage.settle(stage.ended(job))
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)


def test_a_start_is_waited_for_that_the_ledger_does_not_know_yet(stage: Stage) -> None:
    job = stage.started()
    with pytest.raises(NotYetError):
        stage.dispatch(to_json(AttemptRequest(job.job_id, 1, start=2)))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("client", "operation"), [("sqs", "send_message"), ("dynamodb", "update_item")]
)
def test_a_crash_while_a_start_is_given_up_leaves_one_next_start(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    job = stage.started()
    ended = stage.ended(job, "Failed", **NO_CAPACITY)
    crashing = CrashOnce(getattr(stage, client), operation, after=after)
    with pytest.raises(CrashError):
        stage.settler(**{client: crashing}).handle(ended)
    stage.settle(ended)
    again = stage.job(job.job_id)
    assert (again.state, again.attempt, again.start) == (JobState.RECEIVED, 1, 2)
    for _ in range(2):
        stage.dispatch(to_json(AttemptRequest(job.job_id, 1, start=2)))
    assert len(stage.sagemaker.jobs) == 2


@pytest.mark.parametrize(
    ("client", "operation"),
    [
        ("dynamodb", "update_item"),  # bound, not committed
        ("s3", "put_object"),  # committed, not recorded
    ],
)
def test_a_commit_whose_writer_died_is_found_and_finished(
    stage: Stage, client: str, operation: str
) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    crashing = CrashOnce(getattr(stage, client), operation, after=True)
    with pytest.raises(CrashError):
        stage.settler(**{client: crashing}).handle(ended)
    assert stage.job(running.job_id).committing == 1
    job = stage.settle(to_json(JobCheck(running.job_id)))
    assert (job.state, job.attempt, job.committing) == (JobState.SUCCEEDED, 1, None)
    assert len(stage.results("/result.json")) == 1


def test_an_attempt_that_was_damaged_before_its_commit_is_made_again(stage: Stage) -> None:
    running = stage.started()
    prefix = stage.write_attempt(running)
    ended = stage.ended(running)
    crashing = CrashOnce(stage.dynamodb, "update_item", after=True)
    with pytest.raises(CrashError):
        stage.settler(dynamodb=crashing).handle(ended)
    stage.put_result(prefix + DETECTIONS_FILE, b"damaged")
    job = stage.settle(ended)
    assert (job.state, job.attempt, job.committing) == (JobState.RECEIVED, 2, None)
    assert stage.results("/result.json") == []


def test_two_whole_attempts_commit_once_and_the_slower_is_stopped(stage: Stage) -> None:
    first = stage.started()
    stopped = stage.ended(first, "Stopped")
    stage.settle(stopped)
    stage.dispatch(to_json(AttemptRequest(first.job_id, 2)))
    second = stage.job(first.job_id)
    stage.write_attempt(first)
    job = stage.settle(stopped)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert status_of(stage, second) == "Stopping"
    assert job.result_key is not None
    assert from_json(ResultDocument, stage.read_result(job.result_key)).attempt == 1


def test_what_attempts_left_is_marked_and_what_is_committed_is_not(stage: Stage) -> None:
    first = stage.started()
    dead = stage.write_attempt(first)
    stage.put_result(dead + DETECTIONS_FILE, b"cut")
    stage.settle(stage.ended(first))
    stage.dispatch(to_json(AttemptRequest(first.job_id, 2)))
    second = stage.job(first.job_id)
    whole = stage.write_attempt(second)
    job = stage.settle(stage.ended(second))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    for name in ("attempt.json", DETECTIONS_FILE):
        assert tags(stage, dead + name) == dict([LEFTOVER_TAG])
        assert tags(stage, whole + name) == {}
    assert job.result_key is not None
    assert tags(stage, job.result_key) == {}


def test_what_a_straggler_leaves_after_the_end_is_marked_too(stage: Stage) -> None:
    running = stage.started()
    stage.settle(cancellation(running))
    prefix = attempt_prefix(running.source.key, running.job_id, 1)
    stage.put_result(prefix + DETECTIONS_FILE, b"late")
    stage.settle(stage.ended(running, "Stopped"))
    assert tags(stage, prefix + DETECTIONS_FILE) == dict([LEFTOVER_TAG])


def test_a_redriven_job_has_a_budget_of_its_own_and_is_told_of_again(stage: Stage) -> None:
    job = stage.started()
    for attempt in range(1, 7):
        assert job.attempt == attempt
        job = stage.settle(stage.ended(job, "Failed", FailureReason="No luck"))
        if attempt == 3:
            assert job.state is JobState.FAILED
            assert stage.ledger().redrive(job.job_id, 3, note="An operator redrove the job.")
            job = stage.job(job.job_id)
        if attempt < 6:
            assert job.state is JobState.RECEIVED
            stage.dispatch(to_json(AttemptRequest(job.job_id, attempt + 1)))
            job = stage.job(job.job_id)
    assert (job.state, job.attempt) == (JobState.FAILED, 6)
    assert len(stage.messages("outcomes")) == 2


def test_an_end_of_before_a_redrive_decides_nothing(stage: Stage) -> None:
    job = stage.started()
    ends = []
    for attempt in (1, 2, 3):
        ends.append(stage.ended(job, "Failed"))
        job = stage.settle(ends[-1])
        if attempt < 3:
            stage.dispatch(to_json(AttemptRequest(job.job_id, attempt + 1)))
            job = stage.job(job.job_id)
    stage.ledger().redrive(job.job_id, 3, note="An operator redrove the job.")
    before = stage.job(job.job_id)
    for end in ends:
        assert stage.settle(end) == before


def test_a_lost_refusal_of_before_is_not_heard_after_the_bytes_came_back(stage: Stage) -> None:
    """Without versions, the same bytes under the same key are the same job."""
    stage.s3.put_bucket_versioning(
        Bucket=NAMES.uploads_bucket, VersioningConfiguration={"Status": "Suspended"}
    )

    def upload(body: bytes, sequencer: str) -> str:
        put = stage.s3.put_object(Bucket=NAMES.uploads_bucket, Key="v.mp4", Body=body)
        created = event("object_created")
        created["detail"]["object"] = {
            "key": "v.mp4",
            "size": len(body),
            "etag": put["ETag"].strip('"'),
            "sequencer": sequencer,
        }
        return json.dumps(created)

    first, second = upload(MP4, "00A"), upload(MP4 + b"other", "00B")
    assert stage.dispatch(first).done is Done.REFUSED
    (refusal,) = stage.messages(NAMES.completions_queue)
    job = stage.settle(json.dumps(refusal))
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.SOURCE_REPLACED)
    assert stage.dispatch(second).done is Done.STARTED

    third = upload(MP4, "00C")
    assert stage.dispatch(first).done is Done.DUPLICATE  # the old event, late
    assert stage.dispatch(third).done is Done.STARTED
    assert stage.dispatch(third).done is Done.DUPLICATE
    again = stage.settle(json.dumps(refusal))  # the old refusal, late
    assert (again.state, again.attempt, again.code) == (JobState.DISPATCHED, 2, None)


def test_nothing_is_started_for_an_attempt_that_is_being_committed(stage: Stage) -> None:
    running = stage.started()
    stage.ledger().retry(running.job_id, 1, code="job_failed", message="It was only slow.")
    assert stage.ledger().claim(running.job_id, 1)
    step = stage.dispatch(to_json(AttemptRequest(running.job_id, 2)))
    assert step.done is Done.DUPLICATE
    assert list(stage.sagemaker.jobs) == [NAMES.processing_job(running.job_id, 1)]
    assert {"schema": JobCheck.SCHEMA, "job_id": running.job_id} in stage.messages(
        NAMES.completions_queue
    )
