"""From an upload to a job that runs, waits, was refused, or is none."""

import json
import threading

import pytest
from botocore.stub import Stubber

from contracts.documents import from_dict, from_json, to_json
from contracts.keys import bundle_key, job_files_prefix
from contracts.messages import AttemptRequest, Completion, InferenceRequests
from contracts.outcomes import JobState, Outcome, RejectionCode
from lambdas.dispatch.core import Done, NotYetError
from tests.lambdas.faults import CrashError, CrashOnce
from tests.lambdas.stage import BUNDLE, MP4, NAMES, Stage

ODD_KEYS = [
    "street.mp4",
    "a b/c+d%20é 🎬.MOV",
    "dir.with.dots/...mp4",
    "été/" * 50 + "v.webm",
    '"quoted" & <xml>\\.ts',
    "/".join(["x" * 250] * 4) + ".mp4",
]


def the_refusal(stage: Stage) -> Completion:
    (message,) = stage.messages(NAMES.completions_queue)
    return from_dict(Completion, message)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_upload_becomes_one_running_job(stage: Stage, key: str) -> None:
    step = stage.dispatch(stage.upload(key))

    (job,) = stage.jobs()
    name = NAMES.processing_job(job.job_id, 1)
    assert (step.done, step.job_id, step.detail) == (Done.STARTED, job.job_id, name)
    assert (job.state, job.attempt, job.source.key) == (JobState.DISPATCHED, 1, key)
    assert (job.route, job.backend_ref) == ("processing", name)
    assert [t.state for t in job.history] == [JobState.RECEIVED, JobState.DISPATCHED]
    assert set(stage.sagemaker.jobs) == {name}  # which checked the request as AWS does


@pytest.mark.parametrize("key", ODD_KEYS)
def test_the_job_is_given_that_very_key_and_its_request(stage: Stage, key: str) -> None:
    stage.dispatch(stage.upload(key))
    (job,) = stage.jobs()
    folder = job_files_prefix(job.job_id, 1)

    (inputs,) = (
        {i["InputName"]: i["S3Input"] for i in j["ProcessingInputs"]}
        for j in stage.sagemaker.jobs.values()
    )
    assert inputs["requests"]["S3Uri"] == f"s3://{NAMES.results_bucket}/{folder}requests.json"
    assert inputs["videos"]["S3Uri"] == f"s3://{NAMES.results_bucket}/{folder}videos.manifest"
    (head, name) = json.loads(stage.read_result(folder + "videos.manifest"))
    assert head["prefix"] + name == f"s3://{NAMES.uploads_bucket}/{key}"
    assert "/" not in name
    found = from_json(InferenceRequests, stage.read_result(folder + "requests.json"))
    (request,) = found.requests
    assert (request.job_id, request.attempt, request.source) == (job.job_id, 1, job.source)
    assert request.output.prefix.endswith(f"/{job.job_id}/attempt-1/")


def test_a_video_without_a_videos_name_is_taken_by_its_content(stage: Stage) -> None:
    assert stage.dispatch(stage.upload("street")).done is Done.STARTED


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("folder/", b""),
        ("folder.mp4/", b""),
        ("marker", b""),
        ("notes.txt", b"hello"),
        ("picture.png", b"\x89PNG\r\n"),
        ("noise.bin", b"\x00" * 100),
    ],
)
def test_what_is_no_video_leaves_no_trace(stage: Stage, key: str, body: bytes) -> None:
    assert stage.dispatch(stage.upload(key, body)).done is Done.IGNORED
    assert stage.jobs() == []
    assert stage.sagemaker.jobs == {}
    assert stage.messages(NAMES.completions_queue) == []


