"""What of S3 a container finds in its input folders."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.local.conftest import BUCKET, INPUT, LocalSageMaker, s3_input

LIST_INPUT = f"""
folder = root / "{INPUT.removeprefix("/opt/ml/")}"
files = [path for path in folder.rglob("*") if path.is_file()]
print(json.dumps({{str(path.relative_to(folder)): path.read_text() for path in files}}))
"""


def found(sagemaker: LocalSageMaker, *, hosts: int = 1, **changes: Any) -> list[dict[str, str]]:
    """What each host finds: relative paths and contents."""
    given = s3_input(**changes)
    job = sagemaker.run(LIST_INPUT, inputs=[given], count=hosts)
    assert job["ProcessingJobStatus"] == "Completed", job
    return [json.loads(sagemaker.log(host=f"algo-{n}")) for n in range(1, hosts + 1)]


def failure(sagemaker: LocalSageMaker, **changes: Any) -> str:
    """Why a job with this input fails."""
    job = sagemaker.run(LIST_INPUT, inputs=[s3_input(**changes)])
    assert job["ProcessingJobStatus"] == "Failed"
    reason: str = job["FailureReason"]
    return reason


def manifest(*entries: object) -> dict[str, bytes]:
    """A manifest object."""
    return {"jobs__manifest": json.dumps(entries).encode()}


MANIFEST: dict[str, Any] = {"uri": f"s3://{BUCKET}/jobs/manifest", "S3DataType": "ManifestFile"}


@pytest.mark.parametrize("uri", ["in/", "in"])
def test_a_prefix_brings_all_below_it_under_relative_paths(
    sagemaker: LocalSageMaker, uri: str
) -> None:
    sagemaker.put(in__a=b"1", in__deep__b=b"2", other=b"3", in__=b"")
    assert found(sagemaker, uri=f"s3://{BUCKET}/{uri}") == [{"a": "1", "deep/b": "2"}]


def test_a_prefix_that_is_an_object_brings_that_file(sagemaker: LocalSageMaker) -> None:
    sagemaker.put(jobs__requests_json=b"1")
    uri = f"s3://{BUCKET}/jobs/requests_json"
    assert found(sagemaker, uri=uri) == [{"requests_json": "1"}]


@pytest.mark.parametrize("key", ["a b+c%20.mp4", "Überwachung/カメラ.mp4", "x" * 250])
def test_any_key_that_can_be_a_file_is_one(sagemaker: LocalSageMaker, key: str) -> None:
    sagemaker.s3.put_object(Bucket=BUCKET, Key=f"in/{key}", Body=b"1")
    assert found(sagemaker) == [{key: "1"}]


def test_a_manifest_brings_exactly_the_keys_it_lists(sagemaker: LocalSageMaker) -> None:
    sagemaker.put(in__a=b"1", in__ab=b"2", in__deep__c=b"3")
    sagemaker.put(**manifest({"prefix": f"s3://{BUCKET}/in/"}, "a", "deep/c"))
    assert found(sagemaker, **MANIFEST) == [{"a": "1", "deep/c": "3"}]


def test_fully_replicated_input_is_whole_on_each_host(sagemaker: LocalSageMaker) -> None:
    sagemaker.put(in__a=b"1", in__b=b"2")
    assert found(sagemaker, hosts=2) == [{"a": "1", "b": "2"}] * 2


@pytest.mark.parametrize("objects", [1, 2, 7])
def test_shards_hold_every_object_once_in_even_shares(
    sagemaker: LocalSageMaker, objects: int
) -> None:
    names = [f"video-{number}" for number in range(objects)]
    sagemaker.put(**{f"in__{name}": b"" for name in names})
    shards = found(sagemaker, hosts=3, S3DataDistributionType="ShardedByS3Key")
    assert Counter(name for shard in shards for name in shard) == Counter(names)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_a_missing_input_fails_the_job_in_sagemakers_words(sagemaker: LocalSageMaker) -> None:
    reason = failure(sagemaker)
    assert reason.startswith('ClientError: No S3 objects found under S3 URL "s3://bucket/in/"')


def test_a_missing_bucket_fails_the_job(sagemaker: LocalSageMaker) -> None:
    reason = failure(sagemaker, uri="s3://no-such-bucket/in/")
    assert reason.startswith("ClientError: Failed to download data. ListObjectsV2 failed")


def test_a_manifest_that_lists_a_missing_object_fails_the_job(sagemaker: LocalSageMaker) -> None:
    sagemaker.put(**manifest({"prefix": f"s3://{BUCKET}/in/"}, "gone"))
    assert "Cannot download s3://bucket/in/gone" in failure(sagemaker, **MANIFEST)


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"{}",
        b"[]",
        b'["a"]',
        b'[{"prefix": "in/"}, "a"]',
        b'[{"prefix": "s3://b/"}, 1]',
    ],
)
def test_a_malformed_manifest_fails_the_job(sagemaker: LocalSageMaker, content: bytes) -> None:
    sagemaker.put(jobs__manifest=content)
    assert failure(sagemaker, **MANIFEST).startswith("ClientError: The manifest")


@pytest.mark.parametrize("name", ["../a", "x/../../a", "/etc/a", "deep//a", "./a", "a\0b"])
def test_no_key_reaches_out_of_its_folder(sagemaker: LocalSageMaker, name: str) -> None:
    sagemaker.s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    sagemaker.put(**manifest({"prefix": f"s3://{BUCKET}/"}, name))
    assert "cannot be a file" in failure(sagemaker, **MANIFEST)
    assert not list(sagemaker.folder.rglob("a"))


def test_keys_that_cannot_lie_side_by_side_fail_the_job(sagemaker: LocalSageMaker) -> None:
    sagemaker.put(in__a=b"1", in__a__b=b"2")
    assert "Cannot download s3://bucket/in/a/b" in failure(sagemaker)
