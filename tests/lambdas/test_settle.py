"""From the end of an attempt to a committed result, another attempt, or a final answer."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.documents import from_dict, from_json, to_json
from contracts.keys import ATTEMPT_DOCUMENT, DETECTIONS_FILE, attempt_prefix, result_key
from contracts.messages import (
    METADATA_SELECT,
    METADATA_SHA256,
    AttemptRequest,
    Completion,
    JobOutcome,
    Model,
)
from contracts.outcomes import JobState, Outcome, RejectionCode, RetryCode
from contracts.results import AttemptDocument, Engine, ResultDocument
from contracts.selection import Selection
from lambdas.common.ledger import JobRecord
from lambdas.settle.commit import MAX_DOCUMENT_BYTES
from lambdas.settle.core import NotEndedError
from tests.lambdas.faults import CrashError, CrashOnce
from tests.lambdas.stage import DETECTIONS, MP4, NAMES, Stage, attempt_document

OVER = {"StoppingCondition": {"MaxRuntimeInSeconds": 3600}}


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def next_attempt(stage: Stage, job: JobRecord) -> JobRecord:
    """Start the attempt that settle asked for."""
    current = stage.job(job.job_id)
    stage.dispatch(to_json(AttemptRequest(job.job_id, current.attempt)))
    return stage.job(job.job_id)


def told(stage: Stage) -> list[dict[str, Any]]:
    """What the outcomes topic told, with its attributes."""
    return stage.messages("outcomes")


def test_a_whole_attempt_is_committed_and_told(stage: Stage) -> None:
    running = stage.started()
    prefix = stage.write_attempt(running)
    job = stage.settle(stage.ended(running))

    assert (job.state, job.attempt, job.code) == (JobState.SUCCEEDED, 1, None)
    assert job.result_key == result_key("street.mp4", job.job_id)
    result = from_json(ResultDocument, stage.read_result(job.result_key))
    assert (result.job_id, result.source, result.model) == (job.job_id, job.source, job.model)
    assert (result.bucket, result.prefix) == (NAMES.results_bucket, prefix)
    (file,) = result.files
    assert stage.read_result(result.prefix + file.name) == DETECTIONS

    (message,) = told(stage)
    outcome = from_json(JobOutcome, message["Message"])
    assert (outcome.job_id, outcome.state) == (job.job_id, JobState.SUCCEEDED)
    assert outcome.result is not None
    assert outcome.result.key == job.result_key
    shown = {name: value["Value"] for name, value in message["MessageAttributes"].items()}
    assert shown == {"state": "SUCCEEDED", "stage": "dev", "model": "builtin:people"}
    assert stage.job(job.job_id).published


def test_the_same_end_twice_is_told_once_and_committed_once(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    stage.settle(ended)
    key = stage.job(running.job_id).result_key
    assert key is not None
    first = stage.read_result(key)
    job = stage.settle(ended)
    assert stage.read_result(key) == first
    assert len(told(stage)) == 1
    assert [t.state for t in job.history].count(JobState.SUCCEEDED) == 1


def test_ten_ends_at_once_commit_one_version(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    errors: list[BaseException] = []

    def deliver() -> None:
        try:
            stage.settle(ended)
        except BaseException as error:  # noqa: BLE001  # shown below
            errors.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    job = stage.job(running.job_id)
    assert [t.state for t in job.history].count(JobState.SUCCEEDED) == 1
    assert job.result_key is not None
    versions = stage.s3.list_object_versions(Bucket=NAMES.results_bucket, Prefix=job.result_key)
    assert len(versions["Versions"]) == 1


@pytest.mark.parametrize(
    ("client", "operation", "after"),
    [
        ("s3", "put_object", False),
        ("s3", "put_object", True),  # between the commit and the ledger
        ("dynamodb", "update_item", False),
        ("dynamodb", "update_item", True),  # between the ledger and the outcome
        ("sns", "publish", False),
        ("sns", "publish", True),  # between the outcome and its note
    ],
)
def test_a_crash_anywhere_is_made_good_by_the_next_delivery(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    crashing = CrashOnce(getattr(stage, client), operation, after=after)
    with pytest.raises(CrashError):
        stage.settler(**{client: crashing}).handle(ended)
    assert stage.settler().handle(ended).ended  # counted by whoever tells of it
    job = stage.job(running.job_id)
    assert (job.state, job.published) == (JobState.SUCCEEDED, True)
    assert [t.state for t in job.history].count(JobState.SUCCEEDED) == 1
    assert len(stage.results("/result.json")) == 1
    assert 1 <= len(told(stage)) <= (2 if (client, after) == ("sns", True) else 1)


@pytest.mark.parametrize(("client", "operation"), [("sqs", "send_message")])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_asking_for_a_retry_loses_no_attempt(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    running = stage.started()
    ended = stage.ended(running, "Failed")
    crashing = CrashOnce(stage.sqs, operation, after=after)
    with pytest.raises(CrashError):
        stage.settler(**{client: crashing}).handle(ended)
    job = stage.settle(ended)
    assert (job.state, job.attempt) == (JobState.RECEIVED, 2)
    assert stage.waiting(NAMES.uploads_queue) == 1 + after


def test_a_models_fault_ends_the_job_at_the_first_attempt(stage: Stage) -> None:
    job = stage.settle(stage.ended(stage.started(), "Failed", FailureReason="exit code: 78"))
    assert (job.state, job.attempt, job.code) == (JobState.FAILED, 1, RetryCode.MODEL_FAULT)


@pytest.mark.parametrize(
    ("status", "more", "code"),
    [
        ("Failed", {"FailureReason": "InternalServerError"}, RetryCode.JOB_FAILED),
        ("Failed", {"ExitMessage": "out of memory"}, RetryCode.OUT_OF_MEMORY),
        ("Failed", {"FailureReason": "exit code: 137"}, RetryCode.OUT_OF_MEMORY),
        ("Failed", {"ExitMessage": "a.mp4: time_limit: it stood still"}, RetryCode.TIME_LIMIT),
        ("Failed", {"ExitMessage": "a.mp4: crashed: signal 11"}, RetryCode.CRASHED),
        ("Failed", {"FailureReason": "exit code: 70"}, RetryCode.CRASHED),
        ("Failed", {}, RetryCode.JOB_FAILED),
        ("Stopped", OVER | {"ProcessingStartTime": an_hour_ago()}, RetryCode.TIME_LIMIT),
        ("Stopped", OVER, RetryCode.JOB_STOPPED),
        ("Completed", {}, RetryCode.ATTEMPT_INCOMPLETE),
    ],
)
def test_an_attempt_that_left_nothing_is_made_again_after_a_while(
    stage: Stage, status: str, more: dict[str, Any], code: RetryCode
) -> None:
    job = stage.settle(stage.ended(stage.started(), status, **more))
    assert (job.state, job.attempt, job.code) == (JobState.RECEIVED, 2, code)
    assert job.message
    assert told(stage) == []
    assert stage.waiting(NAMES.uploads_queue) == 1

    again = next_attempt(stage, job)
    assert (again.state, again.attempt) == (JobState.DISPATCHED, 2)
    assert NAMES.processing_job(job.job_id, 2) in stage.sagemaker.jobs


def test_after_the_last_attempt_the_job_has_failed_and_that_is_told(stage: Stage) -> None:
    job = stage.started()
    for attempt in (1, 2, 3):
        assert (job.state, job.attempt) == (JobState.DISPATCHED, attempt)
        job = stage.settle(stage.ended(job, "Failed", FailureReason="No luck"))
        if attempt < 3:
            job = next_attempt(stage, job)
    assert (job.state, job.attempt, job.code) == (JobState.FAILED, 3, RetryCode.JOB_FAILED)
    (message,) = told(stage)
    assert message["MessageAttributes"]["state"]["Value"] == "FAILED"
    assert message["MessageAttributes"]["code"]["Value"] == "job_failed"
    assert from_json(JobOutcome, message["Message"]).message == "No luck"
    assert len(stage.sagemaker.jobs) == 3


def test_an_earlier_attempt_that_was_only_slow_still_counts(stage: Stage) -> None:
    first = stage.started()
    stopped = stage.ended(first, "Stopped", **OVER)
    second = next_attempt(stage, stage.settle(stopped))
    prefix = stage.write_attempt(first)

    job = stage.settle(stopped)

    assert (job.state, job.attempt, job.code) == (JobState.SUCCEEDED, 1, None)
    assert job.result_key is not None
    assert from_json(ResultDocument, stage.read_result(job.result_key)).prefix == prefix
    # what the second attempt does changes nothing any more
    stage.write_attempt(second)
    assert stage.settle(stage.ended(second)).attempt == 1
    assert len(told(stage)) == 1
    assert from_json(ResultDocument, stage.read_result(job.result_key)).attempt == 1


def test_an_earlier_attempt_that_fails_late_does_not_spend_the_current_one(stage: Stage) -> None:
    failed = stage.ended(stage.started(), "Failed")
    second = next_attempt(stage, stage.settle(failed))
    assert stage.settle(failed) == second
    assert stage.waiting(NAMES.uploads_queue) == 1


def test_a_rejected_video_is_never_retried(stage: Stage) -> None:
    running = stage.started()
    rejection = attempt_document(
        running,
        outcome=Outcome.REJECTED,
        code=RejectionCode.TRUNCATED,
        message="The file ends before its index.",
        video=None,
    )
    prefix = attempt_prefix(running.source.key, running.job_id, 1)
    stage.put_result(prefix + ATTEMPT_DOCUMENT, to_json(rejection).encode())

    job = stage.settle(stage.ended(running))

    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.TRUNCATED)
    assert job.message == "The file ends before its index."
    assert stage.results("/result.json") == []
    assert stage.waiting(NAMES.uploads_queue) == 0
    (message,) = told(stage)
    assert message["MessageAttributes"]["code"]["Value"] == "truncated"


def test_what_a_container_says_fits_the_ledger_whatever_its_length(stage: Stage) -> None:
    running = stage.started()
    rejection = attempt_document(
        running, outcome=Outcome.REJECTED, code="x" * 500_000, message="y" * 500_000, video=None
    )
    prefix = attempt_prefix(running.source.key, running.job_id, 1)
    stage.put_result(prefix + ATTEMPT_DOCUMENT, to_json(rejection).encode())
    stage.settle(stage.ended(running))
    job = stage.job(running.job_id)
    assert (job.state, job.published) == (JobState.REJECTED, True)
    assert len(job.code or "") + len(job.message or "") < 2000


def _longer(stage: Stage, prefix: str) -> None:
    stage.put_result(prefix + DETECTIONS_FILE, DETECTIONS + b"!")


def _altered(stage: Stage, prefix: str) -> None:
    stage.put_result(prefix + DETECTIONS_FILE, DETECTIONS[::-1])


def _missing(stage: Stage, prefix: str) -> None:
    stage.s3.delete_object(Bucket=NAMES.results_bucket, Key=prefix + DETECTIONS_FILE)


def _no_json(stage: Stage, prefix: str) -> None:
    stage.put_result(prefix + ATTEMPT_DOCUMENT, b"{half a docum")


def _half_text(stage: Stage, prefix: str) -> None:
    plain = json.loads(stage.read_result(prefix + ATTEMPT_DOCUMENT))
    plain["warnings"] = [{"code": "x", "message": "\ud800"}]
    stage.put_result(prefix + ATTEMPT_DOCUMENT, json.dumps(plain).encode())


def _too_large(stage: Stage, prefix: str) -> None:
    text = stage.read_result(prefix + ATTEMPT_DOCUMENT)
    stage.put_result(prefix + ATTEMPT_DOCUMENT, text + b" " * MAX_DOCUMENT_BYTES)


@pytest.mark.parametrize("damage", [_longer, _altered, _missing, _no_json, _half_text, _too_large])
def test_a_damaged_attempt_is_not_committed_but_made_again(
    stage: Stage, damage: Callable[[Stage, str], None]
) -> None:
    running = stage.started()
    damage(stage, stage.write_attempt(running))
    job = stage.settle(stage.ended(running))
    assert (job.state, job.attempt) == (JobState.RECEIVED, 2)
    assert job.code == RetryCode.ATTEMPT_INCOMPLETE
    assert stage.results("/result.json") == []


@pytest.mark.parametrize(
    "alter",
    [
        lambda document: replace(document, job_id="f" * 32),
        lambda document: replace(document, attempt=7),
        lambda document: replace(document, source=replace(document.source, version_id="other")),
        lambda document: replace(document, model=Model("builtin:people", "f" * 64)),
        lambda document: replace(document, selection=Selection.parse("key_frames")),
        lambda document: replace(document, video=None),
    ],
)
def test_the_document_of_something_else_is_not_committed(
    stage: Stage, alter: Callable[[AttemptDocument], AttemptDocument]
) -> None:
    running = stage.started()
    stage.write_attempt(running, alter=alter)
    job = stage.settle(stage.ended(running))
    assert (job.state, job.code) == (JobState.RECEIVED, RetryCode.ATTEMPT_INCOMPLETE)
    assert stage.results("/result.json") == []


@pytest.mark.parametrize("left", ["a whole attempt", "nothing"])
def test_a_source_replaced_before_the_job_ended_is_no_result(stage: Stage, left: str) -> None:
    running = stage.started()
    stage.upload("street.mp4", MP4 + b"other")
    if left == "a whole attempt":
        stage.write_attempt(running)
    job = stage.settle(stage.ended(running, LastModifiedTime=None))
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.SOURCE_REPLACED)
    assert stage.results("/result.json") == []


def test_the_same_bytes_uploaded_again_do_not_matter(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    stage.upload("street.mp4", MP4, {METADATA_SELECT: "key_frames"})
    assert stage.settle(stage.ended(running)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("digest", "state"), [("one", JobState.SUCCEEDED), ("another", JobState.REJECTED)]
)
def test_where_etags_say_nothing_the_senders_digest_does(
    stage: Stage, digest: str, state: JobState
) -> None:
    running = stage.started(metadata={METADATA_SHA256: "one"})
    stage.write_attempt(running)
    # Other bytes give the other ETag that the same bytes have under a customer-managed key.
    stage.upload("street.mp4", MP4[::-1], {METADATA_SHA256: digest})
    assert stage.settle(stage.ended(running)).state is state


def test_a_source_replaced_after_the_job_ended_does_not_matter(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = stage.started()
    stage.write_attempt(running)
    ended = stage.ended(running)
    name = NAMES.processing_job(running.job_id, 1)
    end = stage.sagemaker.jobs[name]["ProcessingEndTime"]
    stage.sagemaker.jobs[name]["ProcessingEndTime"] = end.replace(year=end.year - 1)
    stage.upload("street.mp4", MP4 + b"other")
    assert stage.settle(ended).state is JobState.SUCCEEDED


def test_a_delete_marker_does_not_undo_what_was_read(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    stage.s3.delete_object(Bucket=NAMES.uploads_bucket, Key="street.mp4")
    assert stage.settle(stage.ended(running)).state is JobState.SUCCEEDED


def test_another_key_that_begins_the_same_is_no_newer_version(stage: Stage) -> None:
    running = stage.started()
    stage.write_attempt(running)
    version = running.source.version_id or ""
    stage.s3.delete_object(Bucket=NAMES.uploads_bucket, Key="street.mp4", VersionId=version)
    stage.upload("street.mp4.mp4")
    assert stage.settle(stage.ended(running)).state is JobState.SUCCEEDED


def test_a_source_that_was_deleted_before_it_was_read_is_not_retried_in_vain(
    stage: Stage,
) -> None:
    running = stage.started()
    stage.s3.delete_object(Bucket=NAMES.uploads_bucket, Key="street.mp4")
    job = stage.settle(stage.ended(running, "Failed", FailureReason="No S3 objects found"))
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.SOURCE_MISSING)


def test_a_job_that_still_runs_is_settled_later(stage: Stage) -> None:
    running = stage.started()
    ended = stage.ended(running)
    stage.sagemaker.end(NAMES.processing_job(running.job_id, 1), "InProgress")
    with pytest.raises(NotEndedError, match="has not ended"):
        stage.settle(ended)
    assert stage.job(running.job_id) == running


def test_an_attempt_that_ended_before_its_start_was_recorded_is_settled(stage: Stage) -> None:
    created = stage.upload()
    crashing = CrashOnce(stage.dynamodb, "update_item", after=False)
    with pytest.raises(CrashError):
        stage.dispatcher(dynamodb=crashing).handle(created)
    (received,) = stage.jobs()
    assert received.state is JobState.RECEIVED
    stage.write_attempt(received)
    assert stage.settle(stage.ended(received)).state is JobState.SUCCEEDED
    stage.dispatch(created)
    assert stage.job(received.job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "not a completion"),
        (to_json(Completion("0" * 32, 1, Outcome.SUCCEEDED)), "success is for settle"),
        ('{"detail-type": "Something Else"}', "not a completion"),
        (
            '{"detail-type": "SageMaker Processing Job State Change",'
            ' "detail": {"ProcessingJobName": "other"}}',
            "not a processing job of Framewright: 'other'",
        ),
        (
            '{"detail-type": "SageMaker Processing Job State Change",'
            f' "detail": {{"ProcessingJobName": "fw-prod-{"0" * 32}-a1"}}}}',
            "is of another stage than dev",
        ),
        (
            '{"detail-type": "SageMaker Processing Job State Change",'
            f' "detail": {{"ProcessingJobName": "fw-dev-{"0" * 32}-a1"}}}}',
            f"the ledger has no job {'0' * 32}",
        ),
    ],
)
def test_a_message_that_is_none_of_ours_is_said_to_be(
    stage: Stage, body: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stage.settle(body)


def test_the_outcome_carries_a_raw_key(stage: Stage) -> None:
    job = stage.settle(stage.ended(stage.started("a b/c+d%20é 🎬.mp4"), "Failed"))
    assert job.state is JobState.RECEIVED
    plain = json.loads(to_json(job))
    assert from_dict(JobRecord, plain).source.key == "a b/c+d%20é 🎬.mp4"


def test_what_ran_the_model_is_committed(stage: Stage) -> None:
    job = stage.started()
    engine = Engine("onnxruntime", "1.31.1", "openvino", 2)
    stage.write_attempt(job, alter=lambda document: replace(document, engine=engine))

    job = stage.settle(stage.ended(job, "Completed"))

    assert job.result_key is not None
    assert from_json(ResultDocument, stage.read_result(job.result_key)).engine == engine
