"""A video goes in, committed results come out, through the real templates and Lambdas."""

import json
from pathlib import Path

import pytest

from contracts.keys import parse_result_key
from contracts.messages import METADATA_MODEL, METADATA_SELECT
from contracts.outcomes import JobState, RejectionCode
from tests.e2e.stage import LocalStage
from tests.vision.videos import VideoSpec, make_video

pytestmark = pytest.mark.embedded_cloud


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three seconds at ten frames a second."""
    return make_video(tmp_path_factory.mktemp("video") / "video.mp4").read_bytes()


def test_an_upload_ends_in_one_committed_result_whose_files_are_whole(
    stage: LocalStage, video: bytes
) -> None:
    version = stage.upload("whole/street.mp4", video)
    (job,) = stage.settled("whole/", count=1)
    assert job.state is JobState.SUCCEEDED
    assert job.source.version_id == version
    assert [step.state for step in job.history] == ["RECEIVED", "DISPATCHED", "SUCCEEDED"]
    result = stage.result(job)
    assert (result.job_id, result.source) == (job.job_id, job.source)
    assert job.result_key
    assert parse_result_key(job.result_key).job_id == job.job_id
    assert [line.frame.frame_index for line in stage.frames(result)] == [0, 10, 20]
    assert [line.frame.time_s for line in stage.frames(result)] == [0.0, 1.0, 2.0]


def test_an_upload_chooses_its_frames_by_metadata(stage: LocalStage, video: bytes) -> None:
    stage.upload("chosen/a.mp4", video, metadata={METADATA_SELECT: "indices=3,7,29"})
    (job,) = stage.settled("chosen/", count=1)
    frames = stage.frames(stage.result(job))
    assert [line.frame.frame_index for line in frames] == [3, 7, 29]


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("model", {METADATA_MODEL: "builtin:nothing"}),
        ("selection", {METADATA_SELECT: "every_seconds=never"}),
        ("bundle", {METADATA_MODEL: f"bundle:{'0' * 64}"}),
    ],
)
def test_an_upload_that_asks_for_what_is_not_offered_is_rejected_with_a_sentence(
    stage: LocalStage, video: bytes, name: str, metadata: dict[str, str]
) -> None:
    stage.upload(f"asks/{name}.mp4", video, metadata=metadata)
    (job,) = stage.settled(f"asks/{name}", count=1)
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.BAD_REQUEST)
    assert job.message


def test_a_repeated_event_changes_nothing(stage: LocalStage, video: bytes) -> None:
    stage.upload("twice/a.mp4", video)
    (before,) = stage.settled("twice/", count=1)
    for _ in range(5):
        stage.send_event(before)
    stage.upload("twice/later.mp4", video)  # settles after the events before it were handled
    jobs = stage.settled("twice/", count=2)
    assert before in jobs
    assert len(jobs) == 2
    assert len(stage.result_keys([before])) == 1


def test_two_versions_of_a_key_are_two_jobs_and_no_result_is_of_the_wrong_one(
    stage: LocalStage, video: bytes, tmp_path: Path
) -> None:
    shorter = make_video(tmp_path / "shorter.mp4", VideoSpec(frame_count=12)).read_bytes()
    frame_counts = {stage.upload("versions/a.mp4", video): 30}
    frame_counts[stage.upload("versions/a.mp4", shorter)] = 12
    jobs = {job.source.version_id: job for job in stage.settled("versions/", count=2)}
    assert set(jobs) == set(frame_counts)
    for version, job in jobs.items():
        if job.state is JobState.REJECTED:
            assert job.code == RejectionCode.SOURCE_REPLACED
        else:
            assert stage.result(job).video.frame_count == frame_counts[str(version)]
    newest = list(frame_counts)[-1]
    assert jobs[newest].state is JobState.SUCCEEDED


def test_what_is_no_video_makes_no_job(stage: LocalStage, video: bytes) -> None:
    stage.upload("ignored/", b"")
    stage.upload("ignored/_SUCCESS", b"")
    stage.upload("ignored/readme.txt", b"No video.")
    stage.upload("ignored/named-otherwise.bin", video)
    jobs = stage.settled("ignored/", count=1)
    assert [job.source.key for job in jobs] == ["ignored/named-otherwise.bin"]


def test_subscribers_hear_the_outcomes_they_filter_for(stage: LocalStage, video: bytes) -> None:
    queue = stage.sqs.create_queue(QueueName="test-outcomes")["QueueUrl"]
    arn = stage.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    stage.sns.subscribe(
        TopicArn=stage.names.outcomes_topic_arn,
        Protocol="sqs",
        Endpoint=arn["Attributes"]["QueueArn"],
        Attributes={
            "FilterPolicy": json.dumps({"state": ["REJECTED"], "code": ["empty_file"]}),
            "RawMessageDelivery": "true",
        },
    )
    stage.upload("heard/good.mp4", video)
    stage.upload("heard/empty.mp4", b"")
    stage.settled("heard/", count=2)
    received = stage.sqs.receive_message(
        QueueUrl=queue, WaitTimeSeconds=10, MaxNumberOfMessages=10
    ).get("Messages", [])
    told = [json.loads(message["Body"]) for message in received]
    assert [(one["state"], one["source"]["key"]) for one in told] == [
        ("REJECTED", "heard/empty.mp4")
    ]
