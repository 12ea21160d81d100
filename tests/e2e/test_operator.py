"""An operator's commands, tried on the embedded cloud: pause, redrive, reprocess, cancel."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stage import Stage, read_pipeline_settings
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord
from local.cloud import EmbeddedCloud
from tests.cli.commands import Commands, put, received_job
from tests.e2e.stage import PATIENCE_S, LocalStage
from tests.vision.videos import VideoSpec, make_video

pytestmark = pytest.mark.embedded_cloud


@pytest.fixture
def commands(
    embedded_cloud: EmbeddedCloud, stage: LocalStage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Commands]:
    """The command line, its local stage being that of the tests; what it pauses goes on after."""
    opened = _opened(embedded_cloud, stage)
    monkeypatch.setattr("cli.stage._open_local", lambda: opened)
    yield Commands()
    Commands()("resume")


def test_a_dead_upload_comes_back_through_pause_and_redrive(
    embedded_cloud: EmbeddedCloud, stage: LocalStage, commands: Commands, tmp_path: Path
) -> None:
    names, opened = stage.names, _opened(embedded_cloud, stage)
    assert commands("pause", "--json").json["dispatch"] is False
    stage.upload("dead/a.mp4", _video(tmp_path))
    event = _take(stage, names.uploads_queue)
    put(opened, names.dead_letter_queue(names.uploads_queue), event)

    moved = commands("redrive", "--json").json["letters"]

    assert [it["about"] for it in moved] == [f"s3://{names.uploads_bucket}/dead/a.mp4"]
    assert stage.dead_letters() == 0
    assert stage.jobs("dead/") == []
    commands("resume")
    (job,) = stage.settled("dead/", count=1)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_a_failed_job_is_redriven_and_its_video_processed_in_another_way(
    embedded_cloud: EmbeddedCloud, stage: LocalStage, commands: Commands, tmp_path: Path
) -> None:
    commands("pause")
    body = _video(tmp_path)
    version = stage.upload("again/a.mp4", body)
    _take(stage, stage.names.uploads_queue)
    failed = received_job(_opened(embedded_cloud, stage), "again/a.mp4", version, body=body)
    stage.ledger.fail(failed.job_id, 1, code="job_failed", message="No such image.")
    commands("resume")

    assert commands("redrive", "--job", failed.job_id).exit_code == 0
    (first,) = stage.settled("again/", count=1)
    assert commands("reprocess", "again/", "--select", "key_frames").exit_code == 0
    jobs = stage.settled("again/", count=2)

    assert (first.state, first.attempt) == (JobState.SUCCEEDED, 2)
    assert [(job.state, str(job.selection)) for job in jobs if job != first] == [
        (JobState.SUCCEEDED, "key_frames")
    ]
    assert len(stage.result_keys(jobs)) == 2


def test_a_running_job_is_cancelled_and_what_runs_for_it_is_stopped(
    embedded_cloud: EmbeddedCloud, stage: LocalStage, commands: Commands, tmp_path: Path
) -> None:
    asked = {"framewright-select": "all"}
    minutes_of_work = VideoSpec(frame_count=1000, size=(480, 320))
    video = make_video(tmp_path / "long.mp4", minutes_of_work)
    stage.upload("cancel/long.mp4", video.read_bytes(), metadata=asked)
    job = _running(stage, "cancel/")

    done = commands("cancel", "cancel/long.mp4")

    assert done.exit_code == 0, done.output + done.errors
    (ended,) = stage.settled("cancel/", count=1)
    assert (ended.state, ended.code) == (JobState.REJECTED, "cancelled")
    sagemaker = embedded_cloud.client("sagemaker")
    described = sagemaker.describe_processing_job(ProcessingJobName=job.backend_ref)
    assert described["ProcessingJobStatus"] in ("Stopping", "Stopped")
    assert stage.result_keys([ended]) == []


def _opened(cloud: EmbeddedCloud, stage: LocalStage) -> Stage:
    return Stage(names=stage.names, client=cloud.client, settings=read_pipeline_settings("local"))


def _video(folder: Path) -> bytes:
    return make_video(folder / "short.mp4", VideoSpec(frame_count=5)).read_bytes()


def _take(stage: LocalStage, queue: str) -> str:
    """The only message of a queue, which it then lacks."""
    url = stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    (message,) = stage.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    stage.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    body: str = message["Body"]
    return body


def _running(stage: LocalStage, prefix: str) -> JobRecord:
    """The only job of a prefix, once a backend has taken it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for job in stage.jobs(prefix):
            if job.state is JobState.DISPATCHED:
                return job
            assert not job.state.is_terminal
        time.sleep(0.2)
    raise AssertionError(f"no job of {prefix} was started")
