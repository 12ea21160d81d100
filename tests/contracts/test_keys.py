"""Keys: built and taken apart without loss, short enough for S3, and fit to be file names."""

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contracts.keys import (
    ATTEMPT_DOCUMENT,
    DETECTIONS_FILE,
    MAX_FILE_NAME_BYTES,
    MAX_KEY_BYTES,
    MAX_SOURCE_KEY_BYTES,
    RESULT_DOCUMENT,
    ResultKey,
    attempt_prefix,
    bundle_key,
    job_files_prefix,
    job_prefix,
    parse_result_key,
    result_key,
    segmentation_file,
    shown_source_key,
    storable_fault,
)
from tests.contracts.strategies import job_ids, keys, storable_keys

JOB = "0123456789abcdef" * 2
names = st.sampled_from([ATTEMPT_DOCUMENT, DETECTIONS_FILE]) | st.integers(0, 10**9).map(
    segmentation_file
)


@given(key=keys(), job=job_ids)
def test_a_result_key_is_taken_apart_as_it_was_built(key: str, job: str) -> None:
    parsed = parse_result_key(result_key(key, job))
    assert parsed == ResultKey(shown_source_key(key), job, None, RESULT_DOCUMENT)


@given(key=keys(), job=job_ids, attempt=st.integers(1, 10**6), name=names)
def test_an_attempts_key_is_taken_apart_as_it_was_built(
    key: str, job: str, attempt: int, name: str
) -> None:
    parsed = parse_result_key(attempt_prefix(key, job, attempt) + name)
    assert parsed == ResultKey(shown_source_key(key), job, attempt, name)


@given(key=keys(), job=job_ids, attempt=st.integers(1, 10**6), name=names)
@example(key="é" * 512, job=JOB, attempt=10**6, name=segmentation_file(10**9))
@example(key="v" * 900, job=JOB, attempt=10**6, name=segmentation_file(10**9))
@example(key="v" * 1024, job=JOB, attempt=10**6, name=segmentation_file(10**9))
def test_no_result_key_is_longer_than_s3_takes(key: str, job: str, attempt: int, name: str) -> None:
    assert len((attempt_prefix(key, job, attempt) + name).encode()) <= MAX_KEY_BYTES
    assert len(result_key(key, job).encode()) <= MAX_KEY_BYTES
    assert len((job_files_prefix(job, attempt) + "videos.manifest").encode()) <= MAX_KEY_BYTES


@given(key=storable_keys())
@example(key="/".join(["a" * 255, "b" * 255, "c" * 99, "d" * 255, "e" * 150]))
@example(key="/".join(["a" * 255] * 4))
@example(key="a/" * 433 + "..v" + "b" * 150)
def test_a_storable_source_key_makes_a_storable_result_key(key: str) -> None:
    assert storable_fault(key) is None
    assert storable_fault(attempt_prefix(key, JOB, 1) + ATTEMPT_DOCUMENT) is None


@given(key=keys(), other=keys())
@example(key="v" * 1000 + "a", other="v" * 1000 + "b")
def test_two_source_keys_are_never_shown_alike(key: str, other: str) -> None:
    assume(key != other)
    assert shown_source_key(key) != shown_source_key(other)
    assert len(shown_source_key(key).encode()) <= MAX_SOURCE_KEY_BYTES


@given(key=keys(MAX_SOURCE_KEY_BYTES))
def test_a_key_of_usual_length_is_shown_as_it_is(key: str) -> None:
    assert shown_source_key(key) == key
    assert job_prefix(key, JOB) == f"results/{key}/{JOB}/"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "results/",
        "jobs/v.mp4/" + JOB + "/result.json",
        "results/v.mp4/" + JOB.upper() + "/result.json",
        "results/v.mp4/" + JOB + "/attempt-0/attempt.json",
        "results/v.mp4/" + JOB + "/attempt-1/",
        "results/v.mp4/" + JOB + "/other/0.png",
        "results//" + JOB + "/result.json",
    ],
)
def test_other_keys_are_refused_with_the_key(key: str) -> None:
    with pytest.raises(ValueError, match="not a result key"):
        parse_result_key(key)


def test_attempts_count_from_one() -> None:
    with pytest.raises(ValueError, match="attempts count from 1, got 0"):
        attempt_prefix("v.mp4", JOB, 0)


def test_bundles_and_job_files_have_their_places() -> None:
    assert bundle_key("d" * 64) == f"bundles/{'d' * 64}/model.tar.gz"
    assert job_files_prefix(JOB, 2) == f"jobs/{JOB}/attempt-2/"


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("v.mp4", None),
        ("a/b c/été +%25 🎬.mp4", None),
        ("a" * MAX_FILE_NAME_BYTES, None),
        ("é" * 127 + "x", None),
        ("...", None),
        ("/v.mp4", "path component ''"),
        ("a//v.mp4", "path component ''"),
        ("a/", "path component ''"),
        ("./v.mp4", "path component '.'"),
        ("a/../v.mp4", "path component '..'"),
        ("..", "path component '..'"),
        ("a" * 256, "256 bytes long; file systems hold at most 255"),
        ("é" * 128, "256 bytes long"),
        ("a\nb.mp4", "control character U[+]000A"),
        ("a\x00.mp4", "control character U[+]0000"),
        ("a\x7f.mp4", "control character U[+]007F"),
        ("a\x9b2J.mp4", "control character U[+]009B"),  # a terminal may take it for ESC [
        ("caf\udce9.mp4", "no Unicode text"),  # how Python reads a name in Latin-1
    ],
)
def test_what_keeps_a_key_from_being_a_file_is_said(key: str, fault: str | None) -> None:
    said = storable_fault(key)
    if fault is None:
        assert said is None
    else:
        assert said is not None
        assert re.search(fault, said)
