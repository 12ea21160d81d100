"""How Processing jobs run, end and are stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import (
    BUCKET,
    LocalSageMaker,
    StartSageMaker,
    eventually,
    is_running,
    s3_output,
)

CONTINUOUS = [s3_output("Continuous")]


def test_a_container_that_exits_with_0_completes_its_job(sagemaker: LocalSageMaker) -> None:
    job = sagemaker.run()
    assert job["ProcessingJobStatus"] == "Completed"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    assert "FailureReason" not in job


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("sys.exit(75)", 75),
        ("raise ValueError", 1),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
    ],
)
def test_a_container_that_fails_fails_its_job_with_its_exit_code(
    sagemaker: LocalSageMaker, code: str, exit_code: int
) -> None:
    job = sagemaker.run(code)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"AlgorithmError: , exit code: {exit_code}"


def test_an_entry_point_that_does_not_exist_fails_its_job(sagemaker: LocalSageMaker) -> None:
    app = {"ImageUri": "image", "ContainerEntrypoint": ["no-such-program"]}
    job = sagemaker.run(AppSpecification=app)
    assert job["FailureReason"] == "AlgorithmError: , exit code: 127"
    assert "no-such-program" in sagemaker.log()


def test_the_first_kilobyte_of_the_message_file_becomes_the_exit_message(
    sagemaker: LocalSageMaker,
) -> None:
    job = sagemaker.run('(root / "output/message").write_text("ü" * 600); sys.exit(3)')
    assert job["ExitMessage"] == "ü" * 512


def test_arguments_and_environment_reach_the_container(sagemaker: LocalSageMaker) -> None:
    entry_point = sagemaker.script('print(sys.argv[1:], os.environ["MODE"])')
    arguments = ["--video-formats", "mp4 mov"]
    app = {"ImageUri": "i", "ContainerEntrypoint": entry_point, "ContainerArguments": arguments}
    sagemaker.run(AppSpecification=app, Environment={"MODE": "fast"})
    assert sagemaker.log() == f"{arguments} fast\n"


def test_a_container_sees_nothing_of_the_callers_environment(
    sagemaker: LocalSageMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "1")
    sagemaker.run("print(sorted(os.environ))")
    assert "SECRET_OF_THE_CALLER" not in sagemaker.log()


@pytest.mark.parametrize("isolated", [True, False])
def test_only_a_container_with_a_network_reaches_aws(
    sagemaker: LocalSageMaker, isolated: bool
) -> None:
    network = {"EnableNetworkIsolation": isolated}
    sagemaker.run('print("AWS_ENDPOINT_URL" in os.environ)', NetworkConfig=network)
    assert sagemaker.log() == f"{not isolated}\n"


def test_each_host_reads_who_it_is_and_what_its_job_is(sagemaker: LocalSageMaker) -> None:
    code = """
for name in ("resourceconfig", "processingjobconfig"):
    print((root / "config" / (name + ".json")).read_text())
"""
    job = sagemaker.run(code, count=2, Environment={"KEY": "ä"})
    resources, config = map(json.loads, sagemaker.log(host="algo-2").splitlines())
    assert resources == {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}
    assert config["ProcessingJobArn"] == job["ProcessingJobArn"]
    assert config["Environment"] == {"KEY": "ä"}


def test_a_host_that_fails_ends_the_others_and_is_the_one_blamed(
    sagemaker: LocalSageMaker,
) -> None:
    code = """
host = json.loads((root / "config/resourceconfig.json").read_text())["current_host"]
if host == "algo-2":
    sys.exit(9)
time.sleep(60)
"""
    assert sagemaker.run(code, count=3)["FailureReason"] == "AlgorithmError: , exit code: 9"


def test_stopping_a_job_lets_its_container_finish_what_it_writes(
    sagemaker: LocalSageMaker,
) -> None:
    code = """
def leave(*_):
    (root / "processing/output/results/last.txt").write_text("done")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
