"""
The ledger: one DynamoDB item per job, and every transition one conditional write.

Events are hints; this is the truth. A method that returns False changed nothing, because the job
was no longer in a state the transition starts from: somebody was faster, or the event was late.
"""

from contracts.outcomes import JobState, RejectionCode
from lambdas.common.record import (
    UNTOLD_SHARD,
    JobRecord,
    Transition,
    new_record,
    record_to_item,
    utc_now,
)
from lambdas.common.writing import MAX_NOTE_CHARACTERS, LedgerWriter

__all__ = ["JobRecord", "Ledger", "Transition", "new_record", "utc_now"]

_OPEN = "#state IN (:received, :dispatched)"
_UNDECIDED = f"{_OPEN} AND attribute_not_exists(committing)"
"""Neither ended, nor bound to succeed because an attempt was found whole and is being committed."""


class Ledger(LedgerWriter):
    """The jobs table of one stage: the steps of a job's life."""

    def create(self, record: JobRecord) -> bool:
        """Enter a new job; False when the ledger has it already."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=record_to_item(record),
                ConditionExpression="attribute_not_exists(job_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def dispatched(
        self,
        job_id: str,
        attempt: int,
        *,
        route: str,
        reason: str,
        backend_ref: str,
        start: int = 1,
        waited: int = 0,
    ) -> bool:
        """RECEIVED → DISPATCHED: a backend has taken the attempt, after so many waits."""
        after = f" It had found the backend busy {waited} times." if waited else ""
        return self._move(
            job_id,
            JobState.DISPATCHED,
            attempt=attempt,
            condition="#state = :received AND #attempt = :given AND #start = :given_start",
            values={":received": JobState.RECEIVED, ":given": attempt, ":given_start": start},
            changes={"route": route, "reason": reason, "backend_ref": backend_ref},
            note=f"{route}: {reason}{after}",
        )

    def wait(self, job_id: str, attempt: int, *, start: int, waits: int, reason: str) -> bool:
        """
        RECEIVED, and still so: the backend is busy. Spends no attempt and adds no history.

        Args:
            waits: How often the start has waited now; False where the ledger knows of as many.
        """
        return self._update(
            job_id,
            "SET waits = :waits, waiting = :reason, updated_at = :now",
            condition="#state = :received AND #attempt = :given AND #start = :given_start "
            "AND waits < :waits",
            values={
                ":received": JobState.RECEIVED,
                ":given": attempt,
                ":given_start": start,
                ":waits": waits,
                ":reason": reason[:MAX_NOTE_CHARACTERS],
                ":now": self.now(),
            },
            names=("state", "attempt", "start"),
        )

    def restart(self, job_id: str, attempt: int, *, start: int, reason: str) -> bool:
        """DISPATCHED → RECEIVED with the next start: the backend lacked capacity for this one."""
        return self._move(
            job_id,
            JobState.RECEIVED,
            attempt=attempt,
            condition=f"{_UNDECIDED} AND #attempt = :given AND #start = :given_start",
            values=_open_states() | {":given": attempt, ":given_start": start},
            changes={"start": start + 1, "waits": 0},
            note=f"The backend had no capacity for the attempt, which waits its turn: {reason}",
        )

    def retry(self, job_id: str, attempt: int, *, code: str, message: str) -> bool:
        """DISPATCHED → RECEIVED with the next attempt, after `attempt` ended retryable."""
        return self._move(
            job_id,
            JobState.RECEIVED,
            attempt=attempt + 1,
            condition=f"{_UNDECIDED} AND #attempt = :given",
            values=_open_states() | {":given": attempt},
            changes={"code": code, "message": message, "start": 1, "waits": 0},
            note=f"After attempt {attempt}: {code}: {message}",
        )

    def claim(self, job_id: str, attempt: int) -> bool:
        """
        Bind an open job to the result of an attempt that was found whole, before it is committed.

        From then on nothing else can end the job, so a commit and another end never both happen.
        False where the job has ended, is bound to another attempt, or began anew after this one.
        """
        return self._update(
            job_id,
            "SET committing = :given",
            condition=f"{_OPEN} AND first_attempt <= :given "
            "AND (attribute_not_exists(committing) OR committing = :given)",
            values=_open_states() | {":given": attempt},
            names=("state",),
        )

    def release(self, job_id: str, attempt: int) -> bool:
        """Undo `claim`: the attempt's files were damaged before they were committed."""
        return self._update(
            job_id,
            "REMOVE committing",
            condition=f"{_OPEN} AND committing = :given",
            values=_open_states() | {":given": attempt},
            names=("state",),
        )

    def succeed(self, job_id: str, attempt: int, *, result_key: str) -> bool:
        """→ SUCCEEDED by whichever attempt committed, also one given up on before."""
        return self._move(
            job_id,
            JobState.SUCCEEDED,
            attempt=attempt,
            condition=_OPEN,
            values=_open_states(),
            changes={"result_key": result_key},
            removals=("code", "message", "committing"),
            note=f"Attempt {attempt} was found whole and committed.",
        )

    def reject(self, job_id: str, attempt: int, *, code: str, message: str) -> bool:
        """→ REJECTED: the video is at fault, whatever other attempts do."""
        return self._move(
            job_id,
            JobState.REJECTED,
            attempt=attempt,
            condition=_UNDECIDED,
            values=_open_states(),
            changes={"code": code, "message": message},
            note=f"{code}: {message}",
        )

    def fail(self, job_id: str, attempt: int, *, code: str, message: str) -> bool:
        """→ FAILED: that was the last attempt, and it still is the current one."""
        return self._move(
            job_id,
            JobState.FAILED,
            attempt=attempt,
            condition=f"{_UNDECIDED} AND #attempt = :given",
            values=_open_states() | {":given": attempt},
            changes={"code": code, "message": message},
            note=f"After attempt {attempt}, the last: {code}: {message}",
        )

    def redrive(self, job_id: str, attempt: int, *, note: str) -> bool:
        """FAILED → RECEIVED with the next attempt and a new budget of attempts."""
        return self._move(
            job_id,
            JobState.RECEIVED,
            attempt=attempt + 1,
            condition="#state = :failed AND #attempt = :given",
            values={":failed": JobState.FAILED, ":given": attempt},
            changes=_new_budget(attempt + 1),
            note=note,
        )

    def reopen(self, job_id: str, attempt: int, *, sequencer: str) -> bool:
        """
        REJECTED → RECEIVED, because the bytes that had left a key came back to it.

        Only where versions do not tell uploads apart: there a later upload of the same bytes is
        the same job.
        """
        return self._move(
            job_id,
            JobState.RECEIVED,
            attempt=attempt + 1,
            condition="#state = :rejected AND #attempt = :given AND #code IN (:replaced, :missing) "
            "AND sequencer < :sequencer",
            values={
                ":rejected": JobState.REJECTED,
                ":given": attempt,
                ":replaced": RejectionCode.SOURCE_REPLACED,
                ":missing": RejectionCode.SOURCE_MISSING,
                ":sequencer": sequencer,
            },
            changes=_new_budget(attempt + 1) | {"sequencer": sequencer},
            removals=("code", "message"),
            note="The same bytes were uploaded to the key again.",
        )

    def touch(self, record: JobRecord, *, note: str) -> bool:
        """Note what a look at a job found; it moves to the young end of the walk by age."""
        return self._update(
            record.job_id,
            "SET updated_at = :now, checked = :note",
            condition="#state = :state AND updated_at = :seen",
            values={
                ":state": record.state,
                ":seen": record.updated_at,
                ":now": self.now(),
                ":note": note[:MAX_NOTE_CHARACTERS],
            },
            names=("state",),
        )

    def mark_published(self, record: JobRecord) -> bool:
        """Note that the outcome has been told; False where the job was redriven meanwhile."""
        return self._update(
            record.job_id,
            f"SET published = :true REMOVE {UNTOLD_SHARD}",
            condition="#state = :state AND #attempt = :given",
            values={":true": True, ":state": record.state, ":given": record.attempt},
            names=("state", "attempt"),
        )


def _open_states() -> dict[str, object]:
    return {":received": JobState.RECEIVED, ":dispatched": JobState.DISPATCHED}


def _new_budget(attempt: int) -> dict[str, object]:
    return {"first_attempt": attempt, "start": 1, "waits": 0, "published": False}
