"""The Lambdas' own code between simulated services, with every message in a test's hands."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

from contracts.documents import from_json, to_json
from contracts.env import parse_processing_job
from contracts.keys import LEFTOVER_TAG, attempt_prefix, result_key
from contracts.messages import AttemptRequest, Completion, JobOutcome
from contracts.outcomes import JobState, Outcome, RejectionCode
from contracts.results import ResultDocument
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.record import item_to_record
from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.dynamodb import DynamoDb
from tests.e2e.faults.simulation.functions import FUNCTIONS, Clients
from tests.e2e.faults.simulation.s3 import S3, Version
from tests.e2e.faults.simulation.sagemaker import Ending, SageMaker
from tests.e2e.faults.simulation.seam import Execution, Fault, KilledError, Seam
from tests.lambdas.stage import NAMES, create_table, event

UPLOADS, COMPLETIONS = NAMES.uploads_queue, NAMES.completions_queue
ROLES = {UPLOADS: "dispatch", COMPLETIONS: "settle"}
REST_ROUNDS = 60
"""Hours within which all must have ended once nothing goes wrong any more."""

CrashAt = tuple[int, bool]
"""At which call to die, and whether it takes effect."""
Meanwhile = tuple[int, Callable[[], None]]
"""Before which call something else happens, and what."""


class Disturbance(Fault):
    """Dies at a call by its number, or lets something else happen before one."""

    def __init__(self, crash: CrashAt | None, meanwhile: Meanwhile | None) -> None:
        super().__init__()
        self._crash = crash
        self._meanwhile = meanwhile
        self._calls = -1

    def before(self, execution: Execution, clock: Clock) -> None:
        self._calls += 1
        if self._meanwhile is not None and self._meanwhile[0] == self._calls:
            self._meanwhile[1]()
        self._strike(after=False)

    def after(self, execution: Execution, clock: Clock) -> None:
        self._strike(after=True)

    def _strike(self, *, after: bool) -> None:
        if self._crash == (self._calls, after):
            raise KilledError(self._crash)


class Bag:
    """Both queues: messages that wait until somebody picks one."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def get_queue_url(self, *, QueueName: str, **_: Any) -> dict[str, str]:  # noqa: N803
        return {"QueueUrl": QueueName}

    def send_message(self, *, QueueUrl: str, MessageBody: str, **_: Any) -> None:  # noqa: N803
        self.messages.append((QueueUrl, MessageBody))