@pytest.mark.parametrize(
    ("key", "body", "code", "sentence"),
    [
        ("v.mp4", b"", RejectionCode.EMPTY_FILE, "0 bytes"),
        ("v.mp4", b"hello\n", RejectionCode.NOT_A_VIDEO, "holds text"),
        ("v.mov", b"\x89PNG\r\n", RejectionCode.NOT_A_VIDEO, "holds a PNG picture"),
        ("v.mp4", MP4 + b"\x00" * 1000, RejectionCode.TOO_LARGE, "takes at most 1000"),
        ("a//v.mp4", MP4, RejectionCode.KEY_NOT_STORABLE, "Upload it under another key"),
        ("a/../v.mp4", MP4, RejectionCode.KEY_NOT_STORABLE, "path component '..'"),
        ("v" * 996 + ".mp4", MP4, RejectionCode.KEY_NOT_STORABLE, "at most 255"),
    ],
)
def test_a_bad_upload_is_refused_with_a_code_and_a_sentence_at_no_backends_cost(
    stage: Stage, key: str, body: bytes, code: str, sentence: str
) -> None:
    step = stage.dispatch(stage.upload(key, body))

    assert step.done is Done.REFUSED
    assert stage.sagemaker.jobs == {}
    refusal = the_refusal(stage)
    assert (refusal.outcome, refusal.code) == (Outcome.REJECTED, code)
    assert sentence in (refusal.message or "")
    job = stage.settle(to_json(refusal))
    assert (job.state, job.code, job.source.key) == (JobState.REJECTED, code, key)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"framewright-model": "builtin:cats"}, "does not offer the model 'builtin:cats'"),
        ({"framewright-model": "cars2"}, "it offers cars, builtin:people, bundle:*"),
        ({"framewright-model": "bundle:12"}, "unknown model 'bundle:12'"),
        ({"framewright-select": "all"}, "does not offer all; it offers every_seconds=*"),
        ({"framewright-select": "often"}, "unknown selection 'often'"),
        ({"framewright-select": "every_seconds=0"}, "must be above 0"),
        ({"framewright-model": f"bundle:{'1' * 64}"}, "push it first"),
        ({"framewright-model": "cars"}, f"no bundle {BUNDLE}"),
    ],
)
def test_metadata_that_ask_for_what_there_is_not_are_refused(
    stage: Stage, metadata: dict[str, str], sentence: str
) -> None:
    assert stage.dispatch(stage.upload(metadata=metadata)).done is Done.REFUSED
    refusal = the_refusal(stage)
    assert refusal.code == RejectionCode.BAD_REQUEST
    assert sentence in (refusal.message or "")
    assert stage.sagemaker.jobs == {}


def test_metadata_choose_the_model_and_the_selection(stage: Stage) -> None:
    stage.s3.put_object(Bucket=NAMES.models_bucket, Key=bundle_key(BUNDLE), Body=b"bundle")
    asked = {"framewright-model": "cars", "framewright-select": "key_frames"}
    stage.dispatch(stage.upload(metadata=asked))
    (job,) = stage.jobs()
    assert (job.model.name, str(job.selection)) == (f"bundle:{BUNDLE}", "key_frames")
    (sent,) = stage.sagemaker.jobs.values()
    uris = [i["S3Input"]["S3Uri"] for i in sent["ProcessingInputs"]]
    assert f"s3://{NAMES.models_bucket}/bundles/{BUNDLE}/" in uris


def test_the_same_object_asked_for_otherwise_is_another_job(stage: Stage) -> None:
    stage.dispatch(stage.upload())
    stage.dispatch(stage.upload(metadata={"framewright-select": "key_frames"}))
    assert len({job.job_id for job in stage.jobs()}) == 2


def test_an_object_that_is_gone_is_refused(stage: Stage) -> None:
    created = stage.upload()
    version = json.loads(created)["detail"]["object"]["version-id"]
    stage.s3.delete_object(Bucket=NAMES.uploads_bucket, Key="street.mp4", VersionId=version)
    assert stage.dispatch(created).done is Done.REFUSED
    assert the_refusal(stage).code == RejectionCode.SOURCE_MISSING


def test_an_object_behind_a_delete_marker_is_refused_before_a_backend_looks_for_it(
    stage: Stage,
) -> None:
    created = stage.upload()
    stage.s3.delete_object(Bucket=NAMES.uploads_bucket, Key="street.mp4")
    assert stage.dispatch(created).done is Done.REFUSED
    assert the_refusal(stage).code == RejectionCode.SOURCE_MISSING
    assert stage.sagemaker.jobs == {}


def test_a_version_that_other_bytes_replaced_is_refused_at_no_backends_cost(stage: Stage) -> None:
    older, newer = stage.upload(), stage.upload(body=MP4 + b"other")
    assert stage.dispatch(newer).done is Done.STARTED
    assert stage.dispatch(older).done is Done.REFUSED
    assert the_refusal(stage).code == RejectionCode.SOURCE_REPLACED
    assert len(stage.sagemaker.jobs) == 1