(root / "processing/output/results/ready").touch()
time.sleep(60)
"""
    sagemaker.create(code, outputs=CONTINUOUS)
    eventually(lambda: "out/ready" in sagemaker.stored())
    sagemaker.client.stop_processing_job(ProcessingJobName="job")
    job = sagemaker.wait()
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job
    assert sagemaker.read("out/last.txt") == b"done"


def test_a_container_that_ignores_sigterm_is_killed_with_all_it_started(
    sagemaker: LocalSageMaker,
) -> None:
    code = """
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
(root / "processing/output/results/pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""
    sagemaker.create(code, outputs=CONTINUOUS)
    eventually(lambda: "out/pids" in sagemaker.stored())
    pids = [int(pid) for pid in sagemaker.read("out/pids").split()]
    assert all(map(is_running, pids))
    sagemaker.client.stop_processing_job(ProcessingJobName="job")
    assert sagemaker.wait("job", "Stopping", "Stopped")
    assert sagemaker.wait()["ProcessingJobStatus"] == "Stopped"
    eventually(lambda: not any(map(is_running, pids)))


def test_what_a_container_leaves_running_ends_with_it(sagemaker: LocalSageMaker) -> None:
    code = """
import subprocess
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
"""
    assert sagemaker.run(code)["ProcessingJobStatus"] == "Completed"
    child = int(sagemaker.log())
    eventually(lambda: not is_running(child))


def test_a_job_that_waits_is_stopped_without_running(start_sagemaker: StartSageMaker) -> None:
    sagemaker = start_sagemaker(running=1)
    sagemaker.create("time.sleep(60)", name="running")
    sagemaker.create(name="waiting")
    sagemaker.client.stop_processing_job(ProcessingJobName="waiting")
    job = sagemaker.wait("waiting")
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "ProcessingStartTime" not in job


def test_a_job_that_has_ended_cannot_be_stopped(sagemaker: LocalSageMaker) -> None:
    sagemaker.run()
    with pytest.raises(ClientError, match="processing job is in status Completed"):
        sagemaker.client.stop_processing_job(ProcessingJobName="job")


def test_a_job_past_its_maximum_runtime_ends_stopped_without_a_reason(
    sagemaker: LocalSageMaker,
) -> None:
    job = sagemaker.run("time.sleep(60)", max_runtime_s=1)
    assert job["ProcessingJobStatus"] == "Stopped"
    assert "FailureReason" not in job


def test_jobs_start_in_the_order_they_came_and_no_more_run_than_may(
    start_sagemaker: StartSageMaker,
) -> None:
    sagemaker = start_sagemaker(running=2)
    code = 'print(time.monotonic()); time.sleep(0.05); print(time.monotonic(), end="")'
    names = [sagemaker.create(code, name=f"job-{number}") for number in range(8)]
    jobs = [sagemaker.wait(name) for name in names]
    starts = [job["ProcessingStartTime"] for job in jobs]
    assert starts == sorted(starts)
    spans = [tuple(map(float, sagemaker.log(name).split())) for name in names]
    for start, _ in spans:
        assert sum(first <= start < last for first, last in spans) <= 2


def test_a_job_with_more_instances_than_may_run_runs_alone(
    start_sagemaker: StartSageMaker,
) -> None:
    sagemaker = start_sagemaker(running=1)
    sagemaker.create(name="large", count=3)
    sagemaker.create(name="small")
    assert sagemaker.wait("large")["ProcessingJobStatus"] == "Completed"
    assert sagemaker.wait("small")["ProcessingJobStatus"] == "Completed"


@pytest.mark.parametrize("keep", [True, False])
def test_work_folders_go_when_a_job_ends_unless_they_are_wanted(
    start_sagemaker: StartSageMaker, keep: bool
) -> None:
    sagemaker = start_sagemaker(keep=keep)
    sagemaker.run()
    eventually(lambda: (sagemaker.folder / "work" / "job").exists() is keep)


def test_a_restart_remembers_jobs_and_fails_those_it_cut_off(
    start_sagemaker: StartSageMaker,
) -> None:
    sagemaker = start_sagemaker()
    before = sagemaker.run(name="ended")
    journal = sagemaker.folder / "jobs.jsonl"
    cut_off = json.loads(journal.read_text().splitlines()[0])
    cut_off["request"]["ProcessingJobName"] = "cut-off"
    journal.write_text(f"{journal.read_text()}{json.dumps(cut_off)}\n{{half a li")
    sagemaker = start_sagemaker()
    after = sagemaker.wait("ended")
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert after == before
    assert sagemaker.wait("cut-off")["FailureReason"].startswith("InternalServerError")
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.create(name="ended")


def test_a_service_that_goes_down_leaves_no_container(start_sagemaker: StartSageMaker) -> None:
    sagemaker = start_sagemaker()
    sagemaker.create("print(os.getpid(), flush=True); time.sleep(60)")
    eventually(lambda: (sagemaker.folder / "log/job/algo-1.log").exists())
    eventually(lambda: sagemaker.log() != "")
    pid = int(sagemaker.log())
    sagemaker = start_sagemaker()
    assert not is_running(pid)
    assert sagemaker.wait()["ProcessingJobStatus"] == "Stopped"


def test_every_status_change_reaches_a_rule_in_order(
    sagemaker: LocalSageMaker, state_changes: Callable[[], list[dict[str, Any]]]
) -> None:
    job = sagemaker.run('(root / "output/message").write_text("why"); sys.exit(3)')
    eventually(lambda: len(state_changes()) == 2)
    first, last = state_changes()
    assert first["detail"]["ProcessingJobStatus"] == "InProgress"
    assert last["resources"] == [job["ProcessingJobArn"]]
    detail = last["detail"]
    assert detail["ProcessingJobName"] == "job"
    assert detail["ProcessingJobStatus"] == "Failed"
    assert detail["ExitMessage"] == "why"
    assert detail["FailureReason"] == job["FailureReason"]
    assert detail["CreationTime"] == round(job["CreationTime"].timestamp() * 1000)


def test_a_stopped_job_tells_that_it_was_stopping(
    sagemaker: LocalSageMaker, state_changes: Callable[[], list[dict[str, Any]]]
) -> None:
    sagemaker.create("time.sleep(60)")
    sagemaker.client.stop_processing_job(ProcessingJobName="job")
    eventually(lambda: len(state_changes()) == 3)
    statuses = [event["detail"]["ProcessingJobStatus"] for event in state_changes()]
    assert statuses == ["InProgress", "Stopping", "Stopped"]


def test_containers_do_not_run_in_the_callers_folder(sagemaker: LocalSageMaker) -> None:
    sagemaker.run('open("dropped", "w"); print(os.getcwd())')
    assert str(Path.cwd()) not in sagemaker.log()


def test_a_bucket_is_needed_only_for_what_is_written(sagemaker: LocalSageMaker) -> None:
    outputs = [s3_output("Continuous", "s3://no-such-bucket/")]
    assert sagemaker.run(outputs=outputs)["ProcessingJobStatus"] == "Completed"
    code = '(root / "processing/output/results/file").touch()'
    job = sagemaker.run(code, name="second", outputs=outputs)
    assert job["FailureReason"].startswith("ClientError: Failed to upload output data")
    assert BUCKET in {bucket["Name"] for bucket in sagemaker.s3.list_buckets()["Buckets"]}
