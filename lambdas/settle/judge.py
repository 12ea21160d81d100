"""How an attempt ended: what its own files say, and what its backend says of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.messages import Completion
from contracts.outcomes import Outcome, RetryCode
from contracts.results import AttemptDocument
from lambdas.common.backends import Ended
from lambdas.common.ledger import JobRecord
from lambdas.common.source import GONE, REPLACED, Fault, is_gone, was_stable
from lambdas.settle.commit import DamagedAttemptError, check_files, read_attempt

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOTHING_LEFT = (
    RetryCode.ATTEMPT_INCOMPLETE,
    "The backend reports success, but the attempt left no attempt.json.",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    One of three: a whole attempt to commit, a completion to record, or no capacity.

    Attributes:
        reason: What the backend said of its capacity.
    """

    whole: AttemptDocument | None = None
    completion: Completion | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """Looks at what attempts left."""

    s3: "S3Client"
    bucket: str

    def judge(self, record: JobRecord, attempt: int, ended: Ended) -> Verdict:
        """Judge an attempt that has ended."""
        try:
            document = read_attempt(record, attempt, s3=self.s3, bucket=self.bucket)
            if document is None:
                return self._judge_absent(record, attempt, ended)
            return self._judge_document(document, ended)
        except DamagedAttemptError as error:
            return Verdict(completion=damaged(record.job_id, attempt, error))

    def _judge_document(self, document: AttemptDocument, ended: Ended) -> Verdict:
        if not was_stable(document.source, until=ended.ended_at, s3=self.s3):
            return _rejected(document.job_id, document.attempt, REPLACED)
        if document.outcome is Outcome.SUCCEEDED:
            check_files(document, s3=self.s3, bucket=self.bucket)
            return Verdict(whole=document)
        return Verdict(
            completion=Completion(
                document.job_id,
                document.attempt,
                document.outcome,
                code=document.code,
                message=document.message,
            )
        )

    def _judge_absent(self, record: JobRecord, attempt: int, ended: Ended) -> Verdict:
        if not was_stable(record.source, until=ended.ended_at, s3=self.s3):
            return _rejected(record.job_id, attempt, REPLACED)
        if is_gone(record.source, s3=self.s3):
            return _rejected(record.job_id, attempt, GONE)
        code, sentence = ended.fault or _NOTHING_LEFT
        if ended.lacked_capacity:
            return Verdict(reason=sentence)
        return Verdict(completion=_retryable(record.job_id, attempt, code, sentence))


def damaged(job_id: str, attempt: int, error: DamagedAttemptError) -> Completion:
    """What an attempt comes to whose files are not what it says of them."""
    return _retryable(job_id, attempt, RetryCode.ATTEMPT_INCOMPLETE, str(error))


def _retryable(job_id: str, attempt: int, code: RetryCode, sentence: str) -> Completion:
    return Completion(job_id, attempt, Outcome.RETRYABLE, code=code, message=sentence)


def _rejected(job_id: str, attempt: int, fault: Fault) -> Verdict:
    code, sentence = fault
    return Verdict(
        completion=Completion(job_id, attempt, Outcome.REJECTED, code=code, message=sentence)
    )
