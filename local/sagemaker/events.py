"""State changes on their way to EventBridge, in order, repeated until they are taken."""

import json
import logging
import queue
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from local.sagemaker.jobs import ProcessingJob

if TYPE_CHECKING:
    from mypy_boto3_events.client import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

DETAIL_TYPE = "SageMaker Processing Job State Change"
SOURCE = "aws.sagemaker"
SERVICE_HEADER = "x-framewright-service"
SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
"""Names the sender to MiniStack, which takes `aws.*` events from services only."""

_MAX_BATCH = 10
"""https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"""
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_FLUSH_S = 2.0

logger = logging.getLogger(__name__)


class EventSender:
    """Puts events from a thread of its own, so that no job waits for EventBridge."""

    def __init__(self, client: "EventBridgeClient") -> None:
        client.meta.events.register("before-sign.events.PutEvents", _name_sender)
        self._client = client
        self._queue: queue.SimpleQueue[PutEventsRequestEntryTypeDef | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def send(self, job: ProcessingJob) -> None:
        """Queue the event for a job's new status."""
        self._queue.put(processing_job_event(job))

    def close(self) -> None:
        """Send what is queued, but do not wait long for an EventBridge that is gone."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(_FLUSH_S)

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            while len(batch) < _MAX_BATCH and not self._queue.empty():
                if (entry := self._queue.get()) is None:
                    self._put(batch)
                    return
                batch.append(entry)
            self._put(batch)

    def _put(self, batch: "list[PutEventsRequestEntryTypeDef]") -> None:
        tries = 0
        while batch:
            batch = self._refused(batch)
            if batch:
                if self._closing.is_set():
                    return
                self._closing.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1

    def _refused(
        self, batch: "list[PutEventsRequestEntryTypeDef]"
    ) -> "list[PutEventsRequestEntryTypeDef]":
        try:
            results = self._client.put_events(Entries=batch)["Entries"]
        except (BotoCoreError, ClientError) as error:
            logger.warning("EventBridge cannot be reached, trying again: %s", error)
            return batch
        refused = [e for e, result in zip(batch, results, strict=True) if "ErrorCode" in result]
        if refused:
            logger.warning("EventBridge refused %d events, trying again", len(refused))
        return refused


def processing_job_event(job: ProcessingJob) -> "PutEventsRequestEntryTypeDef":
    """
    The event for a job's status, as SageMaker sends it; times in milliseconds since the epoch.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    detail = {
        key: round(value * 1000) if key.endswith("Time") else value
        for key, value in job.describe().items()
    }
    return {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPE,
        "Time": datetime.fromtimestamp(job.modified_s, UTC),
        "Resources": [job.arn],
        "Detail": json.dumps(detail),
    }


def _name_sender(request: Any, **_: Any) -> None:
    request.headers[SERVICE_HEADER] = SERVICE_PRINCIPAL
