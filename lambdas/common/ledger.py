"""
The ledger: one DynamoDB item per job, and every transition one conditional write.

Events are hints; this is the truth. A method that returns False changed nothing, because the job
was no longer in a state the transition starts from: somebody was faster, or the event was late.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from contracts.documents import from_dict, to_json
from contracts.env import BY_STATE_INDEX
from contracts.messages import Model, Source
from contracts.outcomes import JobState
from contracts.selection import Selection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STATE_SHARDS = 8
"""
Partitions of the index by state, per state. A partition takes 1,000 writes a second; ten million
jobs a day are about 460 transitions a second, so eight leave a factor of 17 for bursts:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a job's life; `at` is UTC, ISO 8601."""

    at: str
    state: JobState
    attempt: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """
    One job as the ledger has it.

    Attributes:
        attempt: The current attempt, from 1.
        route: The backend that runs the attempt, with `reason`, why that one.
        backend_ref: What the backend calls the attempt.
        code: With `message`, the last error; stays until the job succeeds.
        result_key: The committed `result.json`.
        published: Whether the outcome was told.
    """

    job_id: str
    state: JobState
    attempt: int
    source: Source
    model: Model
    selection: Selection
    created_at: str
    updated_at: str
    history: tuple[Transition, ...]
    route: str | None = None
    reason: str | None = None
    backend_ref: str | None = None
    code: str | None = None
    message: str | None = None
    result_key: str | None = None
    published: bool = False
    cost_usd: float | None = None


def utc_now() -> str:
    """Now, as the ledger writes times: UTC, ISO 8601, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_record(
    *, job_id: str, source: Source, model: Model, selection: Selection, now: str
) -> JobRecord:
    """A job that has just been received, before its first attempt."""
    return JobRecord(
        job_id=job_id,
        state=JobState.RECEIVED,
        attempt=1,
        source=source,
        model=model,
        selection=selection,
        created_at=now,
        updated_at=now,
        history=(Transition(now, JobState.RECEIVED, 1),),
    )


class Ledger:
    """The jobs table of one stage."""

    def __init__(
        self, *, client: "DynamoDBClient", table: str, now: Callable[[], str] = utc_now
    ) -> None:
        self._client = client
        self._table = table
        self._now = now

    def get(self, job_id: str) -> JobRecord | None:
        """The job as of the last write, or None."""
        response = self._client.get_item(
            TableName=self._table, Key={"job_id": {"S": job_id}}, ConsistentRead=True
        )
        item = response.get("Item")
        return _record(item) if item else None

    def create(self, record: JobRecord) -> bool:
        """Enter a new job; False when the ledger has it already."""
        item = {**json.loads(to_json(record), parse_float=Decimal)}
        item["state_shard"] = state_shard(record.state, _shard(record.job_id))
        try:
            self._client.put_item(
                TableName=self._table,
                Item={name: _SERIALIZER.serialize(value) for name, value in item.items()},
                ConditionExpression="attribute_not_exists(job_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def dispatched(
        self, job_id: str, attempt: int, *, route: str, reason: str, backend_ref: str
    ) -> bool:
        """RECEIVED → DISPATCHED: a backend has taken the attempt."""
        return self._move(
            job_id,
            JobState.DISPATCHED,
            attempt=attempt,
            condition="#state = :received AND #attempt = :given",
            values={":received": JobState.RECEIVED, ":given": attempt},
            changes={"route": route, "reason": reason, "backend_ref": backend_ref},
            note=f"{route}: {reason}",
        )

    def retry(self, job_id: str, attempt: int, *, code: str, message: str) -> bool:
        """DISPATCHED → RECEIVED with the next attempt, after `attempt` ended retryable."""
        return self._move(
            job_id,
            JobState.RECEIVED,
            attempt=attempt + 1,
            condition="#state IN (:received, :dispatched) AND #attempt = :given",
            values=_open_states() | {":given": attempt},
            changes={"code": code, "message": message},
            note=f"attempt {attempt}: {code}: {message}",
        )

    def succeed(self, job_id: str, attempt: int, *, result_key: str) -> bool:
        """→ SUCCEEDED by whichever attempt committed, also one given up on before."""
        return self._move(
            job_id,
            JobState.SUCCEEDED,
            attempt=attempt,
            condition="#state IN (:received, :dispatched)",
            values=_open_states(),
            changes={"result_key": result_key},
            removals=("code", "message"),
        )

    def reject(self, job_id: str, attempt: int, *, code: str, message: str) -> bool:
        """→ REJECTED: the video is at fault, whatever other attempts do."""
        return self._move(
            job_id,
            JobState.REJECTED,
            attempt=attempt,
            condition="#state IN (:received, :dispatched)",
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
            condition="#state IN (:received, :dispatched) AND #attempt = :given",
            values=_open_states() | {":given": attempt},
            changes={"code": code, "message": message},
            note=f"attempt {attempt}, the last: {code}: {message}",
        )

    def mark_published(self, job_id: str) -> None:
        """Note that the outcome has been told."""
        self._client.update_item(
            TableName=self._table,
            Key={"job_id": {"S": job_id}},
            UpdateExpression="SET published = :true",
            ExpressionAttributeValues={":true": {"BOOL": True}},
        )

    def in_state(self, state: JobState, *, limit: int) -> Iterator[JobRecord]:
        """Jobs in a state, the latest of each index partition first, `limit` from each at most."""
        for shard in range(STATE_SHARDS):
            response = self._client.query(
                TableName=self._table,
                IndexName=BY_STATE_INDEX,
                KeyConditionExpression="state_shard = :shard",
                ExpressionAttributeValues={":shard": {"S": state_shard(state, shard)}},
                ScanIndexForward=False,
                Limit=limit,
            )
            yield from map(_record, response["Items"])

    def _move(
        self,
        job_id: str,
        state: JobState,
        *,
        attempt: int,
        condition: str,
        values: Mapping[str, object],
        changes: Mapping[str, object],
        removals: tuple[str, ...] = (),
        note: str | None = None,
    ) -> bool:
        now = self._now()
        step = {"at": now, "state": state, "attempt": attempt} | ({"note": note} if note else {})
        changed = {
            "state": state,
            "attempt": attempt,
            "state_shard": state_shard(state, _shard(job_id)),
            "updated_at": now,
            **changes,
        }
        sets = [f"#{name} = :new_{name}" for name in changed]
        sets.append("#history = list_append(#history, :step)")
        update = "SET " + ", ".join(sets)
        if removals:
            update += " REMOVE " + ", ".join(f"#{name}" for name in removals)
        new_values = {f":new_{name}": value for name, value in changed.items()}
        everything = {**values, **new_values, ":step": [step]}
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"job_id": {"S": job_id}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{n}": n for n in (*changed, *removals, "history")},
                ExpressionAttributeValues={
                    name: _SERIALIZER.serialize(value) for name, value in everything.items()
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def state_shard(state: JobState, shard: int) -> str:
    """The partition key of the index by state."""
    return f"{state}#{shard}"


def _open_states() -> dict[str, object]:
    return {":received": JobState.RECEIVED, ":dispatched": JobState.DISPATCHED}


def _shard(job_id: str) -> int:
    return int(job_id[:8], 16) % STATE_SHARDS


def _record(item: Mapping[str, Any]) -> JobRecord:
    values = {name: _number(_DESERIALIZER.deserialize(value)) for name, value in item.items()}
    values.pop("state_shard")
    return from_dict(JobRecord, values)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _number(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_number(item) for item in value]
    return value
