"""A local SageMaker on a free loopback port, its S3 and EventBridge moto's."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import uvicorn
from moto import mock_aws

from local.config import LOOPBACK, REGION, REPOSITORY, free_port
from local.sagemaker.identity import Everyone
from local.sagemaker.run import RunSettings
from local.sagemaker.service import ServiceLimits, build_service

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sqs.client import SQSClient

BUCKET = "bucket"
ROLE = "arn:aws:iam::000000000000:role/processing"
OUTPUT = "/opt/ml/processing/output/results"
INPUT = "/opt/ml/processing/input/videos"
DEADLINE_S = 20.0


@dataclass(frozen=True)
class Clients:
    """Clients for all tests: making one takes longer than most tests."""

    s3: "S3Client"
    sqs: "SQSClient"
    events: "EventBridgeClient"
    sagemaker: "SageMakerClient"
    sagemaker_port: int


@pytest.fixture(scope="session")
def clients() -> Clients:
    """Clients of moto's S3, SQS and EventBridge, and of the local SageMaker on one port."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    port = free_port()
    return Clients(
        s3=session.client("s3"),
        sqs=session.client("sqs"),
        events=session.client("events"),
        sagemaker=session.client("sagemaker", endpoint_url=f"http://{LOOPBACK}:{port}"),
        sagemaker_port=port,
    )


@pytest.fixture
def s3(clients: Clients) -> "Iterator[S3Client]":
    """An S3 with one empty bucket; all of moto is up while a test uses it."""
    with mock_aws():
        clients.s3.create_bucket(Bucket=BUCKET)
        yield clients.s3


@dataclass
class LocalSageMaker:
    """A running service and what a test does with it."""

    client: "SageMakerClient"
    s3: "S3Client"
    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def script(self, code: str) -> list[str]:
        """An entry point that runs this code; `root` is its ML root."""
        path = self.folder / f"entry_point_{next(self.numbers)}.py"
        head = "import os, sys, time, json, signal, pathlib\n"
        root = 'root = pathlib.Path(os.environ["ML_ROOT"])\n'
        path.write_text(head + root + code)
        return ["python", str(path)]

    def create(self, code: str = "", *, name: str = "job", **changes: Any) -> str:
        """Create a job that runs this code, and return its name."""
        request = job_request(name, entry_point=self.script(code), **changes)
        self.client.create_processing_job(**request)
        return name

    def wait(self, name: str = "job", *statuses: str) -> dict[str, Any]:
        """The job's description once it has one of these statuses, or any final one."""
        wanted = statuses or ("Completed", "Failed", "Stopped")
        described: dict[str, Any] = {}

        def has_status() -> bool:
            described.update(self.client.describe_processing_job(ProcessingJobName=name))
            return described["ProcessingJobStatus"] in wanted

        eventually(has_status)
        return described

    def run(self, code: str = "", **changes: Any) -> dict[str, Any]:
        """Create a job and wait for its end."""
        return self.wait(self.create(code, **changes))

    def put(self, **objects: bytes) -> None:
        """Put objects; two underscores stand for a slash."""
        for key, body in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=key.replace("__", "/"), Body=body)

    def stored(self) -> set[str]:
        """Every key in the bucket."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {entry["Key"] for entry in listed}

    def read(self, key: str) -> bytes:
        """An object's content."""
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def log(self, name: str = "job", host: str = "algo-1") -> str:
        """What a container printed."""
        return (self.folder / "log" / name / f"{host}.log").read_text()


StartSageMaker = Callable[..., LocalSageMaker]


@pytest.fixture
def start_sagemaker(clients: Clients, s3: "S3Client", tmp_path: Path) -> Iterator[StartSageMaker]:
    """Starts a service with the given limits; called again it is a restart over the same state."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def stop() -> None:
        for server, thread in servers:
            server.should_exit = True
            thread.join(DEADLINE_S)
        servers.clear()

    def start(*, running: int = 4, quota: int = 100, keep: bool = False) -> LocalSageMaker:
        stop()
        application = build_service(
            journal=tmp_path / "jobs.jsonl",
            identity=Everyone(s3),
            events=clients.events,
            settings=RunSettings(
                work=tmp_path / "work",
                logs=tmp_path / "log",
                running=tmp_path / "running",
                repository=REPOSITORY,
                aws_environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
                stop_grace_s=0.5,
                keep_work_folders=keep,
                sweep_s=0.05,
            ),
            limits=ServiceLimits(running, quota),
        )
        listener = socket.create_server((LOOPBACK, clients.sagemaker_port))
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        servers.append((server, thread))
        return LocalSageMaker(clients.sagemaker, s3, tmp_path)

    yield start
    stop()


@pytest.fixture
def sagemaker(start_sagemaker: StartSageMaker) -> LocalSageMaker:
    """A service with the usual limits."""
    return start_sagemaker()


@pytest.fixture
def state_changes(clients: Clients, s3: "S3Client") -> "Callable[[], list[dict[str, Any]]]":
    """The events so far that a rule for Processing jobs brought into its queue."""
    sqs, events = clients.sqs, clients.events
    queue = sqs.create_queue(QueueName="state-changes")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Processing Job State Change"],
    }
    events.put_rule(Name="state-changes", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="state-changes", Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    received: list[dict[str, Any]] = []

    def receive() -> list[dict[str, Any]]:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        received.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return received

    return receive


def job_request(name: str, *, entry_point: list[str], **changes: Any) -> dict[str, Any]:
    """A valid request; `count`, `inputs`, `outputs` and `max_runtime_s` are short for its parts."""
    request: dict[str, Any] = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": entry_point},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": changes.pop("count", 1),
                "VolumeSizeInGB": 10,
            }
        },
        "ProcessingInputs": changes.pop("inputs", []),
        "ProcessingOutputConfig": {"Outputs": changes.pop("outputs", [])},
    }
    if max_runtime_s := changes.pop("max_runtime_s", None):
        request["StoppingCondition"] = {"MaxRuntimeInSeconds": max_runtime_s}
    return request | changes


def s3_input(uri: str = f"s3://{BUCKET}/in/", **changes: Any) -> dict[str, Any]:
    """One input, File mode, of everything below a prefix."""
    place = {
        "S3Uri": uri,
        "LocalPath": INPUT,
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": "videos", "S3Input": place | changes}


def s3_output(mode: str, uri: str = f"s3://{BUCKET}/out") -> dict[str, Any]:
    """One output."""
    place = {"S3Uri": uri, "LocalPath": OUTPUT, "S3UploadMode": mode}
    return {"OutputName": "results", "S3Output": place}


def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail when it never does."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
