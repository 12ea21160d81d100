"""The stage `dev` in simulated time: the Lambdas' own code between simulated services."""

import contextlib
import functools
import heapq
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from contracts.messages import InferenceRequest
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord
from lambdas.common.record import item_to_record
from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.delivery import Delivery, at_once
from tests.e2e.faults.simulation.functions import FUNCTIONS, Clients, Function
from tests.e2e.faults.simulation.s3 import S3, Version
from tests.e2e.faults.simulation.sagemaker import Ending, SageMaker
from tests.e2e.faults.simulation.seam import Execution, Fault, KilledError, Seam, Turnstile
from tests.e2e.faults.simulation.sns import Sns
from tests.e2e.faults.simulation.sqs import Sqs
from tests.lambdas.stage import MP4, NAMES, event

HORIZON_S = 24 * 3600.0
"""Far beyond every bound: what has not ended by then never will."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """An upload and how its one job may end."""

    key: str
    version_id: str
    states: tuple[JobState, ...]


class World:
    """
    One stage from its first upload to the end of its last job.

    Args:
        dynamodb: A client of a DynamoDB that holds an empty jobs table.

    Attributes:
        endings: How the containers ended that ran.
        told: Every event that S3 and SageMaker sent, with its queue, whatever became of it.
    """

    def __init__(
        self,
        clock: Clock,
        dynamodb: Any,
        *,
        fault: Fault | None = None,
        delivery: Delivery = at_once,
    ) -> None:
        self.clock = clock
        self.seam = Seam(self.clock, fault or Fault())
        self.delivery = delivery
        self.s3 = S3(self.clock)
        self.s3.on_created = self._tell_of_object
        self.sqs = Sqs(
            self.clock, {f.queue: 6 * f.timeout_s for f in FUNCTIONS.values() if f.queue}
        )
        self.sns = Sns(self.clock)
        self.sagemaker = SageMaker(
            self.clock, self.s3, ending_of=self._ending_of, on_end=self._tell_of_end
        )
        self._dynamodb = dynamodb
        self._endings: dict[str, Sequence[Ending]] = {}
        self._runs: dict[str, int] = {}
        self.endings: Counter[Ending] = Counter()
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self.expected: list[Expectation] = []
        self.told: list[tuple[str, str]] = []
        for function in FUNCTIONS.values():
            if function.every_s:
                self.at(function.every_s, functools.partial(self._tick, function.role))

    def at(self, when_s: float, action: Callable[[], object]) -> None:
        """Do something at a simulated time."""
        heapq.heappush(self._agenda, (when_s, next(self._numbers), action))

    def upload(
        self,
        key: str,
        *endings: Ending,
        ends: Sequence[JobState] = (JobState.SUCCEEDED,),
        body: bytes = MP4,
    ) -> str:
        """Upload a video whose attempts end so, one after the other, the last over and over."""
        self._endings[key] = endings or (Ending.WHOLE,)
        put = self.s3.put_object(Bucket=NAMES.uploads_bucket, Key=key, Body=body)
        version: str = put["VersionId"]
        self.expected.append(Expectation(key, version, tuple(ends)))
        return version

    def run(self) -> None:
        """Let time go by until nothing is left to do, or the horizon is reached."""
        while self.clock.now_s < HORIZON_S:
            if any(self._poll(function) for function in FUNCTIONS.values()):
                continue
            pending = (self.sqs.next_visible_s(), self.sagemaker.next_end_s, self._next_event_s())
            times = [when_s for when_s in pending if when_s is not None]
            if not times and self.is_settled:
                return
            times += [when_s for when_s, *_ in self._agenda[:1]]
            if not times:
                return
            self.clock.reach(min(times))
            while self._agenda and self._agenda[0][0] <= self.clock.now_s:
                heapq.heappop(self._agenda)[2]()
            self.sagemaker.end_due()

    @property
    def records(self) -> list[JobRecord]:
        """The whole ledger."""
        items = self._dynamodb.scan(TableName=NAMES.jobs_table, ConsistentRead=True)["Items"]
        return [item_to_record(item) for item in items if "state" in item]

    @property
    def is_settled(self) -> bool:
        """Whether every upload has a job that ended and was told of."""
        ended = {
            (record.source.key, record.source.version_id)
            for record in self.records
            if record.state.is_terminal and record.published
        }
        return ended >= {(upload.key, upload.version_id) for upload in self.expected}

    def execution(self, role: str) -> Execution:
        """A new invocation of a function."""
        return Execution(role, self.clock.now_s + FUNCTIONS[role].timeout_s)

    def clients(self, execution: Execution) -> Clients:
        """What an invocation has of AWS."""
        return Clients(
            s3=self.seam.client("s3", self.s3, execution),
            sqs=self.seam.client("sqs", self.sqs, execution),
            sns=self.seam.client("sns", self.sns, execution),
            sagemaker=self.seam.client("sagemaker", self.sagemaker, execution),
            dynamodb=self.seam.client("dynamodb", self._dynamodb, execution),
            clock=self.clock,
        )

    def invoke_at_once(self, calls: Sequence[tuple[str, str]], *, seed: int) -> None:
        """Invoke functions side by side, each with one message, their calls in random order."""
        turnstile = self.seam.turnstile = Turnstile(seed, len(calls))
        threads = [threading.Thread(target=self._work, args=(turnstile, *c)) for c in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seam.turnstile = None

    def end_next_jobs(self) -> None:
        """Let time go by until the next Processing jobs end."""
        if (end_s := self.sagemaker.next_end_s) is not None:
            self.clock.reach(end_s)
        self.sagemaker.end_due()

    def _work(self, turnstile: Turnstile, role: str, body: str) -> None:
        execution = self.execution(role)
        try:
            FUNCTIONS[role].handle(self.clients(execution), body)
        except Exception:  # noqa: BLE001  # as Lambda: the message comes again
            if queue := FUNCTIONS[role].queue:
                self.sqs.put(queue, body, delay_s=30)
        finally:
            turnstile.leave()

    def _poll(self, function: Function) -> bool:
        """Give a function a batch of its queue; False where there is none."""
        if not function.queue:
            return False
        batch = self.sqs.receive(function.queue, function.batch_size)
        if not batch:
            return False
        execution = self.execution(function.role)
        given = [(message.message_id, message.receipt) for message in batch]
        records = [
            {
                "messageId": message.message_id,
                "receiptHandle": message.receipt,
                "body": message.body,
                "attributes": {"ApproximateReceiveCount": str(message.receives)},
                "eventSource": "aws:sqs",
            }
            for message in batch
        ]
        try:
            response = function.invoke(self.clients(execution), {"Records": records}, execution)
        except KilledError:
            return True
        failed = {item["itemIdentifier"] for item in response["batchItemFailures"]}
        for message_id, receipt in given:
            if message_id not in failed:
                self.sqs.delete(function.queue, message_id, receipt)
        return True

    def _tick(self, role: str) -> None:
        """A schedule's time has come; a run that dies is not made again before the next."""
        function = FUNCTIONS[role]
        self.at(self.clock.now_s + (function.every_s or 0), functools.partial(self._tick, role))
        execution = self.execution(role)
        with contextlib.suppress(KilledError, ClientError):
            function.invoke(self.clients(execution), {}, execution)

    def _next_event_s(self) -> float | None:
        """When the next event arrives; the schedules' own times do not keep a world awake."""
        schedules = sum(1 for function in FUNCTIONS.values() if function.every_s)
        return self._agenda[0][0] if len(self._agenda) > schedules else None

    def _ending_of(self, request: InferenceRequest) -> Ending:
        key = request.source.key
        number = self._runs[key] = self._runs.get(key, -1) + 1
        endings = self._endings[key]
        ending = endings[min(number, len(endings) - 1)]
        self.endings[ending] += 1
        return ending

    def _tell_of_object(self, bucket: str, version: Version) -> None:
        if bucket != NAMES.uploads_bucket:
            return
        created = event("object_created")
        created["detail"]["object"] |= {
            "key": version.key,
            "size": len(version.body or b""),
            "etag": version.etag.strip('"'),
            "version-id": version.version_id,
            "sequencer": f"{next(self._numbers):016X}",
        }
        self._deliver(NAMES.uploads_queue, created)

    def _tell_of_end(self, name: str, status: str) -> None:
        changed = event("processing_job_state_change")
        changed["detail"] |= {"ProcessingJobName": name, "ProcessingJobStatus": status}
        self._deliver(NAMES.completions_queue, changed)

    def _deliver(self, queue: str, told: dict[str, Any]) -> None:
        body = json.dumps(told)
        self.told.append((queue, body))
        for delay_s in self.delivery(queue):
            self.at(self.clock.now_s + delay_s, functools.partial(self.sqs.put, queue, body))
