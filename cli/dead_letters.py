"""Dead letters: what lies in the dead-letter queues, what it is about, and the way back."""

import contextlib
import functools
import json
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.documents import DocumentError, from_dict
from contracts.env import Names, parse_processing_job
from contracts.messages import AttemptRequest, Completion, Source
from contracts.requests import JobCheck, ReprocessRequest
from lambdas.dispatch.intake import Upload

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HIDDEN_S = 120
"""How long a letter that is looked at is hidden; what stays is shown once all is seen."""
_BATCH = 10
POLL_S = 1
"""Long polling asks all of a queue's servers, so that an empty answer means an empty queue."""
_ERROR_ATTRIBUTES = (("ERROR_CODE", "ERROR_MESSAGE"), ("ErrorCode", "ErrorMessage"))
"""What EventBridge and Lambda write beside a letter that they could not deliver."""


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """
    One of a stage's dead-letter queues.

    Attributes:
        home: The queue that its letters go back to; None where nothing is lost by dropping them.
        function: Whose log tells why they died.
    """

    name: str
    home: str | None
    function: str


@dataclass(frozen=True, slots=True)
class Letter:
    """
    One message of a dead-letter queue.

    Attributes:
        about: A job's id or an object's URI; for people.
        job_id: Where the message names a job.
        source: Where the message names an object version.
        sent_ms: When it was sent at first, in milliseconds since the epoch.
        error: What the service that could not deliver it said.
    """

    queue: DeadLetterQueue
    message_id: str
    body: str
    receipt_handle: str
    about: str
    job_id: str | None
    source: Source | None
    sent_ms: int
    error: str | None


def dead_letter_queues(names: Names) -> dict[str, DeadLetterQueue]:
    """All of a stage's dead-letter queues, by the names that people use."""
    uploads, completions = names.uploads_queue, names.completions_queue
    return {
        "uploads": DeadLetterQueue(
            names.dead_letter_queue(uploads), uploads, names.function("dispatch")
        ),
        "completions": DeadLetterQueue(
            names.dead_letter_queue(completions), completions, names.function("settle")
        ),
        "reconcile": DeadLetterQueue(
            names.reconcile_dead_letters, None, names.function("reconcile")
        ),
    }


class DeadLetters:
    """Looks through dead-letter queues, and moves or drops what is in them."""

    def __init__(self, *, sqs: "SQSClient", account: str) -> None:
        self._sqs = sqs
        self._account = account
        self._moved: set[str] = set()

    def each(
        self, queue: DeadLetterQueue, *, wanted: Callable[[Letter], bool] = lambda _: True
    ) -> Generator[list[Letter], None, None]:
        """
        The wanted letters of a queue, some at a time; what is not taken out is shown again at once.

        Each letter comes once, whatever becomes of it.
        """
        url = self._url(queue.name)
        seen: set[str] = set()
        held: dict[str, str] = {}
        try:
            while letters := self._receive(queue, url):
                held |= {letter.message_id: letter.receipt_handle for letter in letters}
                new = [letter for letter in letters if letter.message_id not in seen]
                if not new:  # what was hidden first is back: all have been seen
                    return
                seen |= {letter.message_id for letter in new}
                if chosen := [letter for letter in new if wanted(letter)]:
                    yield chosen
        finally:
            self._show_again(url, [held[it] for it in held.keys() - self._moved])

    def move(self, letters: list[Letter]) -> None:
        """
        Send letters back to where they came from, or drop those that nothing is lost with.

        Sent first and then deleted: an interruption leaves a letter twice, which is harmless.
        """
        with ThreadPoolExecutor(_BATCH) as movers:
            list(movers.map(self._move, letters))

    def _move(self, letter: Letter) -> None:
        if letter.queue.home is not None:
            self._sqs.send_message(QueueUrl=self._url(letter.queue.home), MessageBody=letter.body)
        self._sqs.delete_message(
            QueueUrl=self._url(letter.queue.name), ReceiptHandle=letter.receipt_handle
        )
        self._moved.add(letter.message_id)

    def _receive(self, queue: DeadLetterQueue, url: str) -> list[Letter]:
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=POLL_S,
            VisibilityTimeout=HIDDEN_S,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return [_letter(queue, message) for message in answer.get("Messages", [])]

    def _show_again(self, url: str, handles: list[str]) -> None:
        def show(handle: str) -> None:
            with contextlib.suppress(self._sqs.exceptions.ClientError):  # gone, or shown already
                self._sqs.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
                )

        with ThreadPoolExecutor(_BATCH) as showers:
            list(showers.map(show, handles))

    @functools.cache  # noqa: B019  # lives as long as the command
    def _url(self, name: str) -> str:
        answer = self._sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=self._account)
        return answer["QueueUrl"]


def _letter(queue: DeadLetterQueue, message: Mapping[str, Any]) -> Letter:
    about, job_id, source = _subject(message["Body"])
    return Letter(
        queue=queue,
        message_id=message["MessageId"],
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
        about=about,
        job_id=job_id,
        source=source,
        sent_ms=int(message["Attributes"]["SentTimestamp"]),
        error=_error(message.get("MessageAttributes", {})) or _payload_error(message["Body"]),
    )


def _subject(body: str) -> tuple[str, str | None, Source | None]:
    """What a message is about: for people, as a job, as an object version."""
    try:
        message = json.loads(body)
        if "requestContext" in message:
            return f"run {message['requestContext']['requestId']}", None, None
        schema = message.get("schema")
        if schema in (AttemptRequest.SCHEMA, Completion.SCHEMA, JobCheck.SCHEMA):
            return message["job_id"], message["job_id"], None
        if schema == ReprocessRequest.SCHEMA:
            source = from_dict(ReprocessRequest, message).source
            return source.uri, None, source
        if name := message["detail"].get("ProcessingJobName"):
            return name, parse_processing_job(name)[1], None
        upload = Upload.from_event(message["detail"])
        source = Source(
            upload.bucket, upload.key, upload.etag, upload.size_bytes, upload.version_id
        )
    except (DocumentError, ValueError, KeyError, TypeError, AttributeError):
        return "(not a message of ours)", None, None
    return source.uri, None, source


def _error(attributes: Mapping[str, Any]) -> str | None:
    for names in _ERROR_ATTRIBUTES:
        said = [attributes[name]["StringValue"] for name in names if name in attributes]
        if said:
            return ": ".join(said)
    return None


def _payload_error(body: str) -> str | None:
    """
    What Lambda tells of an asynchronous run that died.

    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    try:
        said = json.loads(body)["responsePayload"]
        return f"{said.get('errorType', 'Error')}: {said['errorMessage']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
