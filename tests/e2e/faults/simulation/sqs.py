"""SQS: at least once, in no order, each message hidden while it is worked on."""

import itertools
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.s3 import error

MAX_RECEIVES = 5
"""As `stacks.constructs.queue` sets it."""


@dataclass(slots=True)
class Message:
    """One message; `visible_s` is when it can be received next."""

    message_id: str
    body: str
    visible_s: float
    receives: int = 0
    receipt: str = ""


@dataclass(slots=True)
class MessageQueue:
    """One queue and its dead letters."""

    visibility_timeout_s: float
    messages: dict[str, Message] = field(default_factory=dict)
    dead_letters: list[Message] = field(default_factory=list)


class Sqs:
    """The account's queues: a client's calls, and the poller's side of them."""

    def __init__(self, clock: Clock, visibility_timeouts_s: dict[str, float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._numbers = itertools.count()
        self.queues = {name: MessageQueue(s) for name, s in visibility_timeouts_s.items()}

    def get_queue_url(self, *, QueueName: str, **_: Any) -> dict[str, str]:
        if QueueName not in self.queues:
            raise error("AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl")
        return {"QueueUrl": f"https://sqs/{QueueName}"}

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, **_: Any
    ) -> dict[str, str]:
        if not 0 <= DelaySeconds <= 900:
            raise error("InvalidParameterValue", "SendMessage")
        return {"MessageId": self.put(QueueUrl.rpartition("/")[2], MessageBody, DelaySeconds)}

    def send_message_batch(
        self, *, QueueUrl: str, Entries: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        for entry in Entries:
            self.send_message(QueueUrl=QueueUrl, **{k: v for k, v in entry.items() if k != "Id"})
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], "Failed": []}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> None:
        queue = self.queues[QueueUrl.rpartition("/")[2]]
        with self._lock:
            for message in queue.messages.values():
                if message.receipt == ReceiptHandle:
                    message.visible_s = self._clock.now_s + VisibilityTimeout
                    return
        raise error("MessageNotInflight", "ChangeMessageVisibility")

    def put(self, name: str, body: str, delay_s: float = 0.0) -> str:
        """Put a message into a queue; its id."""
        with self._lock:
            message_id = f"m{next(self._numbers)}"
            message = Message(message_id, body, self._clock.now_s + delay_s)
            self.queues[name].messages[message_id] = message
        return message_id

    def receive(self, name: str, most: int) -> list[Message]:
        """Take up to so many visible messages in no order; those received too often are moved."""
        queue = self.queues[name]
        with self._lock:
            visible = [m for m in queue.messages.values() if m.visible_s <= self._clock.now_s]
            random.shuffle(visible)
            taken = []
            for message in visible[:most]:
                if message.receives >= MAX_RECEIVES:
                    queue.dead_letters.append(queue.messages.pop(message.message_id))
                    continue
                message.receives += 1
                message.receipt = f"{message.message_id}-{message.receives}"
                message.visible_s = self._clock.now_s + queue.visibility_timeout_s
                taken.append(message)
            return taken

    def delete(self, name: str, message_id: str, receipt: str) -> None:
        """Remove a message that was handled; one that was received again meanwhile stays."""
        with self._lock:
            message = self.queues[name].messages.get(message_id)
            if message is not None and message.receipt == receipt:
                del self.queues[name].messages[message_id]

    def next_visible_s(self) -> float | None:
        """When the next message of any queue can be received."""
        times = [m.visible_s for queue in self.queues.values() for m in queue.messages.values()]
        return min(times, default=None)

    @property
    def dead_letters(self) -> int:
        return sum(len(queue.dead_letters) for queue in self.queues.values())
