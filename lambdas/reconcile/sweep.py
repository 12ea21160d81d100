"""
Finding uploads whose event was lost: object versions that the ledger has no job for.

A run lists a bounded piece of the bucket and leaves a bookmark; the next run goes on there, and
begins anew at the end. Only keys that are named like a video are looked for, because only those
become a job for certain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from contracts.messages import Source
from contracts.pipeline import ReconcileSettings
from contracts.requests import ReprocessRequest
from lambdas.common.queues import Queue
from lambdas.common.reading import LedgerReader
from lambdas.common.video_names import has_video_name
from lambdas.reconcile.bookmark import Bookmark, Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

OLDEST = timedelta(days=14)
"""As long as SQS keeps a message: an older upload is known, was meant to be left alone, or lost
to a stage that stood still for two weeks, which takes an operator."""
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """How many versions a run listed, and how many of them were unknown and asked for."""

    listed: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The parts that a sweep works with."""

    s3: "S3Client"
    bucket: str
    ledger: LedgerReader
    bookmark: Bookmark
    uploads: Queue
    settings: ReconcileSettings

    def run(self, now: datetime, has_time: Callable[[], bool]) -> Swept:
        """List on from the bookmark, and ask dispatch for what the ledger does not know."""
        listed = lost = 0
        place: Place | None = self.bookmark.read()
        while listed < self.settings.max_versions and has_time():
            page = self._page(place)
            versions = page.get("Versions", [])
            for version in versions:
                if self._is_lost(version, now):
                    self.uploads.send(ReprocessRequest(self._source(version)))
                    lost += 1
            listed += len(versions) + len(page.get("DeleteMarkers", []))
            place = _next_place(page)
            self.bookmark.write(place)  # a crash before it lists the page once more
            if place is None:
                break
        return Swept(listed, lost)

    def _page(self, place: Place | None) -> Any:
        markers: dict[str, str] = {}
        if place is not None:
            markers = {"KeyMarker": place.key, "VersionIdMarker": place.version_id}
        size = min(_PAGE, self.settings.max_versions)
        return self.s3.list_object_versions(Bucket=self.bucket, MaxKeys=size, **markers)  # type: ignore[arg-type]

    def _is_lost(self, version: "ObjectVersionTypeDef", now: datetime) -> bool:
        age = now - version["LastModified"]
        return (
            timedelta(seconds=self.settings.uploaded_after_s) <= age <= OLDEST
            and has_video_name(version["Key"])
            and not self.ledger.has_source(self._source(version))
        )

    def _source(self, version: "ObjectVersionTypeDef") -> Source:
        """As the upload's event would have named it; an unversioned bucket calls versions null."""
        version_id = version["VersionId"]
        return Source(
            bucket=self.bucket,
            key=version["Key"],
            etag=version["ETag"].strip('"'),
            size_bytes=version["Size"],
            version_id=None if version_id == "null" else version_id,
        )


def _next_place(page: Any) -> Place | None:
    if not page.get("IsTruncated"):
        return None
    return Place(page["NextKeyMarker"], page["NextVersionIdMarker"])
