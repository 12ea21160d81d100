"""The embedded cloud as it runs: MiniStack, the local SageMaker, the real stacks."""

import dataclasses
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import EmbeddedCloud
from local.config import CloudConfig, EmbeddedCloudError, port_is_taken
from local.state import read_state, write_state
from tests.local.conftest import eventually, is_running, job_request, s3_input, s3_output

pytestmark = pytest.mark.embedded_cloud


@pytest.fixture
def bare_cloud(tmp_path: Path) -> Iterator[EmbeddedCloud]:
    """A cloud of a test's own, down, with no stacks."""
    config = CloudConfig(root=tmp_path / "cloud", port=0, sagemaker_port=0, stacks=())
    cloud = EmbeddedCloud(config)
    yield cloud
    cloud.down()


def queue_of_state_changes(cloud: EmbeddedCloud, name: str) -> str:
    """The URL of a queue that a rule fills with state changes of Processing jobs."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    detail_type = "SageMaker Processing Job State Change"
    pattern = {"source": ["aws.sagemaker"], "detail-type": [detail_type]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": attributes["QueueArn"]}])
    return url


def receive(cloud: EmbeddedCloud, url: str, *, job: str, status: str) -> dict[str, Any]:
    """The event for this job's status."""
    sqs = cloud.client("sqs")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            event: dict[str, Any] = json.loads(message["Body"])
            detail = event["detail"]
            if (detail["ProcessingJobName"], detail["ProcessingJobStatus"]) == (job, status):
                return event
    pytest.fail(f"no event for {job} {status}")


def test_a_job_goes_from_s3_to_s3_and_its_end_reaches_a_rule(
    embedded_cloud: EmbeddedCloud, tmp_path: Path
) -> None:
    s3 = embedded_cloud.client("s3")
    url = queue_of_state_changes(embedded_cloud, "from-s3-to-s3")
    s3.create_bucket(Bucket="from-s3-to-s3")
    s3.put_object(Bucket="from-s3-to-s3", Key="in/a b+ü%.txt", Body=b"whole")
    script = tmp_path / "copy.py"
    script.write_text("""
import os, pathlib, shutil
root = pathlib.Path(os.environ["ML_ROOT"]) / "processing"
for path in (root / "input/videos").iterdir():
    shutil.copy(path, root / "output/results" / path.name)
""")
    request = job_request(
        "from-s3-to-s3",
        entry_point=["python", str(script)],
        inputs=[s3_input("s3://from-s3-to-s3/in/")],
        outputs=[s3_output("Continuous", "s3://from-s3-to-s3/out/")],
    )
    embedded_cloud.client("sagemaker").create_processing_job(**request)
    event = receive(embedded_cloud, url, job="from-s3-to-s3", status="Completed")
    assert event["source"] == "aws.sagemaker"
    copied = s3.get_object(Bucket="from-s3-to-s3", Key="out/a b+ü%.txt")
    assert copied["Body"].read() == b"whole"


def test_only_the_service_itself_may_put_events_in_its_name(embedded_cloud: EmbeddedCloud) -> None:
    entry = {"Source": "aws.sagemaker", "DetailType": "x", "Detail": "{}"}
    answer = embedded_cloud.client("events").put_events(Entries=[entry])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:4566"}, 200),
        # What browsers send for another site's page, and for a name that was rebound to loopback.
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Host": "elsewhere.example"}, 403),
        ({"Host": "127.0.0.1.elsewhere.example:4566"}, 403),
    ],
)
def test_no_web_page_can_use_the_cloud(
    embedded_cloud: EmbeddedCloud, headers: dict[str, str], status: int
) -> None:
    port = read_state(embedded_cloud.config.state_file).port
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/", headers=headers)
        assert connection.getresponse().status == status


def test_the_real_stacks_are_deployed(embedded_cloud: EmbeddedCloud) -> None:
    stacks = embedded_cloud.client("cloudformation").describe_stacks()["Stacks"]
    statuses = {stack["StackName"]: stack["StackStatus"] for stack in stacks}
    for name in embedded_cloud.config.stacks:
        assert statuses[name] == "CREATE_COMPLETE"


def test_bringing_up_what_is_up_takes_no_time(embedded_cloud: EmbeddedCloud) -> None:
    before = read_state(embedded_cloud.config.state_file)
    steps: list[str] = []
    status = embedded_cloud.up(steps.append)
    assert status.is_up
    assert status.is_current
    assert not steps
    assert read_state(embedded_cloud.config.state_file) == before


def test_what_is_deployed_from_other_sources_is_deployed_again_into_the_same_account(
    embedded_cloud: EmbeddedCloud,
) -> None:
    before = read_state(embedded_cloud.config.state_file)
    earlier = dataclasses.replace(before, deployed="digest of earlier sources")
    write_state(embedded_cloud.config.state_file, earlier)
    assert not embedded_cloud.status().is_current
    steps: list[str] = []
    assert embedded_cloud.up(steps.append).is_current
    assert steps[-1] == "Deploying the stacks"
    assert read_state(embedded_cloud.config.state_file) == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net")
