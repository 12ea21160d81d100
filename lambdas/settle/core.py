"""
What settle does with one message of the completions queue: judge, commit, record, tell.

Each step may be repeated. The ledger binds the job to the attempt that is committed, the commit is
a conditional put, the transition a conditional write, and the outcome is told until the ledger says
that it was: a crash between any two leaves a message that comes again and finishes the rest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.env import Names, parse_processing_job
from contracts.messages import Completion
from contracts.outcomes import JobState, RejectionCode
from contracts.pipeline import PipelineSettings
from contracts.requests import JobCheck
from lambdas.common.backends.processing import describe_end, stop
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.queues import Queue
from lambdas.settle.advance import Advancer
from lambdas.settle.completions import ProcessingEnd, read_completion
from lambdas.settle.judge import Judge
from lambdas.settle.leftovers import left_attempts, tag_leftovers
from lambdas.settle.outcome import publish_outcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sns import SNSClient


class NotEndedError(Exception):
    """The backend says that the attempt still runs: the message must come again."""


@dataclass(frozen=True, slots=True)
class Settled:
    """
    What a message came to.

    Attributes:
        job: As the ledger has it afterwards.
        ended: Whether the job has ended, and nobody had told of it before this message was handled.
    """

    job: JobRecord
    ended: bool


@dataclass(frozen=True, slots=True)
class Settler:
    """The parts that settle works with."""

    s3: "S3Client"
    sagemaker: "SageMakerClient"
    sns: "SNSClient"
    names: Names
    ledger: Ledger
    judge: Judge
    advancer: Advancer

    @classmethod
    def of(
        cls,
        *,
        s3: "S3Client",
        sagemaker: "SageMakerClient",
        sns: "SNSClient",
        names: Names,
        settings: PipelineSettings,
        ledger: Ledger,
        uploads: Queue,
    ) -> "Settler":
        """A settler of a stage."""
        bucket = names.results_bucket
        return cls(
            s3=s3,
            sagemaker=sagemaker,
            sns=sns,
            names=names,
            ledger=ledger,
            judge=Judge(s3=s3, bucket=bucket),
            advancer=Advancer(
                s3=s3, bucket=bucket, settings=settings, ledger=ledger, uploads=uploads
            ),
        )

    def handle(self, body: str) -> Settled:
        """
        Settle what a message is about.

        Raises:
            ValueError: The message is none of ours, or the ledger lacks its job.
            NotEndedError: The message must come again.
        """
        message = read_completion(body, self.names)
        before = record = self._record(message.job_id)
        if not record.state.is_terminal:
            self._advance(record, message)
            record = self._record(message.job_id)
        if record.committing is not None and not record.state.is_terminal:
            # Another attempt was found whole before, and whoever found it is at it or died of it.
            self.advancer.finish(record, record.committing)
            record = self._record(message.job_id)
        if record.state.is_terminal:
            self._conclude(record, message)
        return Settled(record, ended=record.state.is_terminal and not before.published)

    def _record(self, job_id: str) -> JobRecord:
        record = self.ledger.get(job_id)
        if record is None:
            raise ValueError(f"the ledger has no job {job_id}")
        return record

    def _advance(self, record: JobRecord, message: Completion | ProcessingEnd | JobCheck) -> None:
        if record.committing is not None:
            return
        if isinstance(message, Completion):
            self.advancer.record(record, message)
        elif isinstance(message, ProcessingEnd):
            if not self._settle_end(record, message):
                raise NotEndedError(f"{message.name} has not ended")
        elif record.state is JobState.DISPATCHED and not self._settle_end(record, _end_of(record)):
            self.ledger.touch(record, note=f"{record.backend_ref} still runs.")

    def _settle_end(self, record: JobRecord, end: ProcessingEnd) -> bool:
        """Record how an attempt ended, by its own files and its backend; False while it runs."""
        ended = describe_end(end.name, sagemaker=self.sagemaker)
        if ended is None:
            return False
        verdict = self.judge.judge(record, end.attempt, ended)
        if verdict.whole is not None:
            self.advancer.commit(record, verdict.whole)
        elif verdict.completion is not None:
            self.advancer.record(record, verdict.completion)
        else:
            self.advancer.restart(record, end.attempt, end.start, reason=verdict.reason)
        return True

    def _conclude(self, record: JobRecord, message: Completion | ProcessingEnd | JobCheck) -> None:
        bucket = self.names.results_bucket
        if record.published:  # a straggler may have left files after the outcome was told
            late = {message.attempt} if isinstance(message, ProcessingEnd) else set()
            tag_leftovers(record, late & set(left_attempts(record)), s3=self.s3, bucket=bucket)
            return
        if record.backend_ref is not None and _runs_in_vain(record, record.backend_ref):
            stop(record.backend_ref, sagemaker=self.sagemaker)
        publish_outcome(record, sns=self.sns, names=self.names)
        tag_leftovers(record, left_attempts(record), s3=self.s3, bucket=bucket)
        self.ledger.mark_published(record)


def _end_of(record: JobRecord) -> ProcessingEnd:
    """The end that a job waits for."""
    name = record.backend_ref or ""
    _, job_id, attempt, start = parse_processing_job(name)
    return ProcessingEnd(job_id, attempt, start, name)


def _runs_in_vain(record: JobRecord, backend_ref: str) -> bool:
    """Whether the backend may still work at a job that ended without it."""
    if record.code == RejectionCode.CANCELLED:
        return True
    return parse_processing_job(backend_ref)[2] != record.attempt
