"""State changes on their way to EventBridge."""

import json
import threading
from typing import Any, cast

from botocore.exceptions import EndpointConnectionError
from botocore.hooks import HierarchicalEmitter

from local.sagemaker.events import EventSender
from local.sagemaker.jobs import JobStatus, ProcessingJob
from tests.local.conftest import eventually, job_request


class UnreliableEventBridge:
    """Cannot be reached, then refuses every other event, then takes all."""

    class meta:  # noqa: N801 - the name that boto3's clients have
        events = HierarchicalEmitter()

    def __init__(self) -> None:
        self.calls = 0
        self.taken: list[str] = []
        self.batches: list[int] = []
        self.may_answer = threading.Event()

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.may_answer.wait(5)
        self.calls += 1
        self.batches.append(len(Entries))
        if self.calls == 1:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
        refuse = self.calls == 2
        results: list[dict[str, str]] = []
        for number, entry in enumerate(Entries):
            if refuse and number % 2:
                results.append({"ErrorCode": "ThrottlingException"})
            else:
                self.taken.append(json.loads(entry["Detail"])["ProcessingJobName"])
                results.append({"EventId": "1"})
        return {"Entries": results}


def ended_job(name: str) -> ProcessingJob:
    """A job that has ended."""
    return ProcessingJob(job_request(name, entry_point=["x"]), JobStatus.COMPLETED, 1.0, 2.0)


def test_events_are_repeated_until_each_was_taken_once() -> None:
    bridge = UnreliableEventBridge()
    sender = EventSender(cast(Any, bridge))
    names = [f"job-{number}" for number in range(25)]
    for name in names:
        sender.send(ended_job(name))
    bridge.may_answer.set()
    eventually(lambda: len(bridge.taken) >= len(names))
    sender.close()
    assert sorted(bridge.taken) == sorted(names)
    assert max(bridge.batches) <= 10


def test_closing_does_not_wait_for_an_eventbridge_that_is_gone() -> None:
    bridge = UnreliableEventBridge()
    sender = EventSender(cast(Any, bridge))
    sender.send(ended_job("job"))
    eventually(lambda: True)
    bridge.may_answer.set()
    sender.close()
    assert bridge.calls <= 2
