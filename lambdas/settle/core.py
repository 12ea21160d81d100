"""
What settle does with one message of the completions queue: judge, commit, record, tell.

Each step may be repeated. The commit is a conditional put, the transition a conditional write, and
the outcome is told until the ledger says that it was: a crash between any two leaves a message that
comes again and finishes the rest.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.documents import to_json
from contracts.env import Names
from contracts.keys import result_key
from contracts.messages import AttemptRequest, Completion, JobOutcome, ObjectLocation
from contracts.outcomes import Outcome, RejectionCode, RetryCode
from contracts.pipeline import PipelineSettings
from contracts.results import AttemptDocument, ResultDocument
from lambdas.common.backends import Ended
from lambdas.common.backends.processing import describe_end
from lambdas.common.ledger import JobRecord, Ledger, utc_now
from lambdas.common.queues import MAX_DELAY_S, Queue
from lambdas.settle.commit import DamagedAttemptError, check_files, commit, read_attempt
from lambdas.settle.completions import ProcessingEnd, read_completion
from lambdas.settle.source import is_gone, was_stable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient

MIN_RETRY_DELAY_S = 2
"""The next attempt's message is sent before the ledger moves, and should not overtake it."""

_REPLACED = (
    "A newer version took the key before this one was read for sure; "
    "the newer version has a job of its own."
)
_GONE = "The object was deleted before an attempt had read it."


class NotEndedError(Exception):
    """The backend says that the attempt still runs: the message must come again."""


@dataclass(frozen=True, slots=True)
class Settler:
    """The parts that settle works with."""

    s3: "S3Client"
    sagemaker: "SageMakerClient"
    sns: "SNSClient"
    names: Names
    settings: PipelineSettings
    ledger: Ledger
    uploads: Queue

    def handle(self, body: str) -> JobRecord:
        """
        Settle the attempt that a message is about; the job's record afterwards.

        Raises:
            ValueError: The message is none of ours, or the ledger lacks its job.
            NotEndedError: The message must come again.
        """
        message = read_completion(body, self.names)
        record = self._record(message.job_id)
        if not record.state.is_terminal:
            completion = (
                self._judge(record, message) if isinstance(message, ProcessingEnd) else message
            )
            self._record_outcome(record, completion)
            record = self._record(message.job_id)
        if record.state.is_terminal and not record.published:
            self._publish(record)
            self.ledger.mark_published(record)
        return record

    def _record(self, job_id: str) -> JobRecord:
        record = self.ledger.get(job_id)
        if record is None:
            raise ValueError(f"the ledger has no job {job_id}")
        return record

    def _judge(self, record: JobRecord, end: ProcessingEnd) -> Completion:
        """What the backend and the attempt's own files say, made one."""
        ended = describe_end(end.name, sagemaker=self.sagemaker)
        if ended is None:
            raise NotEndedError(f"{end.name} has not ended")
        try:
            document = read_attempt(
                record, end.attempt, s3=self.s3, bucket=self.names.results_bucket
            )
            if document is None:
                return self._judge_absent(record, end.attempt, ended)
            return self._judge_document(document, ended)
        except DamagedAttemptError as error:
            return _retryable(record.job_id, end.attempt, RetryCode.ATTEMPT_INCOMPLETE, str(error))

    def _judge_document(self, document: AttemptDocument, ended: Ended) -> Completion:
        if not was_stable(document.source, until=ended.ended_at, s3=self.s3):
            code = RejectionCode.SOURCE_REPLACED
            return _rejected(document.job_id, document.attempt, code, _REPLACED)
        if document.outcome is not Outcome.SUCCEEDED:
            return Completion(
                document.job_id,
                document.attempt,
                document.outcome,
                code=document.code,
                message=document.message,
            )
        bucket = self.names.results_bucket
        check_files(document, s3=self.s3, bucket=bucket)
        return _committed(commit(document, s3=self.s3, bucket=bucket, now=utc_now()))

    def _judge_absent(self, record: JobRecord, attempt: int, ended: Ended) -> Completion:
        if not was_stable(record.source, until=ended.ended_at, s3=self.s3):
            return _rejected(record.job_id, attempt, RejectionCode.SOURCE_REPLACED, _REPLACED)
        if is_gone(record.source, s3=self.s3):
            return _rejected(record.job_id, attempt, RejectionCode.SOURCE_MISSING, _GONE)
        code, sentence = ended.fault or (
            RetryCode.ATTEMPT_INCOMPLETE,
            "The backend reports success, but the attempt left no attempt.json.",
        )
        return _retryable(record.job_id, attempt, code, sentence)

    def _record_outcome(self, record: JobRecord, completion: Completion) -> None:
        job_id, attempt = completion.job_id, completion.attempt
        if completion.outcome is Outcome.SUCCEEDED:
            self.ledger.succeed(job_id, attempt, result_key=completion.result_key or "")
            return
        code, sentence = completion.code or "", completion.message or ""
        if completion.outcome is Outcome.REJECTED:
            self.ledger.reject(job_id, attempt, code=code, message=sentence)
        elif attempt < record.attempt:
            return  # that attempt was given up on before; the current one decides
        elif attempt >= self.settings.max_attempts:
            self.ledger.fail(job_id, attempt, code=code, message=sentence)
        else:
            # Sent first: a crash after it repeats this message, a crash before it loses nothing.
            self.uploads.send(AttemptRequest(job_id, attempt + 1), delay_s=self._delay_s(attempt))
            self.ledger.retry(job_id, attempt, code=code, message=sentence)

    def _delay_s(self, attempt: int) -> int:
        """Exponential back-off with full jitter, after the Amazon Builders' Library."""
        longest = min(MAX_DELAY_S, self.settings.retry_base_s * 2 ** (attempt - 1))
        return max(MIN_RETRY_DELAY_S, round(random.uniform(0, longest)))  # noqa: S311  # no secret

    def _publish(self, record: JobRecord) -> None:
        outcome = JobOutcome(
            job_id=record.job_id,
            state=record.state,
            attempt=record.attempt,
            source=record.source,
            model=record.model,
            selection=record.selection,
            code=record.code,
            message=record.message,
            result=ObjectLocation(self.names.results_bucket, record.result_key)
            if record.result_key
            else None,
        )
        attributes = {"state": record.state, "stage": self.names.stage, "model": record.model.name}
        if record.code:
            attributes["code"] = record.code
        self.sns.publish(
            TopicArn=self.names.outcomes_topic_arn,
            Message=to_json(outcome),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": str(value)}
                for name, value in attributes.items()
            },
        )


def _committed(result: ResultDocument) -> Completion:
    return Completion(
        result.job_id,
        result.attempt,
        Outcome.SUCCEEDED,
        result_key=result_key(result.source.key, result.job_id),
        timings_s=result.timings_s,
    )


def _retryable(job_id: str, attempt: int, code: RetryCode, sentence: str) -> Completion:
    return Completion(job_id, attempt, Outcome.RETRYABLE, code=code, message=sentence)


def _rejected(job_id: str, attempt: int, code: RejectionCode, sentence: str) -> Completion:
    return Completion(job_id, attempt, Outcome.REJECTED, code=code, message=sentence)
