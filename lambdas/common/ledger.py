"""
The ledger: one DynamoDB item per job, and every transition one conditional write.

Events are hints; this is the truth. A method that returns False changed nothing, because the job
was no longer in a state the transition starts from: somebody was faster, or the event was late.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from contracts.outcomes import JobState
from lambdas.common.reading import LedgerReader
from lambdas.common.record import (
    JobRecord,
    Transition,
    new_record,
    record_to_item,
    serialize,
    shard_of,
    state_shard,
    utc_now,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["JobRecord", "Ledger", "Transition", "new_record", "utc_now"]

MAX_HISTORY = 40
"""Steps kept of a job's life, its first and its latest: an item holds 400 kB at most."""
MAX_NOTE_CHARACTERS = 1000

_OPEN = "#state IN (:received, :dispatched)"
_UNDECIDED = f"{_OPEN} AND attribute_not_exists(committing)"
"""Neither ended, nor bound to succeed because an attempt was found whole and is being committed."""


class Ledger(LedgerReader):
    """The jobs table of one stage."""

    def __init__(
        self, *, client: "DynamoDBClient", table: str, now: Callable[[], str] = utc_now
    ) -> None:
        super().__init__(client=client, table=table)
        self._now = now

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
                ":now": self._now(),
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
            changes={
                "first_attempt": attempt + 1,
                "start": 1,
                "waits": 0,
                "published": False,
            },
            note=note,
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
                ":now": self._now(),
                ":note": note[:MAX_NOTE_CHARACTERS],
            },
            names=("state",),
        )

    def mark_published(self, record: JobRecord) -> bool:
        """Note that the outcome has been told; False where the job was redriven meanwhile."""
        return self._update(
            record.job_id,
            "SET published = :true",
            condition="#state = :state AND #attempt = :given",
            values={":true": True, ":state": record.state, ":given": record.attempt},
            names=("state", "attempt"),
        )

    def _move(
        self,
        job_id: str,
        state: JobState,
        *,
        attempt: int,
        condition: str,
        values: Mapping[str, object],
        changes: Mapping[str, object],
        note: str,
        removals: tuple[str, ...] = (),
    ) -> bool:
        """A transition: of state, indexes, time and history in one write."""
        now = self._now()
        note = note[:MAX_NOTE_CHARACTERS]
        changed = {
            "state": state,
            "attempt": attempt,
            "state_shard": state_shard(state, shard_of(job_id)),
            "updated_at": now,
            **changes,
        }
        removals = (*removals, "waiting", "checked")
        sets = [f"#{name} = :new_{name}" for name in changed]
        update = "SET " + ", ".join([*sets, "#history = list_append(#history, :step)"])
        update += " REMOVE " + ", ".join(f"#{name}" for name in removals)
        step = {"at": now, "state": state, "attempt": attempt, "note": note}
        new_values = {f":new_{name}": value for name, value in changed.items()}
        names = {"state", "attempt", "history", "start", *changed, *removals}
        while not self._update(
            job_id,
            update,
            condition=f"({condition}) AND size(#history) < :most",
            values={**values, **new_values, ":step": [step], ":most": MAX_HISTORY},
            names=tuple(name for name in names if f"#{name}" in update + condition),
        ):
            if not self._make_room(job_id):
                return False
        return True

    def _make_room(self, job_id: str) -> bool:
        """Leave out the oldest step but the first, if the history is full."""
        return self._update(
            job_id,
            "SET history_left_out = history_left_out + :one REMOVE #history[1]",
            condition="size(#history) >= :most",
            values={":one": 1, ":most": MAX_HISTORY},
            names=("history",),
        )

    def _update(
        self,
        job_id: str,
        update: str,
        *,
        condition: str,
        values: Mapping[str, object],
        names: tuple[str, ...],
    ) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"job_id": {"S": job_id}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues={
                    name: serialize(value) for name, value in values.items()
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _open_states() -> dict[str, object]:
    return {":received": JobState.RECEIVED, ":dispatched": JobState.DISPATCHED}