def test_a_version_that_the_same_bytes_replaced_is_started(stage: Stage) -> None:
    older, _ = stage.upload(), stage.upload()
    assert stage.dispatch(older).done is Done.STARTED


def test_the_same_event_twice_is_one_job(stage: Stage) -> None:
    created = stage.upload()
    first, second = stage.dispatch(created), stage.dispatch(created)
    assert (first.done, second.done) == (Done.STARTED, Done.DUPLICATE)
    assert first.job_id == second.job_id
    assert len(stage.jobs()) == len(stage.sagemaker.jobs) == 1
    assert len(stage.jobs()[0].history) == 2


def test_the_same_event_ten_times_at_once_is_one_job(stage: Stage) -> None:
    created = stage.upload()
    errors: list[BaseException] = []
    barrier = threading.Barrier(10)

    def deliver() -> None:
        barrier.wait()
        try:
            stage.dispatch(created)
        except BaseException as error:  # noqa: BLE001  # shown below
            errors.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    (job,) = stage.jobs()
    assert job.state is JobState.DISPATCHED
    assert [t.state for t in job.history] == [JobState.RECEIVED, JobState.DISPATCHED]
    assert len(stage.sagemaker.jobs) == 1


@pytest.mark.parametrize(
    ("client", "operation", "after"),
    [
        ("dynamodb", "put_item", True),  # between the ledger's entry and the start
        ("sagemaker", "create_processing_job", False),
        ("sagemaker", "create_processing_job", True),  # between the start and its record
        ("dynamodb", "update_item", False),
        ("dynamodb", "update_item", True),
    ],
)
def test_a_crash_anywhere_is_made_good_by_the_next_delivery(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    created = stage.upload()
    crashing = CrashOnce(getattr(stage, client), operation, after=after)
    with pytest.raises(CrashError):
        stage.dispatcher(**{client: crashing}).handle(created)
    stage.dispatch(created)
    (job,) = stage.jobs()
    assert (job.state, job.attempt) == (JobState.DISPATCHED, 1)
    assert len(job.history) == 2
    assert len(stage.sagemaker.jobs) == 1


@pytest.mark.parametrize("code", ["ResourceLimitExceeded", "ThrottlingException"])
def test_when_the_backend_is_busy_the_attempt_waits_and_is_not_spent(
    stage: Stage, code: str
) -> None:
    stage.sagemaker.refusals = [code]
    step = stage.dispatch(stage.upload())
    assert step.done is Done.DEFERRED
    (job,) = stage.jobs()
    assert (job.state, job.attempt) == (JobState.RECEIVED, 1)
    assert stage.waiting(NAMES.uploads_queue) == 1
    assert stage.messages(NAMES.uploads_queue) == []  # it is delayed

    assert (job.waits, len(job.history)) == (1, 1)
    assert code in (job.waiting or "")

    assert stage.dispatch(to_json(AttemptRequest(job.job_id, 1, waits=1))).done is Done.STARTED
    job = stage.job(job.job_id)
    assert (job.state, job.waiting) == (JobState.DISPATCHED, None)
    assert "found the backend busy 1 times" in (job.history[-1].note or "")


def test_of_two_messages_that_wait_for_one_start_one_is_dropped(stage: Stage) -> None:
    stage.sagemaker.refusals = ["ThrottlingException"] * 3
    created = stage.upload()
    stage.dispatch(created)
    (job,) = stage.jobs()
    waiting = to_json(AttemptRequest(job.job_id, 1, waits=1))
    assert stage.dispatch(waiting).done is Done.DEFERRED
    assert stage.dispatch(waiting).done is Done.DUPLICATE
    assert stage.dispatch(created).done is Done.DUPLICATE
    assert stage.waiting(NAMES.uploads_queue) == 2  # one of each wait
    assert stage.job(job.job_id).waits == 2


@pytest.mark.parametrize(
    ("client", "operation"), [("sqs", "send_message"), ("dynamodb", "update_item")]
)
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_waiting_loses_no_job_and_adds_no_lasting_message(
    stage: Stage, client: str, operation: str, after: bool
) -> None:
    stage.sagemaker.refusals = ["ThrottlingException"] * 2
    created = stage.upload()
    crashing = CrashOnce(getattr(stage, client), operation, after=after)
    with pytest.raises(CrashError):
        stage.dispatcher(**{client: crashing}).handle(created)
    stage.dispatch(created)
    (job,) = stage.jobs()
    assert (job.state, job.waits) == (JobState.RECEIVED, 1)
    stage.sagemaker.refusals = []
    waiting = to_json(AttemptRequest(job.job_id, 1, waits=1))
    assert stage.dispatch(waiting).done is Done.STARTED
    assert stage.dispatch(waiting).done is Done.DUPLICATE


def test_an_attempt_whose_object_was_deleted_while_it_waited_is_refused(stage: Stage) -> None:
    stage.sagemaker.refusals = ["ResourceLimitExceeded"]
    created = stage.upload(metadata={"framewright-select": "key_frames"})
    step = stage.dispatch(created)
    stage.s3.delete_object(
        Bucket=NAMES.uploads_bucket,
        Key="street.mp4",
        VersionId=json.loads(created)["detail"]["object"]["version-id"],
    )
    assert step.job_id is not None
    waited = to_json(AttemptRequest(step.job_id, 1, waits=1))
    assert stage.dispatch(waited).done is Done.REFUSED
    assert the_refusal(stage).code == RejectionCode.SOURCE_MISSING
    assert stage.sagemaker.jobs == {}


def test_any_other_refusal_brings_the_message_again(stage: Stage) -> None:
    stage.sagemaker.refusals = ["ValidationException"]
    created = stage.upload()
    with pytest.raises(Exception, match="ValidationException"):
        stage.dispatch(created)
    assert stage.dispatch(created).done is Done.STARTED


def test_a_request_for_an_attempt_that_the_ledger_does_not_know_yet_comes_again(
    stage: Stage,
) -> None:
    job = stage.started()
    with pytest.raises(NotYetError, match="is at attempt 1 still"):
        stage.dispatch(to_json(AttemptRequest(job.job_id, 2)))


def test_a_request_for_an_attempt_that_was_started_changes_nothing(stage: Stage) -> None:
    job = stage.started()
    assert stage.dispatch(to_json(AttemptRequest(job.job_id, 1))).done is Done.DUPLICATE
    assert stage.job(job.job_id) == job


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", "7", '{"detail": {}}', '{"detail": "x"}', '{"detail": {"bucket": {"name": "b"}}}'],
)
def test_a_message_that_is_none_of_ours_is_said_to_be(stage: Stage, body: str) -> None:
    with pytest.raises(ValueError, match="not an Object Created event"):
        stage.dispatch(body)


