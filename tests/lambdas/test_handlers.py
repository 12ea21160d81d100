"""The functions as Lambda runs them: environment in, one SQS batch in, failures named."""

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from contracts.documents import to_json
from contracts.messages import AttemptRequest
from contracts.outcomes import JobState
from tests.lambdas.stage import ACCOUNT, NAMES, RECONCILE, REGION, SETTINGS, TEMPLATE, Stage, event

Load = Callable[[str], ModuleType]


@dataclass
class Context:
    """What Powertools reads of Lambda's context."""

    function_name: str = "framewright-dev-dispatch"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def load(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a role's handler module anew, with the environment that the stack sets."""
    variables = {
        "FRAMEWRIGHT_STAGE": "dev",
        "FRAMEWRIGHT_ACCOUNT_ID": ACCOUNT,
        "FRAMEWRIGHT_PARTITION": "aws",
        "FRAMEWRIGHT_SETTINGS": to_json(SETTINGS),
        "FRAMEWRIGHT_JOB_TEMPLATE": to_json(TEMPLATE),
        "FRAMEWRIGHT_RECONCILE": to_json(RECONCILE),
        "POWERTOOLS_SERVICE_NAME": "test",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def load_role(role: str) -> ModuleType:
        for name in ("lambdas.common.observability", "lambdas.common.batch"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delitem(sys.modules, f"lambdas.{role}.handler", raising=False)
        return importlib.import_module(f"lambdas.{role}.handler")

    yield load_role
    for role in ("dispatch", "settle", "reconcile"):
        sys.modules.pop(f"lambdas.{role}.handler", None)


def batch(*bodies: str) -> dict[str, Any]:
    """An SQS batch of these bodies, with message ids m0, m1, …"""
    (record,) = event("sqs_batch")["Records"]
    return {
        "Records": [
            record | {"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)
        ]
    }


def failures(response: dict[str, Any]) -> list[str]:
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def test_dispatch_names_the_messages_that_failed_and_does_the_others(
    stage: Stage, load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = load("dispatch").handler
    good, other = stage.upload("a.mp4"), stage.upload("b c.MP4")
    early = to_json(AttemptRequest("0" * 32, 1))
    response = handler(batch(good, "not json", other, early, good), Context())

    assert failures(response) == ["m1", "m3"]
    assert {job.source.key for job in stage.jobs()} == {"a.mp4", "b c.MP4"}
    assert {job.state for job in stage.jobs()} == {JobState.DISPATCHED}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert metrics["AttemptsStarted"] == [1.0, 1.0]
    assert metrics["MessagesFailed"] == [1.0, 1.0]
    assert metrics["Duplicates"] == [1.0]
    handled = [line for line in lines if line.get("message") == "message handled"]
    assert all(line["job_id"] and line["function_request_id"] == "request" for line in handled)


def test_a_batch_that_fails_wholly_is_named_wholly(load: Load) -> None:
    handler = load("dispatch").handler
    assert failures(handler(batch("{", "}"), Context())) == ["m0", "m1"]


def test_settle_names_the_messages_that_failed_and_does_the_others(
    stage: Stage, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("settle")
    job = stage.started()
    stage.write_attempt(job)
    ended = stage.ended(job)
    monkeypatch.setattr(module, "settler", stage.settler())
    response = module.handler(batch("[]", ended), Context())
    assert failures(response) == ["m0"]
    assert stage.job(job.job_id).state is JobState.SUCCEEDED


@pytest.mark.parametrize(("received", "wait_s"), [(1, 30), (2, 120), (4, 1800), (5, 0)])
def test_a_message_that_fails_comes_again_sooner_than_its_queue_would_bring_it(
    stage: Stage, load: Load, received: int, wait_s: int
) -> None:
    handler = load("dispatch").handler
    queue = stage.urls[NAMES.uploads_queue]
    stage.sqs.send_message(QueueUrl=queue, MessageBody="not json")
    (message,) = stage.sqs.receive_message(QueueUrl=queue)["Messages"]
    failing = batch("not json")
    failing["Records"][0]["receiptHandle"] = message["ReceiptHandle"]
    failing["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(received)

    assert failures(handler(failing, Context())) == ["m0"]

    (waiting,) = sqs_backends[ACCOUNT][REGION].queues[NAMES.uploads_queue]._messages
    assert waiting.visible_at / 1000 - time.time() == pytest.approx(wait_s, abs=5)


def test_settles_own_parts_are_those_of_the_stage(stage: Stage, load: Load) -> None:
    settler = load("settle").settler
    assert settler.names == NAMES
    assert settler.advancer.settings == SETTINGS


def test_a_run_of_reconcile_counts_what_it_found(
    stage: Stage, load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load("reconcile")
    stage.started()
    later = stage.reconciler(after=timedelta(hours=1))
    monkeypatch.setattr(module, "reconciler", later)
    module.handler({}, Context())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert (metrics["JobsChecked"], metrics["AttemptsAskedAgain"]) == ([1.0], [0.0])
    assert (metrics["UploadsFound"], metrics["RunsOutOfTime"]) == ([0.0], [0.0])


def test_a_run_of_reconcile_leaves_time_for_the_step_that_is_under_way(
    stage: Stage, load: Load
) -> None:
    class Late(Context):
        def get_remaining_time_in_millis(self) -> int:
            return 10_000

    stage.upload("lost.mp4")
    load("reconcile").handler({}, Late())
    assert stage.messages(NAMES.uploads_queue) == []


@pytest.mark.parametrize("role", ["dispatch", "settle"])
@pytest.mark.parametrize(
    "variable", ["FRAMEWRIGHT_STAGE", "FRAMEWRIGHT_PARTITION", "FRAMEWRIGHT_SETTINGS"]
)
def test_a_function_without_its_environment_does_not_load(
    load: Load, role: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(LookupError, match=f"the environment variable {variable} is missing"):
        load(role)