class LedgerWorld:
    """One stage, in which nothing happens by itself."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.s3 = S3(self.clock)
        self.s3.on_created = self._hear_of_object
        self.dynamodb = DynamoDb()
        create_table(self.dynamodb)
        self.sagemaker = SageMaker(
            self.clock, self.s3, ending_of=lambda _: self._ending, on_end=self._hear_of_end
        )
        self._bag = Bag()
        self._ending = Ending.WHOLE
        self._heard = True
        self.told: list[JobOutcome] = []
        self.uploaded: set[tuple[str, str]] = set()

    @property
    def messages(self) -> list[tuple[str, str]]:
        return self._bag.messages

    @property
    def records(self) -> list[JobRecord]:
        items = self.dynamodb.scan(TableName=NAMES.jobs_table)["Items"]
        return [item_to_record(item) for item in items if "state" in item]

    @property
    def running(self) -> list[str]:
        jobs = self.sagemaker.jobs.items()
        return [name for name, job in jobs if job["ProcessingJobStatus"] == "InProgress"]

    def publish(self, *, Message: str, **_: Any) -> None:  # noqa: N803
        """The outcomes topic."""
        self.told.append(from_json(JobOutcome, Message))

    def upload(self, key: str, body: bytes, *, heard: bool) -> None:
        self.clock.pass_(1)
        self._heard = heard
        put = self.s3.put_object(Bucket=NAMES.uploads_bucket, Key=key, Body=body)
        self.uploaded.add((key, put["VersionId"]))

    def deliver(
        self,
        number: int,
        *,
        keep: bool = False,
        crash: CrashAt | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> None:
        """Let a function handle a message, which is gone afterwards if the function says so."""
        if not self.messages:
            return
        queue, body = message = self._pick(number)
        handled = False
        with contextlib.suppress(Exception, KilledError):  # as Lambda: the message comes again
            clients = self._clients(ROLES[queue], crash, meanwhile)
            FUNCTIONS[ROLES[queue]].handle(clients, body)
            handled = True
        if handled and not keep and message in self.messages:
            self.messages.remove(message)

    def deliver_all(self) -> None:
        """Let every message that waits now be handled once."""
        for number in reversed(range(len(self.messages))):
            self.deliver(number)

    def lose(self, number: int) -> None:
        self.messages.remove(self._pick(number))

    def end_next_job(self, ending: Ending, *, heard: bool) -> None:
        self._ending, self._heard = ending, heard
        self.clock.reach(self.sagemaker.next_end_s or 0)
        self.sagemaker.end_due()

    def arrive_late(self, number: int) -> None:
        """Let what an ended attempt had written arrive in S3, while its end's message waits."""
        queue, body = self._pick(number)
        name = json.loads(body).get("detail", {}).get("ProcessingJobName")
        if queue == COMPLETIONS and name and self.sagemaker.jobs[name].get("FailureReason"):
            _, job_id, attempt, start = parse_processing_job(name)
            if start == 1 and "CapacityError" not in self.sagemaker.jobs[name]["FailureReason"]:
                self.sagemaker.arrive_late(job_id, attempt)

    def reconcile(self, *, crash: CrashAt | None = None) -> None:
        with contextlib.suppress(KilledError):
            FUNCTIONS["reconcile"].handle(self._clients("reconcile", crash), "")

    def cancel(self, number: int) -> None:
        """As the operator's command does it."""
        job = self.records[number % len(self.records)]
        ended = Completion(
            job.job_id,
            job.attempt,
            Outcome.REJECTED,
            code=RejectionCode.CANCELLED,
            message="An operator cancelled the job.",
        )
        self.messages.append((COMPLETIONS, to_json(ended)))

    def redrive(self, job: JobRecord, *, dies: bool) -> None:
        """As the operator's command does it, which may die before it has sent the message."""
        ledger = Ledger(
            client=self.dynamodb,  # type: ignore[arg-type]
            table=NAMES.jobs_table,
            now=self.clock.ledger_now,
        )
        assert ledger.redrive(job.job_id, job.attempt, note="An operator redrove the job.")
        if not dies:
            self.messages.append((UPLOADS, to_json(AttemptRequest(job.job_id, job.attempt + 1))))

    def come_to_rest(self) -> None:
        """Let nothing go wrong any more, until all has ended and no message waits."""
        self.sagemaker.most_running = None
        for _ in range(REST_ROUNDS):
            self.deliver_all()
            while self.running:
                self.end_next_job(Ending.WHOLE, heard=True)
            self.clock.pass_(3600)
            self.reconcile()
            jobs = self.records
            known = {(job.source.key, job.source.version_id) for job in jobs}
            done = all(job.state.is_terminal and job.published for job in jobs)
            if done and known == self.uploaded and not (self.messages or self.running):
                return

    def results(self, job: JobRecord) -> list[Version]:
        key = result_key(job.source.key, job.job_id)
        return self.s3.versions(NAMES.results_bucket, key)

    def check_files(self, job: JobRecord, version: Version) -> None:
        """That a committed result names whole files of the attempt that the ledger names."""
        result = from_json(ResultDocument, version.body or b"")
        assert (result.job_id, result.attempt) == (job.job_id, job.attempt)
        for file in result.files:
            (*_, latest) = self.s3.versions(result.bucket, result.prefix + file.name)
            assert hashlib.sha256(latest.body or b"").hexdigest() == file.sha256

    def untagged_leftovers(self, job: JobRecord) -> list[str]:
        """Objects of attempts that no result names and that no lifecycle rule would find."""
        name, value = LEFTOVER_TAG
        kept = attempt_prefix(job.source.key, job.job_id, job.attempt)
        prefix = result_key(job.source.key, job.job_id).removesuffix("result.json") + "attempt-"
        listed = self.s3.list_objects_v2(Bucket=NAMES.results_bucket, Prefix=prefix)["Contents"]
        return [
            found["Key"]
            for found in listed
            if not (job.state is JobState.SUCCEEDED and found["Key"].startswith(kept))
            and self.s3.versions(NAMES.results_bucket, found["Key"])[-1].tags
            != [{"Key": name, "Value": value}]
        ]

    def _pick(self, number: int) -> tuple[str, str]:
        """A message by number, from the latest on: what matters most is what came last."""
        return self.messages[-1 - number % len(self.messages)]

    def _clients(
        self, role: str, crash: CrashAt | None, meanwhile: Meanwhile | None = None
    ) -> Clients:
        execution = Execution(role, deadline_s=float("inf"))
        seam = Seam(self.clock, Disturbance(crash, meanwhile))
        return Clients(
            s3=seam.client("s3", self.s3, execution),
            sqs=seam.client("sqs", self._bag, execution),
            sns=seam.client("sns", self, execution),
            sagemaker=seam.client("sagemaker", self.sagemaker, execution),
            dynamodb=seam.client("dynamodb", self.dynamodb, execution),
            clock=self.clock,
        )

    def _hear_of_object(self, bucket: str, version: Version) -> None:
        if bucket != NAMES.uploads_bucket or not self._heard:
            return
        created = event("object_created")
        created["detail"]["object"] |= {
            "key": version.key,
            "size": len(version.body or b""),
            "etag": version.etag.strip('"'),
            "version-id": version.version_id,
        }
        self.messages.append((UPLOADS, json.dumps(created)))

    def _hear_of_end(self, name: str, status: str) -> None:
        if self._heard:
            changed = event("processing_job_state_change")
            changed["detail"] |= {"ProcessingJobName": name, "ProcessingJobStatus": status}
            self.messages.append((COMPLETIONS, json.dumps(changed)))
