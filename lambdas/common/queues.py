"""The stage's queues: sending documents, and letting a message wait."""

from typing import TYPE_CHECKING

from contracts.documents import Document, to_json

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_ESCAPED = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}
"""
Keys may hold what SQS does not take; JSON may write it otherwise.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""
MAX_DELAY_S = 900
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html"""


class Queue:
    """One SQS queue, found by its name at the first message."""

    def __init__(self, *, sqs: "SQSClient", name: str, account: str) -> None:
        self._sqs = sqs
        self._name = name
        self._account = account
        self._url: str | None = None

    def send(self, document: Document, *, delay_s: int = 0) -> None:
        """Send a document, visible after a delay of at most `MAX_DELAY_S`."""
        body = to_json(document).translate(_ESCAPED)
        self._sqs.send_message(QueueUrl=self._resolve(), MessageBody=body, DelaySeconds=delay_s)

    def postpone(self, receipt_handle: str, delay_s: int) -> None:
        """Let a message that is being handled come again after so long, and no sooner."""
        self._sqs.change_message_visibility(
            QueueUrl=self._resolve(), ReceiptHandle=receipt_handle, VisibilityTimeout=delay_s
        )

    def _resolve(self) -> str:
        if self._url is None:
            self._url = self._sqs.get_queue_url(
                QueueName=self._name, QueueOwnerAWSAccountId=self._account
            )["QueueUrl"]
        return self._url