def test_the_manifest_names_one_key_and_not_those_that_begin_like_it(stage: Stage) -> None:
    stage.upload("v.mp4.bak")
    stage.dispatch(stage.upload("v.mp4"))
    (job,) = stage.jobs()
    manifest = stage.read_result(job_files_prefix(job.job_id, 1) + "videos.manifest")
    assert json.loads(manifest) == [{"prefix": f"s3://{NAMES.uploads_bucket}/"}, "v.mp4"]


@pytest.mark.parametrize("code", ["InvalidObjectState", "InvalidRequest"])
def test_an_object_that_s3_does_not_give_out_is_rejected_and_not_dead_lettered(
    stage: Stage, code: str
) -> None:
    upload = stage.upload("street.mp4")
    with Stubber(stage.s3) as s3:
        s3.add_client_error("get_object", service_error_code=code)
        step = stage.dispatch(upload)
    assert step.done is Done.REFUSED
    assert the_refusal(stage).code == RejectionCode.SOURCE_UNREADABLE


def test_starting_an_attempt_again_writes_its_files_once(stage: Stage) -> None:
    stage.sagemaker.refusals = ["ThrottlingException"]
    upload = stage.upload("street.mp4")
    assert stage.dispatch(upload).done is Done.DEFERRED
    (job,) = stage.jobs()
    assert stage.dispatch(to_json(AttemptRequest(job.job_id, 1, waits=1))).done is Done.STARTED
    versions = stage.s3.list_object_versions(Bucket=NAMES.results_bucket, Prefix="jobs/")
    keys = [version["Key"] for version in versions["Versions"]]
    assert len(keys) == len(set(keys)) == 2
