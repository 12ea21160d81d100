"""S3 as far as the Lambdas know it: versioned buckets, conditional puts, ranges, tags."""

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from tests.e2e.faults.simulation.clock import Clock


@dataclass(slots=True)
class Version:
    """One version of an object; `body` is None for a delete marker."""

    key: str
    version_id: str
    body: bytes | None
    modified: datetime
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body or b"").hexdigest()}"'  # noqa: S324  # as S3 does


class S3:
    """All buckets of the account, all versioned; every name is a bucket."""

    class exceptions:  # noqa: N801  # boto3's name
        ClientError = ClientError

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._buckets: dict[str, dict[str, list[Version]]] = {}
        self._count = 0
        self.on_created: Callable[[str, Version], None] = lambda _bucket, _version: None

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes,
        IfNoneMatch: str | None = None,
        Metadata: dict[str, str] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        with self._lock:
            if IfNoneMatch == "*" and self._current(Bucket, Key) is not None:
                raise error("PreconditionFailed", "PutObject")
            version = self._add(Bucket, Key, bytes(Body), dict(Metadata or {}))
        self.on_created(Bucket, version)
        return {"ETag": version.etag, "VersionId": version.version_id}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        with self._lock:
            return {"VersionId": self._add(Bucket, Key, None, {}).version_id}

    def get_object(
        self, *, Bucket: str, Key: str, VersionId: str = "", Range: str = ""
    ) -> dict[str, Any]:
        version = self._find(Bucket, Key, VersionId, "GetObject")
        body = version.body or b""
        if Range:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            body = body[int(first) : int(last) + 1]
        return _facts(version) | {"Body": StreamingBody(io.BytesIO(body), len(body))}

    def head_object(self, *, Bucket: str, Key: str, VersionId: str = "") -> dict[str, Any]:
        return _facts(self._find(Bucket, Key, VersionId, "HeadObject"))

    def list_objects_v2(self, *, Bucket: str, Prefix: str = "", **_: Any) -> dict[str, Any]:
        with self._lock:
            found = [
                {"Key": key, "Size": len(last.body), "ETag": last.etag}
                for key, last in self._latest(Bucket, Prefix)
                if last.body is not None
            ]
        return {"Contents": found, "KeyCount": len(found), "IsTruncated": False}

    def list_object_versions(
        self,
        *,
        Bucket: str,
        Prefix: str = "",
        KeyMarker: str = "",
        VersionIdMarker: str = "",
        MaxKeys: int = 1000,
        **_: Any,
    ) -> dict[str, Any]:
        """Keys in order, of each key the newest first, from the marker on."""
        with self._lock:
            rows = list(self._rows(Bucket, Prefix))
        if KeyMarker:
            places = [
                number
                for number, (version, _) in enumerate(rows)
                if version.key < KeyMarker
                or (version.key == KeyMarker and not VersionIdMarker)
                or (version.key == KeyMarker and version.version_id == VersionIdMarker)
            ]
            rows = rows[max(places, default=-1) + 1 :]
        answer: dict[str, Any] = {"Versions": [], "DeleteMarkers": [], "IsTruncated": False}
        for version, is_latest in rows[:MaxKeys]:
            entry = {"Key": version.key, "VersionId": version.version_id, "IsLatest": is_latest}
            entry |= {"LastModified": version.modified}
            if version.body is None:
                answer["DeleteMarkers"].append(entry)
            else:
                answer["Versions"].append(entry | {"ETag": version.etag, "Size": len(version.body)})
        if len(rows) > MaxKeys:
            last = rows[MaxKeys - 1][0]
            answer |= {"IsTruncated": True, "NextKeyMarker": last.key}
            answer["NextVersionIdMarker"] = last.version_id
        return answer

    def put_object_tagging(
        self, *, Bucket: str, Key: str, Tagging: dict[str, Any], VersionId: str = ""
    ) -> dict[str, Any]:
        self._find(Bucket, Key, VersionId, "PutObjectTagging").tags = Tagging["TagSet"]
        return {}

    def versions(self, bucket: str, key: str) -> list[Version]:
        """Every version of a key that holds something, oldest first."""
        with self._lock:
            found = self._buckets.get(bucket, {}).get(key, [])
            return [version for version in found if version.body is not None]

    def _add(self, bucket: str, key: str, body: bytes | None, metadata: dict[str, str]) -> Version:
        self._count += 1
        version = Version(key, f"v{self._count:06d}", body, self._clock.now, metadata)
        self._buckets.setdefault(bucket, {}).setdefault(key, []).append(version)
        return version

    def _current(self, bucket: str, key: str) -> Version | None:
        versions = self._buckets.get(bucket, {}).get(key)
        return versions[-1] if versions and versions[-1].body is not None else None

    def _find(self, bucket: str, key: str, version_id: str, operation: str) -> Version:
        with self._lock:
            if not version_id:
                if found := self._current(bucket, key):
                    return found
                raise error("404" if operation == "HeadObject" else "NoSuchKey", operation)
            for version in self.versions(bucket, key):
                if version.version_id == version_id:
                    return version
        raise error("404" if operation == "HeadObject" else "NoSuchVersion", operation)

    def _latest(self, bucket: str, prefix: str) -> Iterator[tuple[str, Version]]:
        for key, versions in sorted(self._buckets.get(bucket, {}).items()):
            if key.startswith(prefix):
                yield key, versions[-1]

    def _rows(self, bucket: str, prefix: str) -> Iterator[tuple[Version, bool]]:
        for key, latest in self._latest(bucket, prefix):
            for version in reversed(self._buckets[bucket][key]):
                yield version, version is latest


def error(code: str, operation: str, message: str = "simulated") -> ClientError:
    """An AWS error as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def _facts(version: Version) -> dict[str, Any]:
    return {
        "ETag": version.etag,
        "VersionId": version.version_id,
        "Metadata": version.metadata,
        "LastModified": version.modified,
        "ContentLength": len(version.body or b""),
    }
