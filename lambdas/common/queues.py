"""Sending documents to the stage's queues."""

from typing import TYPE_CHECKING

from contracts.documents import Document, to_json

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

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
        """Send a document, visible after a delay."""
        self.send_text(to_json(document), delay_s=delay_s)

    def send_text(self, body: str, *, delay_s: int = 0) -> None:
        """Send a body as it is, visible after a delay."""
        self._sqs.send_message(
            QueueUrl=self._resolve(), MessageBody=body, DelaySeconds=min(delay_s, MAX_DELAY_S)
        )

    def _resolve(self) -> str:
        if self._url is None:
            self._url = self._sqs.get_queue_url(
                QueueName=self._name, QueueOwnerAWSAccountId=self._account
            )["QueueUrl"]
        return self._url
