"""Moving a job on after an attempt ended: commit, end, another attempt, another start."""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.keys import result_key
from contracts.messages import AttemptRequest, Completion
from contracts.outcomes import Outcome, RetryCode
from contracts.pipeline import PipelineSettings
from contracts.results import AttemptDocument
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.queues import MAX_DELAY_S, Queue
from lambdas.common.writing import MAX_NOTE_CHARACTERS
from lambdas.settle.commit import (
    DamagedAttemptError,
    check_files,
    commit,
    read_attempt,
    read_result,
)
from lambdas.settle.judge import damaged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_CODE_CHARACTERS = 100
MIN_RETRY_DELAY_S = 2
"""The next attempt's message is sent before the ledger moves, and should not overtake it."""
CAPACITY_WAIT_S = 60
"""Longest wait before the second start, doubled with each further one: SageMaker tries for
minutes before it says that it has no instances, so there is no haste."""


@dataclass(frozen=True, slots=True)
class Advancer:
    """The parts that moving a job on takes."""

    s3: "S3Client"
    bucket: str
    settings: PipelineSettings
    ledger: Ledger
    uploads: Queue

    def record(self, record: JobRecord, completion: Completion) -> None:
        """Record an attempt that ended without a result."""
        job_id, attempt = completion.job_id, completion.attempt
        # A container may have written texts of any length; the ledger's item holds 400 kB.
        code = (completion.code or "")[:MAX_CODE_CHARACTERS]
        sentence = (completion.message or "")[:MAX_NOTE_CHARACTERS]
        if attempt < record.first_attempt:
            return  # of a life that the job had before it was begun anew
        if completion.outcome is Outcome.REJECTED:
            self.ledger.reject(job_id, attempt, code=code, message=sentence)
        elif attempt != record.attempt:
            return  # that attempt was given up on before; the current one decides
        elif code == RetryCode.MODEL_FAULT or self._is_last(record, attempt):
            self.ledger.fail(job_id, attempt, code=code, message=sentence)
        else:
            # Sent first: a crash after it repeats this message, a crash before it loses nothing.
            delay_s = _delay_s(self.settings.retry_base_s, attempt - record.first_attempt)
            self.uploads.send(AttemptRequest(job_id, attempt + 1), delay_s=delay_s)
            self.ledger.retry(job_id, attempt, code=code, message=sentence)

    def _is_last(self, record: JobRecord, attempt: int) -> bool:
        return attempt - record.first_attempt + 1 >= self.settings.max_attempts

    def restart(self, record: JobRecord, attempt: int, start: int, *, reason: str) -> None:
        """Let the attempt wait its turn once more, which spends none."""
        if (attempt, start) != (record.attempt, record.start):
            return
        again = AttemptRequest(record.job_id, attempt, start=start + 1)
        self.uploads.send(again, delay_s=_delay_s(CAPACITY_WAIT_S, start - 1))
        self.ledger.restart(record.job_id, attempt, start=start, reason=reason)

    def commit(self, record: JobRecord, document: AttemptDocument) -> None:
        """
        Commit an attempt whose files were found whole, unless the job is bound to another.

        The ledger is bound before the commit is put: whatever else would end the job comes too
        late from then on, so no job ends otherwise that has a result.
        """
        if self.ledger.claim(record.job_id, document.attempt):
            self._put(record, document)

    def finish(self, record: JobRecord, attempt: int) -> None:
        """Finish the commit that an open job is bound to, whose writer may have died."""
        if self._succeed_by_result(record):
            return
        try:
            document = read_attempt(record, attempt, s3=self.s3, bucket=self.bucket)
            if document is None:
                raise DamagedAttemptError(f"attempt {attempt} has no attempt.json any more")
            check_files(document, s3=self.s3, bucket=self.bucket)
        except DamagedAttemptError as error:
            if self.ledger.release(record.job_id, attempt):
                self.record(record, damaged(record.job_id, attempt, error))
        else:
            self._put(record, document)

    def _put(self, record: JobRecord, document: AttemptDocument) -> None:
        result = commit(document, s3=self.s3, bucket=self.bucket, now=self.ledger.now())
        self._succeed(record, result.attempt)

    def _succeed_by_result(self, record: JobRecord) -> bool:
        result = read_result(record.source.key, record.job_id, s3=self.s3, bucket=self.bucket)
        if result is None:
            return False
        self._succeed(record, result.attempt)
        return True

    def _succeed(self, record: JobRecord, attempt: int) -> None:
        key = result_key(record.source.key, record.job_id)
        self.ledger.succeed(record.job_id, attempt, result_key=key)


def _delay_s(base_s: int, times_before: int) -> int:
    """Exponential back-off with full jitter, after the Amazon Builders' Library."""
    longest = min(MAX_DELAY_S, base_s * 2 ** min(times_before, 10))
    return max(MIN_RETRY_DELAY_S, round(random.uniform(0, longest)))  # noqa: S311  # no secret
