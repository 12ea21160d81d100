"""A stage in an AWS emulated in this process."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

from tests.lambdas.stage import ACCOUNT, REGION, Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """One stage, its buckets, queues, table and topic empty."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    _make_writes_atomic(monkeypatch)
    with mock_aws():
        yield Stage()


def _make_writes_atomic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between threads an emulated condition may change before it is acted on; in DynamoDB never."""
    call_action, lock = DynamoHandler.call_action, threading.Lock()

    def call_action_alone(handler: DynamoHandler) -> Any:
        with lock:
            return call_action(handler)

    monkeypatch.setattr(DynamoHandler, "call_action", call_action_alone)
