"""What the ledger knows of a job, and how that is written in DynamoDB."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from contracts.documents import from_dict, to_json
from contracts.messages import Model, Source
from contracts.outcomes import JobState
from contracts.selection import Selection

STATE_SHARDS = 8
"""
Partitions of the index by state, per state. A partition takes 1,000 writes a second; ten million
jobs a day are about 460 transitions a second, so eight leave a factor of 17 for bursts:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

UNTOLD_SHARD = "untold_shard"
"""An attribute that only a job has which ended and whose outcome was not told yet."""

_INDEX_KEYS = ("state_shard", "source_uri", "source_version", UNTOLD_SHARD)
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
        history: The first step and the latest ones, oldest first.
        history_left_out: How many steps between the first and the others are not kept.
        first_attempt: The attempt with which the current budget began: a redrive gives a new one.
        start: Which start of the attempt; a backend that ran out of capacity costs a start only.
        waits: How often this start found the backend busy; `waiting` says why, while it waits.
        checked: What the last look of reconcile found; `updated_at` is when.
        committing: The attempt that was found whole and is being committed: from then on the job
            can only succeed.
        route: The backend that runs the attempt, with `reason`, why that one.
        backend_ref: What the backend calls the attempt.
        code: With `message`, the last error; stays until the job succeeds.
        result_key: The committed `result.json`.
        published: Whether the outcome was told.
        sequencer: S3's order of the uploads to one key, where versions do not tell it.
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
    history_left_out: int = 0
    first_attempt: int = 1
    start: int = 1
    waits: int = 0
    waiting: str | None = None
    checked: str | None = None
    committing: int | None = None
    route: str | None = None
    reason: str | None = None
    backend_ref: str | None = None
    code: str | None = None
    message: str | None = None
    result_key: str | None = None
    published: bool = False
    sequencer: str | None = None
    cost_usd: float | None = None


def utc_now() -> str:
    """Now, as the ledger writes times."""
    return ledger_time(datetime.now(UTC))


def ledger_time(when: datetime) -> str:
    """A time as the ledger writes it: UTC, ISO 8601, milliseconds; the order of text is of time."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_record(
    *,
    job_id: str,
    source: Source,
    model: Model,
    selection: Selection,
    now: str,
    fault: tuple[str, str] | None = None,
    sequencer: str | None = None,
) -> JobRecord:
    """
    A job that has just been received, before its first attempt.

    Args:
        fault: Why it will be refused, as a code and a sentence.
    """
    code, message = fault or (None, None)
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
        code=code,
        message=message,
        sequencer=sequencer,
    )


def record_to_item(record: JobRecord) -> dict[str, Any]:
    """A record as DynamoDB's attributes, the indexes' keys among them."""
    item = {**json.loads(to_json(record), parse_float=Decimal)}
    item["state_shard"] = state_shard(record.state, shard_of(record.job_id))
    item["source_uri"] = record.source.uri
    item["source_version"] = source_version(record.source)
    return {name: serialize(value) for name, value in item.items()}


def item_to_record(item: Mapping[str, Any]) -> JobRecord:
    """The inverse of `record_to_item`."""
    values = {name: _number(_DESERIALIZER.deserialize(value)) for name, value in item.items()}
    for name in _INDEX_KEYS:
        values.pop(name, None)
    return from_dict(JobRecord, values)


def serialize(value: object) -> Any:
    """A plain value as a DynamoDB attribute."""
    return _SERIALIZER.serialize(value)


def source_version(source: Source) -> str:
    """What tells an object's versions apart in the index by source."""
    return source.version_id or source.etag.strip('"')


def state_shard(state: JobState, shard: int) -> str:
    """The partition key of the index by state."""
    return f"{state}#{shard}"


def shard_of(job_id: str) -> int:
    """Which of a state's partitions a job is in."""
    return int(job_id[:8], 16) % STATE_SHARDS


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _number(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_number(item) for item in value]
    return value
