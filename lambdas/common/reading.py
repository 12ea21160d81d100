"""Reading the ledger: one job, the latest of a state, the oldest of a state, the jobs of a key."""

import heapq
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contracts.env import BY_SOURCE_INDEX, BY_STATE_INDEX, UNTOLD_INDEX
from contracts.messages import Source
from contracts.outcomes import JobState
from lambdas.common.record import (
    STATE_SHARDS,
    UNTOLD_SHARD,
    JobRecord,
    item_to_record,
    serialize,
    source_version,
    state_shard,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE_JOBS = 100


class LedgerReader:
    """Looks into the jobs table of one stage and changes nothing."""

    def __init__(self, *, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def get(self, job_id: str) -> JobRecord | None:
        """The job as of the last write, or None."""
        response = self._client.get_item(
            TableName=self._table, Key={"job_id": {"S": job_id}}, ConsistentRead=True
        )
        item = response.get("Item")
        return item_to_record(item) if item else None

    def in_state(self, state: JobState, *, limit: int) -> Iterator[JobRecord]:
        """Jobs in a state, the latest of each index partition first, `limit` from each at most."""
        for shard in range(STATE_SHARDS):
            pages = self._pages(state, shard, forward=False, page=limit)
            yield from itertools.islice(pages, limit)

    def count(self, state: JobState, *, most: int) -> tuple[int, bool]:
        """How many jobs are in a state, and whether that is all: `most` from each partition."""
        count, is_all = 0, True
        for shard in range(STATE_SHARDS):
            answer = self._client.query(
                TableName=self._table,
                IndexName=BY_STATE_INDEX,
                KeyConditionExpression="state_shard = :shard",
                ExpressionAttributeValues={":shard": serialize(state_shard(state, shard))},
                Select="COUNT",
                Limit=most,
            )
            count += answer["Count"]
            is_all = is_all and "LastEvaluatedKey" not in answer
        return count, is_all

    def older_than(self, state: JobState, *, before: str, limit: int) -> Iterator[JobRecord]:
        """
        Jobs in a state that were last changed before a time, the oldest of all first.

        The index follows the table within about a second: a job may have moved on.
        """
        page = min(PAGE_JOBS, limit)
        shards = [
            self._pages(state, shard, forward=True, page=page, before=before)
            for shard in range(STATE_SHARDS)
        ]
        merged = heapq.merge(*shards, key=lambda record: (record.updated_at, record.job_id))
        return itertools.islice(merged, limit)

    def untold(self, *, before: str, limit: int) -> Iterator[JobRecord]:
        """Jobs that ended before a time and whose outcome was not told, the oldest first."""
        shards = [
            self._query(
                UNTOLD_INDEX, f"{UNTOLD_SHARD} = :shard", str(shard), page=limit, before=before
            )
            for shard in range(STATE_SHARDS)
        ]
        merged = heapq.merge(*shards, key=lambda item: str(item["updated_at"]["S"]))
        for item in itertools.islice(merged, limit):
            if record := self.get(item["job_id"]["S"]):
                yield record

    def has_source(self, source: Source) -> bool:
        """Whether the ledger has a job, of whatever pipeline, for that version of an object."""
        response = self._client.query(
            TableName=self._table,
            IndexName=BY_SOURCE_INDEX,
            KeyConditionExpression="source_uri = :uri AND source_version = :version",
            ExpressionAttributeValues={
                ":uri": serialize(source.uri),
                ":version": serialize(source_version(source)),
            },
            Limit=1,
        )
        return bool(response["Items"])

    def _pages(
        self, state: JobState, shard: int, *, forward: bool, page: int, before: str | None = None
    ) -> Iterator[JobRecord]:
        items = self._query(
            BY_STATE_INDEX,
            "state_shard = :shard",
            state_shard(state, shard),
            forward=forward,
            page=page,
            before=before,
        )
        return map(item_to_record, items)

    def _query(
        self,
        index: str,
        condition: str,
        shard: str,
        *,
        page: int,
        forward: bool = True,
        before: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": {":shard": serialize(shard)},
            "ScanIndexForward": forward,
            "Limit": page,
        }
        if before is not None:
            query["KeyConditionExpression"] += " AND updated_at < :before"
            query["ExpressionAttributeValues"][":before"] = serialize(before)
        while True:
            response = self._client.query(**query)
            yield from response["Items"]
            if not (last := response.get("LastEvaluatedKey")):
                return
            query["ExclusiveStartKey"] = last
