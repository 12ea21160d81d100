"""
What dispatch does with one message of the uploads queue.

Every step may be repeated: the ledger's entry is conditional, the backend's job has a determined
name, and the transition is conditional. So a message that comes twice, or again after a crash
between any two steps, changes nothing that was done and completes what was not.
"""

import json
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from contracts.documents import from_json
from contracts.env import Names
from contracts.messages import (
    AttemptRequest,
    Completion,
    InferenceRequest,
    inference_request,
)
from contracts.outcomes import JobState, Outcome
from contracts.pipeline import PipelineSettings
from lambdas.common.backends import Backend, BackendBusyError
from lambdas.common.ledger import JobRecord, Ledger, new_record, utc_now
from lambdas.common.queues import Queue
from lambdas.dispatch.intake import Ignored, Job, Upload, take_in

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUSY_DELAYS_S = (60, 180)
"""How long an attempt waits when the backend takes no more: a job frees its instance in minutes,
and those that wait should not all come back at once."""


class Done(StrEnum):
    """What became of a message; also the name of its metric."""

    IGNORED = "UploadsIgnored"
    STARTED = "AttemptsStarted"
    REFUSED = "UploadsRefused"
    DUPLICATE = "Duplicates"
    DEFERRED = "StartsDeferred"


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, for the log: the job's id where there is one, and a sentence."""

    done: Done
    job_id: str | None
    detail: str


class NotYetError(Exception):
    """The ledger is behind the message: the message must come again."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The parts that dispatch works with."""

    s3: "S3Client"
    names: Names
    settings: PipelineSettings
    ledger: Ledger
    backend: Backend
    uploads: Queue
    completions: Queue

    def handle(self, body: str) -> Step:
        """
        Do what one message asks.

        Raises:
            ValueError: The message is none of ours.
            NotYetError: The message must come again.
        """
        message = json.loads(body)
        if isinstance(message, dict) and message.get("schema") == AttemptRequest.SCHEMA:
            return self._handle_attempt(from_json(AttemptRequest, body))
        upload = Upload.from_event(message.get("detail", {}) if isinstance(message, dict) else {})
        taken = take_in(upload, s3=self.s3, names=self.names, settings=self.settings)
        if isinstance(taken, Ignored):
            return Step(Done.IGNORED, None, f"{upload.key!r}: {taken.reason}")
        return self._enter(taken)

    def _enter(self, job: Job) -> Step:
        record = new_record(
            job_id=job.job_id,
            source=job.source,
            model=job.model,
            selection=job.selection,
            now=utc_now(),
        )
        if not self.ledger.create(record):
            known = self.ledger.get(job.job_id)
            if known is None or known.state is not JobState.RECEIVED:
                return Step(Done.DUPLICATE, job.job_id, "the ledger has this job already")
            record = known
        if job.fault is None:
            return self._start(record)
        code, sentence = job.fault
        refusal = Completion(
            record.job_id, record.attempt, Outcome.REJECTED, code=code, message=sentence
        )
        self.completions.send(refusal)
        return Step(Done.REFUSED, record.job_id, f"{code}: {sentence}")

    def _handle_attempt(self, asked: AttemptRequest) -> Step:
        record = self.ledger.get(asked.job_id)
        if record is None:
            raise ValueError(f"the ledger has no job {asked.job_id}")
        if record.state.is_terminal or record.attempt > asked.attempt:
            return Step(Done.DUPLICATE, record.job_id, f"the job is past attempt {asked.attempt}")
        if record.attempt < asked.attempt:
            raise NotYetError(f"job {asked.job_id} is at attempt {record.attempt} still")
        if record.state is not JobState.RECEIVED:
            return Step(Done.DUPLICATE, record.job_id, f"attempt {asked.attempt} was started")
        return self._start(record)

    def _start(self, record: JobRecord) -> Step:
        try:
            reference = self.backend.start(request_of(record, self.names))
        except BackendBusyError as error:
            # A fresh message spends no receive of this one, so that waiting never dead-letters it,
            # and asks for the job that the ledger has, whatever becomes of the object meanwhile.
            waiting = AttemptRequest(record.job_id, record.attempt)
            delay_s = random.randint(*BUSY_DELAYS_S)  # noqa: S311  # no secret
            self.uploads.send(waiting, delay_s=delay_s)
            return Step(Done.DEFERRED, record.job_id, f"{self.backend.route} is busy: {error}")
        self.ledger.dispatched(
            record.job_id,
            record.attempt,
            route=self.backend.route,
            reason="It is the stage's only route.",
            backend_ref=reference,
        )
        return Step(Done.STARTED, record.job_id, reference)


def request_of(record: JobRecord, names: Names) -> InferenceRequest:
    """What a backend is asked for a job's current attempt."""
    return inference_request(
        source=record.source,
        model=record.model,
        selection=record.selection,
        attempt=record.attempt,
        results_bucket=names.results_bucket,
    )
