from pathlib import Path

import pytest

from cli.errors import UserError
from cli.fetch import fetch_results
from cli.stage import Stage
from contracts.keys import DETECTIONS_FILE, attempt_prefix, job_prefix, result_key
from contracts.results import ResultDocument
from lambdas.common.ledger import JobRecord
from lambdas.settle.commit import read_result
from tests.cli.commands import Commands, received_job, succeeded_job
from tests.vision.videos import make_video
from vision.results import read_detections


@pytest.fixture
def job(stage: Stage, tmp_path: Path) -> JobRecord:
    video = make_video(tmp_path / "numbers.mp4")
    return succeeded_job(stage, video, tmp_path / "attempt")


def committed(stage: Stage, job: JobRecord) -> ResultDocument:
    bucket = stage.names.results_bucket
    document = read_result(job.source.key, job.job_id, s3=stage.s3, bucket=bucket)
    assert document is not None
    return document


def test_committed_files_are_downloaded_whole(
    stage: Stage, commands: Commands, job: JobRecord, tmp_path: Path
) -> None:
    done = commands("results", job.job_id[:8], "--stage", "dev", "--to", tmp_path / "to", "--json")

    assert done.exit_code == 0
    folder = tmp_path / "to" / job_prefix(job.source.key, job.job_id)
    assert done.json["folder"] == str(folder)
    assert len(list(read_detections(folder / "attempt-1" / DETECTIONS_FILE))) == 30
    assert (folder / "result.json").exists()


def test_results_can_be_looked_at_without_downloading(
    stage: Stage, commands: Commands, job: JobRecord
) -> None:
    done = commands("results", "numbers.mp4", "--stage", "dev")

    assert "30 objects in 30 frames" in done.output
    assert DETECTIONS_FILE in done.output


def test_a_damaged_file_is_refused_and_not_kept(
    stage: Stage, commands: Commands, job: JobRecord, tmp_path: Path
) -> None:
    key = attempt_prefix(job.source.key, job.job_id, 1) + DETECTIONS_FILE
    bucket = stage.names.results_bucket
    body = stage.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    stage.s3.put_object(Bucket=bucket, Key=key, Body=body[:-1] + bytes([body[-1] ^ 1]))

    done = commands("results", job.job_id, "--stage", "dev", "--to", tmp_path / "to")

    assert done.exit_code == 74
    assert "damaged" in done.errors
    assert [path for path in (tmp_path / "to").rglob("*") if path.is_file()] == []


def test_a_missing_file_is_refused(
    stage: Stage, commands: Commands, job: JobRecord, tmp_path: Path
) -> None:
    key = attempt_prefix(job.source.key, job.job_id, 1) + DETECTIONS_FILE
    stage.s3.delete_object(Bucket=stage.names.results_bucket, Key=key)

    done = commands("results", job.job_id, "--stage", "dev", "--to", tmp_path / "to")

    assert done.exit_code == 74
    assert "is missing" in done.errors


def test_a_file_that_was_changed_after_its_download_is_fetched_again(
    stage: Stage, job: JobRecord, tmp_path: Path
) -> None:
    document = committed(stage, job)
    folder = fetch_results(document, s3=stage.s3, to=tmp_path / "to")
    copy = folder / "attempt-1" / DETECTIONS_FILE
    whole = copy.read_bytes()
    copy.write_bytes(whole[::-1])

    fetch_results(document, s3=stage.s3, to=tmp_path / "to")

    assert copy.read_bytes() == whole


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../../evil"])
def test_names_that_lead_out_of_the_folder_are_refused(
    stage: Stage, job: JobRecord, tmp_path: Path, name: str
) -> None:
    import dataclasses

    document = committed(stage, job)
    file = dataclasses.replace(document.files[0], name=name)

    with pytest.raises(UserError, match="cannot be written to disk"):
        fetch_results(dataclasses.replace(document, files=(file,)), s3=stage.s3, to=tmp_path)


def test_a_job_that_has_not_ended_has_no_results_yet(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)

    done = commands("results", job.job_id, "--stage", "dev")

    assert done.exit_code == 75
    assert "no results yet" in done.errors


def test_a_rejected_job_says_why_it_has_no_results(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)
    stage.ledger.reject(job.job_id, 1, code="truncated", message="Upload the whole file.")

    done = commands("results", job.job_id, "--stage", "dev")

    assert done.exit_code == 65
    assert "truncated: Upload the whole file." in done.errors


def test_results_that_were_deleted_are_said_to_be_gone(
    stage: Stage, job: JobRecord, commands: Commands
) -> None:
    key = result_key(job.source.key, job.job_id)
    stage.s3.delete_object(Bucket=stage.names.results_bucket, Key=key)

    done = commands("results", job.job_id, "--stage", "dev")

    assert done.exit_code == 74
    assert "not there any more" in done.errors
    assert "runbook" in done.errors
