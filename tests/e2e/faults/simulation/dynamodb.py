"""DynamoDB's tables as far as the ledger uses them: conditional writes, and indexes to query."""

import json
from collections import deque
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.expressions import Item, Scope, condition, plain, update
from tests.e2e.faults.simulation.s3 import error

_REFUSED = "ConditionalCheckFailedException"


class _ConditionalCheckFailedError(ClientError):
    pass


INDEX_LAG_S = 2.0


class DynamoDb:
    """
    Tables by name.

    Args:
        clock: By it an index follows its table after `INDEX_LAG_S`; without one, at once.
    """

    class exceptions:  # noqa: N801  # boto3's name
        ConditionalCheckFailedException = _ConditionalCheckFailedError

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._items: dict[str, dict[str, Item]] = {}
        self._indexed: dict[str, dict[str, Item]] = {}
        self._writes: deque[tuple[float, str, str, Item]] = deque()
        self._indexes: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}

    def create_table(
        self,
        *,
        TableName: str,
        KeySchema: list[dict[str, str]],
        GlobalSecondaryIndexes: list[dict[str, Any]],
        **_: Any,
    ) -> None:
        self._items[TableName], self._indexed[TableName] = {}, {}
        self._keys[TableName] = KeySchema[0]["AttributeName"]
        self._indexes[TableName] = {index["IndexName"]: index for index in GlobalSecondaryIndexes}

    def get_item(self, *, TableName: str, Key: Item, **_: Any) -> dict[str, Any]:
        found = self._items[TableName].get(self._id(TableName, Key))
        return {} if found is None else {"Item": dict(found)}

    def put_item(
        self, *, TableName: str, Item: Item, ConditionExpression: str = "", **scope: Any
    ) -> None:
        key = self._id(TableName, Item)
        self._check(self._items[TableName].get(key, {}), ConditionExpression, "PutItem", scope)
        self._write(TableName, key, _as_sent(Item))

    def update_item(
        self,
        *,
        TableName: str,
        Key: Item,
        UpdateExpression: str,
        ConditionExpression: str = "",
        **scope: Any,
    ) -> None:
        key = self._id(TableName, Key)
        item = self._items[TableName].get(key, {})
        self._check(item, ConditionExpression, "UpdateItem", scope)
        self._write(TableName, key, update(UpdateExpression)(_scope(item or Key, scope)))

    def query(
        self,
        *,
        TableName: str,
        IndexName: str,
        KeyConditionExpression: str,
        ScanIndexForward: bool = True,
        Limit: int = 1000,
        ExclusiveStartKey: Item | None = None,
        **scope: Any,
    ) -> dict[str, Any]:
        self._follow()
        index = self._indexes[TableName][IndexName]
        hash_key, range_key = (entry["AttributeName"] for entry in index["KeySchema"])
        table_key = self._keys[TableName]

        def place(item: Item) -> tuple[Any, str]:
            return plain(item[range_key]), item[table_key]["S"]

        wanted = condition(KeyConditionExpression)
        asked = _scope({}, scope)
        found = [
            item
            for item in self._indexed[TableName].values()
            if hash_key in item and range_key in item and wanted(replace(asked, item=item))
        ]
        found.sort(key=place, reverse=not ScanIndexForward)
        if ExclusiveStartKey is not None:
            start = place(ExclusiveStartKey)
            found = [
                i for i in found if (place(i) > start) is ScanIndexForward and place(i) != start
            ]
        keys = (table_key, hash_key, range_key)
        whole = index["Projection"]["ProjectionType"] == "ALL"
        page = [i if whole else {name: i[name] for name in keys} for i in found[:Limit]]
        more = len(found) > Limit
        last = {"LastEvaluatedKey": {name: page[-1][name] for name in keys}} if more else {}
        return {"Items": [dict(item) for item in page], **last}

    def scan(self, *, TableName: str, **_: Any) -> dict[str, Any]:
        return {"Items": [dict(item) for item in self._items[TableName].values()]}

    def _write(self, table: str, key: str, item: Item) -> None:
        self._items[table][key] = item
        seen_s = self._clock.now_s + INDEX_LAG_S if self._clock else 0.0
        self._writes.append((seen_s, table, key, item))

    def _follow(self) -> None:
        """Let the indexes see the writes that are old enough."""
        now_s = self._clock.now_s if self._clock else 0.0
        while self._writes and self._writes[0][0] <= now_s:
            _, table, key, item = self._writes.popleft()
            self._indexed[table][key] = item

    def _id(self, table: str, item: Item) -> str:
        value: str = item[self._keys[table]]["S"]
        return value

    def _check(self, item: Item, text: str, operation: str, scope: dict[str, Any]) -> None:
        if text and not condition(text)(_scope(item, scope)):
            refusal = error(_REFUSED, operation)
            raise _ConditionalCheckFailedError(refusal.response, operation)


def _scope(item: Item, scope: dict[str, Any]) -> Scope:
    values = _as_sent(scope.get("ExpressionAttributeValues", {}))
    return Scope(item, scope.get("ExpressionAttributeNames", {}), values)


def _as_sent(values: Item) -> Item:
    """What arrives over the wire: no enumerations, and nothing that the sender holds too."""
    sent: Item = json.loads(json.dumps(values))
    return sent
