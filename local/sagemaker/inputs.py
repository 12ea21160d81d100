"""Inputs on their way from S3 to the instances of a job."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from local.config import REGION
from local.sagemaker.layout import InputError, Instance

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket and a key or the beginning of keys, raw."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Take `s3://bucket/key` apart."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class InputObject:
    """An object and its path below the input's folder."""

    place: S3Place
    relative_key: str


def download_input(
    s3: "S3Client", s3_input: Mapping[str, Any], instances: Sequence[Instance], *, role_arn: str
) -> None:
    """
    Bring one input to all instances: the whole to each, or a share to each.

    Raises:
        InputError: The input is missing, or an object cannot be a file.
    """
    uri = S3Place.parse(s3_input["S3Uri"])
    find = _listed_in_manifest if s3_input["S3DataType"] == "ManifestFile" else _found_by_prefix
    objects = list(find(s3, uri))
    if not objects:
        raise InputError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. '
            f"Please ensure that the bucket exists in the selected region ({REGION}), that "
            f'objects exist under that S3 prefix, and that the role "{role_arn}" has '
            f'"s3:ListBucket" permissions on bucket "{uri.bucket}".'
        )
    sharded = s3_input.get("S3DataDistributionType") == "ShardedByS3Key"
    for number, instance in enumerate(instances):
        share = objects[number :: len(instances)] if sharded else objects
        for wanted in share:
            _download(s3, wanted, instance, s3_input["LocalPath"])


def _found_by_prefix(s3: "S3Client", uri: S3Place) -> Iterator[InputObject]:
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=uri.bucket, Prefix=uri.key)
        keys = sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))
    except (ClientError, BotoCoreError) as error:
        raise InputError(
            f"ClientError: Failed to download data. ListObjectsV2 failed for {uri}: {error}"
        ) from error
    for key in keys:
        if not key.endswith("/"):
            yield InputObject(S3Place(uri.bucket, key), _below(uri.key, key))


def _below(prefix: str, key: str) -> str:
    """The key below the prefix's last whole folder; a prefix that is the key is its folder's."""
    folder = prefix if key.startswith(f"{prefix}/") else prefix.rpartition("/")[0]
    return key[len(folder) :].removeprefix("/") if folder else key


def _listed_in_manifest(s3: "S3Client", uri: S3Place) -> Iterator[InputObject]:
    try:
        entries = json.loads(s3.get_object(Bucket=uri.bucket, Key=uri.key)["Body"].read())
    except (ClientError, BotoCoreError) as error:
        raise InputError(
            f"ClientError: Failed to download data. Cannot read the manifest {uri}: {error}"
        ) from error
    except ValueError as error:
        raise InputError(f"ClientError: The manifest {uri} is not JSON: {error}") from error
    prefix, names = _manifest_parts(uri, entries)
    for name in sorted(names):
        place = S3Place.parse(prefix + name)
        yield InputObject(place, name)


def _manifest_parts(uri: S3Place, entries: object) -> tuple[str, list[str]]:
    """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html"""
    if isinstance(entries, list) and entries and isinstance(entries[0], dict):
        prefix, names = entries[0].get("prefix"), entries[1:]
        strings = all(isinstance(name, str) for name in names)
        if isinstance(prefix, str) and prefix.startswith("s3://") and strings:
            return prefix, names
    raise InputError(
        f'ClientError: The manifest {uri} must be a JSON list that starts with {{"prefix": '
        '"s3://..."} and goes on with relative keys.'
    )


def _download(s3: "S3Client", wanted: InputObject, instance: Instance, folder: str) -> None:
    target = instance.input_file(folder, wanted.relative_key)
    try:
        body = s3.get_object(Bucket=wanted.place.bucket, Key=wanted.place.key)["Body"]
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(body, file, _CHUNK_BYTES)
    except (ClientError, BotoCoreError, OSError) as error:
        raise InputError(
            f"ClientError: Failed to download data. Cannot download {wanted.place}: {error}"
        ) from error