def test_nothing_listens_beyond_loopback(embedded_cloud: EmbeddedCloud) -> None:
    state = read_state(embedded_cloud.config.state_file)
    assert state.ministack is not None
    assert state.sagemaker is not None
    owners = session_members(state.ministack.pid) | session_members(state.sagemaker.pid)
    inodes = {inode for pid in owners for inode in socket_inodes(pid)}
    listening = [line for line in tcp_lines() if line[3] == "0A" and line[9] in inodes]
    addresses = {line[1].split(":")[0] for line in listening}
    assert addresses == {"0100007F"}, "127.0.0.1 in the kernel's notation"


def test_down_leaves_no_process_and_no_listening_port(bare_cloud: EmbeddedCloud) -> None:
    bare_cloud.up()
    state = read_state(bare_cloud.config.state_file)
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    request = job_request("long", entry_point=["python", "-c", script])
    bare_cloud.client("sagemaker").create_processing_job(**request)
    log = bare_cloud.config.logs / "jobs" / "long" / "algo-1.log"
    eventually(lambda: log.exists() and log.read_text() != "")
    container = int(log.read_text())
    assert is_running(container)
    assert bare_cloud.down()
    assert not is_running(container)
    assert not state.is_running
    for port in (state.port, state.sagemaker_port):
        assert not port_is_taken(port)
    assert not bare_cloud.status().is_up
    assert not bare_cloud.down()


def test_down_ends_the_containers_of_a_service_that_crashed(bare_cloud: EmbeddedCloud) -> None:
    bare_cloud.up()
    state = read_state(bare_cloud.config.state_file)
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    request = job_request("orphan", entry_point=["python", "-c", script])
    bare_cloud.client("sagemaker").create_processing_job(**request)
    log = bare_cloud.config.logs / "jobs" / "orphan" / "algo-1.log"
    eventually(lambda: log.exists() and log.read_text() != "")
    assert state.sagemaker is not None
    os.kill(state.sagemaker.pid, signal.SIGKILL)
    eventually(lambda: not bare_cloud.status().is_up)
    bare_cloud.down()
    assert not is_running(int(log.read_text()))


def test_up_after_a_crash_cleans_up_and_starts_anew(bare_cloud: EmbeddedCloud) -> None:
    bare_cloud.up()
    before = read_state(bare_cloud.config.state_file)
    assert before.ministack is not None
    assert before.sagemaker is not None
    os.kill(before.ministack.pid, signal.SIGKILL)
    eventually(lambda: not bare_cloud.status().is_up)
    assert bare_cloud.up().is_up
    assert not before.sagemaker.is_alive()


def test_up_after_one_that_was_cut_off_starts_anew(bare_cloud: EmbeddedCloud) -> None:
    bare_cloud.up()
    before = read_state(bare_cloud.config.state_file)
    write_state(bare_cloud.config.state_file, dataclasses.replace(before, deployed=None))
    assert not bare_cloud.status().is_up
    assert bare_cloud.up().is_up
    assert before.ministack is not None
    assert not before.ministack.is_alive()


def test_an_up_that_fails_leaves_nothing_running(bare_cloud: EmbeddedCloud) -> None:
    repository = bare_cloud.config.root.parent / "repository"
    repository.mkdir()
    (repository / "app.py").write_text('raise ValueError("broken on purpose")')
    config = CloudConfig(
        root=bare_cloud.config.root, repository=repository, port=0, sagemaker_port=0
    )
    with pytest.raises(EmbeddedCloudError, match="broken on purpose"):
        EmbeddedCloud(config).up()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(config.root) not in processes.stdout
    assert read_state(config.state_file).ministack is None


def test_a_cloud_that_is_down_says_how_to_bring_it_up(bare_cloud: EmbeddedCloud) -> None:
    with pytest.raises(EmbeddedCloudError, match="framewright up"):
        bare_cloud.client("s3")


def test_a_new_account_has_no_jobs_of_an_earlier_one(bare_cloud: EmbeddedCloud) -> None:
    bare_cloud.up()
    request = job_request("again", entry_point=["python", "-c", "pass"])
    bare_cloud.client("sagemaker").create_processing_job(**request)
    bare_cloud.down()
    bare_cloud.up()
    with pytest.raises(ClientError, match="Could not find requested job"):
        bare_cloud.client("sagemaker").describe_processing_job(ProcessingJobName="again")


def session_members(leader: int) -> set[int]:
    """The processes of a session."""
    members = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader:
            members.add(int(folder.name))
    return members


def socket_inodes(pid: int) -> set[str]:
    """The inodes of a process's open sockets."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target.removeprefix("socket:[").rstrip("]"))
    return inodes


def tcp_lines() -> list[list[str]]:
    """The kernel's table of TCP sockets, both families."""
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()]
    return [line.split() for line in lines if not line.lstrip().startswith("sl")]
