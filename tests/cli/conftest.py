"""A deployed stage behind real boto3 clients: moto keeps it in memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import boto3
import pytest
from moto import mock_aws

from cli.stage import Stage, read_pipeline_settings
from contracts.env import Names
from tests.cli.commands import Commands
from tests.lambdas.stage import create_table

REGION: Literal["eu-central-1"] = "eu-central-1"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials that open nothing, and no others."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", REGION)


@pytest.fixture
def account(credentials: None) -> Iterator[str]:
    """An account of AWS with nothing in it."""
    with mock_aws():
        yield boto3.client("sts", region_name=REGION).get_caller_identity()["Account"]


@pytest.fixture
def stage(account: str) -> Stage:
    """The stage `dev`, deployed, with the settings its uploads are checked by."""
    names = Names("dev", account, REGION)
    s3 = boto3.client("s3", region_name=REGION)
    for bucket in (names.uploads_bucket, names.results_bucket, names.models_bucket):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(
        Bucket=names.uploads_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    create_table(boto3.client("dynamodb", region_name=REGION))
    _feed(names, "dispatch", names.uploads_queue)
    _feed(names, "settle", names.completions_queue)
    _schedule(names)
    return Stage(
        names=names,
        client=lambda service: boto3.client(service, region_name=REGION),  # type: ignore[call-overload]
        settings=read_pipeline_settings("dev"),
    )


@pytest.fixture
def commands() -> Commands:
    """The command line."""
    return Commands()


def _feed(names: Names, role: str, queue: str) -> None:
    """A queue with its dead letters, and the function that it feeds."""
    sqs, functions = boto3.client("sqs", region_name=REGION), boto3.client("lambda", REGION)
    sqs.create_queue(QueueName=names.dead_letter_queue(queue))
    sqs.create_queue(QueueName=queue)
    trust = {"Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    role_arn = boto3.client("iam", REGION).create_role(
        RoleName=names.role(role),
        AssumeRolePolicyDocument=json.dumps({"Statement": [{"Effect": "Allow", **trust}]}),
    )["Role"]["Arn"]
    functions.create_function(
        FunctionName=names.function(role),
        Runtime="python3.13",
        Role=role_arn,
        Handler="handler.handler",
        Code={"ZipFile": b"nothing runs"},
    )
    # A queue of its own: moto would run the function for each message, in Docker.
    sqs.create_queue(QueueName=f"{queue}-apart")
    functions.create_event_source_mapping(
        EventSourceArn=names.arn("sqs", f"{queue}-apart"), FunctionName=names.function(role)
    )
    boto3.client("logs", REGION).create_log_group(
        logGroupName=f"/aws/lambda/{names.function(role)}"
    )


def _schedule(names: Names) -> None:
    boto3.client("sqs", REGION).create_queue(QueueName=names.reconcile_dead_letters)
    boto3.client("scheduler", REGION).create_schedule(
        Name=names.function("reconcile"),
        Description="Finds what was lost.",
        ScheduleExpression="rate(5 minutes)",
        ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": names.arn("lambda", f"function:{names.function('reconcile')}"),
            "RoleArn": names.role_arn("reconcile-schedule"),
            "RetryPolicy": {"MaximumRetryAttempts": 0},
        },
    )
