"""A deployed stage behind real boto3 clients: moto keeps it in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import boto3
import pytest
from moto import mock_aws

from cli.stage import Stage, read_pipeline_settings
from contracts.env import BY_STATE_INDEX, Names
from tests.cli.commands import Commands

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
    _create_jobs_table(names.jobs_table)
    return Stage(
        names=names,
        client=lambda service: boto3.client(service, region_name=REGION),  # type: ignore[call-overload]
        settings=read_pipeline_settings("dev"),
    )


@pytest.fixture
def commands() -> Commands:
    """The command line."""
    return Commands()


def _create_jobs_table(name: str) -> None:
    strings = ("job_id", "state_shard", "updated_at")
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": it, "AttributeType": "S"} for it in strings],
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_STATE_INDEX,
                "KeySchema": [
                    {"AttributeName": "state_shard", "KeyType": "HASH"},
                    {"AttributeName": "updated_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
