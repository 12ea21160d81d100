"""Where the sweep of the uploads bucket goes on, kept in the ledger's table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.env import BOOKMARK_ITEM

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Place:
    """The last object version that was listed."""

    key: str
    version_id: str


class Bookmark:
    """One place, or none: then a sweep begins at the beginning."""

    def __init__(self, *, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> Place | None:
        """The place that was left."""
        response = self._client.get_item(
            TableName=self._table, Key={"job_id": {"S": BOOKMARK_ITEM}}
        )
        item = response.get("Item", {})
        if "key_marker" not in item:
            return None
        return Place(item["key_marker"]["S"], item["version_marker"]["S"])

    def write(self, place: Place | None) -> None:
        """Leave a place."""
        item = {"job_id": {"S": BOOKMARK_ITEM}}
        if place is not None:
            item["key_marker"] = {"S": place.key}
            item["version_marker"] = {"S": place.version_id}
        self._client.put_item(TableName=self._table, Item=item)
