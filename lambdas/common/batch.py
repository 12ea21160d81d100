"""The frame of a function that reads an SQS queue: record by record, each failure named."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.queues import Queue

WAITS_S = (30, 120, 480, 1800, 0)
"""
Until a failed message comes again, by how often it came. The queue's own visibility timeout is made
for a slow batch, and far too long for a passing fault; together the waits outlast most outages.
After the last time there is nothing to wait for: it becomes a dead letter.
"""

Handler = Callable[[dict[str, Any], LambdaContext], PartialItemFailureResponse]


def queue_handler(
    handle: Callable[[str], tuple[str, Mapping[str, object]]], *, queue: Queue
) -> Handler:
    """
    A Lambda handler from a function of one message's body.

    Args:
        handle: Returns the name of the metric to count and the facts to log; what it raises makes
            SQS bring that message, and only that one, again.
        queue: The queue that feeds the function.
    """
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)

    def handle_record(record: SQSRecord) -> None:
        try:
            metric, facts = handle(record.body)
        except Exception:
            # The batch processor turns this into a name in the response and logs nothing itself.
            logger.exception("message failed and will come again", message_id=record.message_id)
            metrics.add_metric(name="MessagesFailed", unit=MetricUnit.Count, value=1)
            _postpone(record, queue)
            raise
        logger.info("message handled", extra=dict(facts))
        metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)

    @logger.inject_lambda_context
    @tracer.capture_lambda_handler
    @metrics.log_metrics
    def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        return process_partial_response(
            event=event, record_handler=handle_record, processor=processor, context=context
        )

    return handler


def _postpone(record: SQSRecord, queue: Queue) -> None:
    received = int(record.attributes.approximate_receive_count)
    wait_s = WAITS_S[min(received, len(WAITS_S)) - 1]
    with contextlib.suppress(ClientError):  # then it comes again by the queue's own timeout
        queue.postpone(record.receipt_handle, wait_s)
