"""Writing the ledger: conditional updates, and a history that stays bounded."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from contracts.outcomes import JobState
from lambdas.common.reading import LedgerReader
from lambdas.common.record import UNTOLD_SHARD, serialize, shard_of, state_shard, utc_now

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MAX_HISTORY = 40
"""Steps kept of a job's life, its first and its latest: an item holds 400 kB at most."""
MAX_NOTE_CHARACTERS = 1000


class LedgerWriter(LedgerReader):
    """
    Changes items of the jobs table, each by one conditional write.

    Attributes:
        now: The time, as the ledger writes it.
    """

    def __init__(
        self, *, client: "DynamoDBClient", table: str, now: Callable[[], str] = utc_now
    ) -> None:
        super().__init__(client=client, table=table)
        self.now = now

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
        now = self.now()
        note = note[:MAX_NOTE_CHARACTERS]
        changed = {
            "state": state,
            "attempt": attempt,
            "state_shard": state_shard(state, shard_of(job_id)),
            "updated_at": now,
            **changes,
        }
        removals = (*removals, "waiting", "checked")
        if state.is_terminal:
            changed[UNTOLD_SHARD] = str(shard_of(job_id))
        else:
            removals = (*removals, UNTOLD_SHARD)
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
