"""
What dispatch does with one message of the uploads queue.

Every step may be repeated: the ledger's entry is conditional, the backend's job has a determined
name, and the transition is conditional. So a message that comes twice, or again after a crash
between any two steps, changes nothing that was done and completes what was not.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from contracts.documents import from_json
from contracts.env import Names
from contracts.messages import (
    METADATA_MODEL,
    METADATA_SELECT,
    AttemptRequest,
    Completion,
    InferenceRequest,
    inference_request,
)
from contracts.outcomes import JobState, Outcome, RejectionCode
from contracts.pipeline import PipelineSettings
from contracts.requests import JobCheck, ReprocessRequest
from lambdas.common.backends import Backend, BackendBusyError
from lambdas.common.ledger import JobRecord, Ledger, new_record
from lambdas.common.queues import Queue
from lambdas.common.source import source_fault
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
        schema = message.get("schema") if isinstance(message, dict) else None
        if schema == AttemptRequest.SCHEMA:
            return self._handle_attempt(from_json(AttemptRequest, body))
        if schema == ReprocessRequest.SCHEMA:
            return self._handle_reprocess(from_json(ReprocessRequest, body))
        upload = Upload.from_event(message.get("detail", {}) if isinstance(message, dict) else {})
        return self._handle_upload(upload, asked={})

    def _handle_upload(self, upload: Upload, *, asked: Mapping[str, str]) -> Step:
        taken = take_in(upload, s3=self.s3, names=self.names, settings=self.settings, asked=asked)
        if isinstance(taken, Ignored):
            return Step(Done.IGNORED, None, f"{upload.key!r}: {taken.reason}")
        return self._enter(taken, upload.sequencer)

    def _handle_reprocess(self, request: ReprocessRequest) -> Step:
        if request.source.bucket != self.names.uploads_bucket:
            raise ValueError(
                f"the source is in {request.source.bucket}, not in {self.names.uploads_bucket}"
            )
        asked = {METADATA_MODEL: request.model, METADATA_SELECT: request.selection}
        return self._handle_upload(
            Upload.from_source(request.source),
            asked={name: value for name, value in asked.items() if value is not None},
        )

    def _enter(self, job: Job, sequencer: str | None) -> Step:
        record = new_record(
            job_id=job.job_id,
            source=job.source,
            model=job.model,
            selection=job.selection,
            now=self.ledger.now(),
            fault=job.fault,
            sequencer=None if job.source.version_id else sequencer,
        )
        if self.ledger.create(record):
            return self._start(record)
        known = self.ledger.get(job.job_id)
        if known is not None and self._is_back(known, record.sequencer):
            return self._start(self.ledger.get(job.job_id) or known)
        # Whoever moved the job, or lets it wait, also sent the message that takes it on.
        moved = known is None or known.state is not JobState.RECEIVED
        if known is None or moved or (known.attempt, known.start, known.waits) != (1, 1, 0):
            return Step(Done.DUPLICATE, job.job_id, "the ledger has this job already")
        return self._start(known)

    def _is_back(self, known: JobRecord, sequencer: str | None) -> bool:
        """Whether the same bytes are back under a key without versions, and the job begins anew."""
        return (
            known.state is JobState.REJECTED
            and sequencer is not None
            and self.ledger.reopen(known.job_id, known.attempt, sequencer=sequencer)
        )

    def _handle_attempt(self, asked: AttemptRequest) -> Step:
        record = self.ledger.get(asked.job_id)
        if record is None:
            raise ValueError(f"the ledger has no job {asked.job_id}")
        at, wanted = (record.attempt, record.start), (asked.attempt, asked.start)
        if record.state.is_terminal or at > wanted:
            return Step(Done.DUPLICATE, record.job_id, f"the job is past attempt {asked.attempt}")
        if at < wanted:
            raise NotYetError(f"job {asked.job_id} is at attempt {record.attempt} still")
        if record.state is not JobState.RECEIVED:
            return Step(Done.DUPLICATE, record.job_id, f"attempt {asked.attempt} was started")
        if record.waits > asked.waits:
            return Step(Done.DUPLICATE, record.job_id, "a later message waits for the same start")
        return self._start(record)

    def _start(self, record: JobRecord) -> Step:
        if record.committing is not None:
            self.completions.send(JobCheck(record.job_id))
            return Step(Done.DUPLICATE, record.job_id, f"attempt {record.committing} is whole")
        if fault := self._fault(record):
            return self._refuse(record, *fault)
        try:
            request = request_of(record, self.names)
            reference = self.backend.start(request, number=record.start)
        except BackendBusyError as error:
            return self._wait(record, f"{self.backend.route} is busy: {error}")
        self.ledger.dispatched(
            record.job_id,
            record.attempt,
            route=self.backend.route,
            reason="It is the stage's only route.",
            backend_ref=reference,
            start=record.start,
            waited=record.waits,
        )
        return Step(Done.STARTED, record.job_id, reference)

    def _fault(self, record: JobRecord) -> tuple[str, str] | None:
        """Why the job is not worth a backend: found when it was taken in, or in S3 now."""
        if record.code in set(RejectionCode):
            return record.code, record.message or ""
        return source_fault(record.source, now=self.ledger.now(), s3=self.s3)

    def _refuse(self, record: JobRecord, code: str, sentence: str) -> Step:
        refusal = Completion(
            record.job_id, record.attempt, Outcome.REJECTED, code=code, message=sentence
        )
        self.completions.send(refusal)
        return Step(Done.REFUSED, record.job_id, f"{code}: {sentence}")

    def _wait(self, record: JobRecord, reason: str) -> Step:
        # A fresh message spends no receive of this one, so that waiting never dead-letters it.
        # Sent first: a crash after it repeats this message, and of the two that wait then, the
        # one that the ledger is ahead of is dropped.
        waits = record.waits + 1
        waiting = AttemptRequest(record.job_id, record.attempt, start=record.start, waits=waits)
        self.uploads.send(waiting, delay_s=random.randint(*BUSY_DELAYS_S))  # noqa: S311  # no secret
        self.ledger.wait(
            record.job_id, record.attempt, start=record.start, waits=waits, reason=reason
        )
        return Step(Done.DEFERRED, record.job_id, reason)


def request_of(record: JobRecord, names: Names) -> InferenceRequest:
    """What a backend is asked for a job's current attempt."""
    return inference_request(
        source=record.source,
        model=record.model,
        selection=record.selection,
        attempt=record.attempt,
        results_bucket=names.results_bucket,
    )
