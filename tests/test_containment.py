"""Whatever a key is, no file is written outside the folder that it belongs in."""

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.errors import UserError
from cli.fetch import fetch_results, job_folder
from containers.processing.layout import MlTree, UnsafePathError, safe_join
from containers.processing.work import find_video
from contracts.keys import attempt_prefix, storable_fault
from contracts.messages import Model, Source
from contracts.results import Counts, ResultDocument, ResultFile, VideoFacts
from contracts.selection import Selection
from lambdas.common.backends.processing import video_manifest
from local.sagemaker.inputs import download_input
from local.sagemaker.layout import InputError, Instance

JOB = "0" * 32
BODY = b"content"
LOOKALIKES = (
    "․․",
    "‥",
    "．．",
    "..",
    "。。",
    "⁄",
    "∕",
    "／",
    "＼",
    "\u202e",
    "%2e%2e",
    "%2f",
    "%00",
)
"""Dots and slashes that are none, and what some decode to those that are."""
PARTS = (
    *("..", ".", "", "~", "~root", "a", "video.mp4", "result.json", "attempt-1", "..\\..", "C:"),
    *(" ", "...", ".. ", " ..", "a\x00b", "a\nb", "\x1b[2J", "\x9b", "\x7f", "é", "e\u0301", "-rf"),
    *LOOKALIKES,
    *("a" * 255, "a" * 256, "é" * 128, "\ud800"),
)
hostile_keys = st.one_of(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=8).map("/".join),
    st.text(st.characters(codec=None), min_size=1, max_size=40),
    st.integers(1, 40).map(lambda depth: "../" * depth + "etc/evil"),
    st.sampled_from(["/etc/evil", "//etc/evil", "a//../../evil", "a/" * 100 + "v.mp4"]),
)

on_disk = settings(deadline=None)  # disks have their moments


@contextmanager
def contained() -> Iterator[Path]:
    """A folder to write in; nothing beside it may change."""
    with tempfile.TemporaryDirectory() as place:
        outside, folder = Path(place), Path(place, "one", "two", "folder")
        folder.mkdir(parents=True)
        (outside / "kept").write_bytes(BODY)
        yield folder
        strays = {path for path in outside.rglob("*") if folder not in (path, *path.parents)}
        assert strays == {outside / "kept", outside / "one", outside / "one" / "two"}
        assert (outside / "kept").read_bytes() == BODY


class Objects:
    """S3 with the same bytes under every key."""

    class exceptions:  # noqa: N801 - boto3's name
        NoSuchKey = KeyError

    def __init__(self, listed: tuple[str, ...] = (), manifest: str | None = None) -> None:
        self._listed, self._manifest = listed, manifest

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        manifest = self._manifest if Key.endswith(".manifest") else None
        return {"Body": Body(manifest.encode() if manifest else BODY)}

    def get_paginator(self, operation: str) -> "Objects":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **where: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key} for key in self._listed]}]


class Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        yield self.read()


def write_at(path: Path) -> None:
    """As any code does that was given a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BODY)


@on_disk
@given(hostile_keys)
@example("..")
@example("a/../../../evil")
def test_the_container_joins_no_key_to_a_path_outside(key: str) -> None:
    with contained() as folder, contextlib.suppress(UnsafePathError, OSError):
        write_at(safe_join(folder, key))


@on_disk
@given(hostile_keys)
def test_the_container_writes_results_below_its_output_alone(key: str) -> None:
    with contained() as folder:
        for prefix in (key, f"results/{key}"):
            with contextlib.suppress(UnsafePathError, OSError):
                write_at(MlTree(folder).attempt_folder(prefix) / "attempt.json")


@on_disk
@given(hostile_keys)
def test_the_container_reads_videos_among_its_inputs_alone(key: str) -> None:
    with contained() as folder:
        with contextlib.suppress(OSError, ValueError):
            write_at(folder / "inputs" / "a" / "video.mp4")
        found = find_video(folder / "inputs", Source("b", key or "k", "e", 7))
        assert found is None or found.resolve().is_relative_to(folder.resolve())


def test_a_link_among_the_inputs_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(BODY)
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "video.mp4").symlink_to(tmp_path / "secret.mp4")
    assert find_video(tmp_path / "inputs", Source("b", "video.mp4", "e", 7)) is None
    with pytest.raises(UnsafePathError, match="leads out of its folder"):
        safe_join(tmp_path / "inputs", "video.mp4")


@on_disk
@given(st.lists(hostile_keys, min_size=1, max_size=3), st.sampled_from(["", "a", "a/", "../"]))
def test_inputs_by_prefix_are_written_below_their_folder(keys: list[str], prefix: str) -> None:
    with contained() as folder:
        download(Objects(listed=tuple(keys)), folder, f"s3://b/{prefix}", "S3Prefix")


@on_disk
@given(hostile_keys, hostile_keys)
def test_inputs_by_manifest_are_written_below_their_folder(first: str, second: str) -> None:
    manifest = json.dumps([{"prefix": "s3://b/"}, first, second])
    with contained() as folder:
        download(Objects(manifest=manifest), folder, "s3://b/videos.manifest", "ManifestFile")


@on_disk
@given(hostile_keys)
def test_a_key_that_can_be_a_file_is_the_one_file_that_the_container_finds(key: str) -> None:
    source = Source("b", key or "k", "e", len(BODY))
    if storable_fault(source.key):
        return
    with contained() as folder:
        objects = Objects(manifest=video_manifest(source))
        if download(objects, folder, "s3://b/videos.manifest", "ManifestFile"):
            inputs = Instance("algo-1", folder).local_path("/opt/ml/processing/input/videos")
            found = find_video(inputs, source)
            assert found is not None
            assert [path for path in inputs.rglob("*") if path.is_file()] == [found]


@on_disk
@given(hostile_keys, hostile_keys)
@example("v.mp4", "a" * 255)
def test_results_are_fetched_below_their_folder(key: str, name: str) -> None:
    with contained() as folder, contextlib.suppress(UserError, OSError, ValueError):
        document = result_of(key, name)
        fetch_results(document, s3=Objects(), to=folder)  # type: ignore[arg-type]


def test_a_file_of_results_may_have_the_longest_name_there_is(tmp_path: Path) -> None:
    longest = "a" * 255
    document = result_of("v.mp4", longest)
    fetch_results(document, s3=Objects(), to=tmp_path)  # type: ignore[arg-type]
    fetched = job_folder(tmp_path, "v.mp4", JOB) / "attempt-1"
    assert [path.name for path in fetched.iterdir()] == [longest]


def download(objects: Objects, folder: Path, uri: str, kind: str) -> bool:
    place = {
        "S3Uri": uri,
        "S3DataType": kind,
        "LocalPath": "/opt/ml/processing/input/videos",
    }
    try:
        download_input(objects, place, [Instance("algo-1", folder)], role_arn="r")  # type: ignore[arg-type]
    except InputError:
        return False
    return True


def result_of(key: str, name: str) -> ResultDocument:
    digest = hashlib.sha256(BODY).hexdigest()
    return ResultDocument(
        job_id=JOB,
        attempt=1,
        source=Source("uploads", key, "e", 7),
        model=Model("builtin:people", "0" * 64),
        selection=Selection.parse("all"),
        bucket="results",
        prefix=attempt_prefix(key, JOB, 1),
        files=(ResultFile(name, len(BODY), digest),),
        video=VideoFacts("mp4", "h264", "yuv420p", 1, 1, 0, Fraction(1)),
        counts=Counts(1, 1, 1),
        timings_s={},
        peak_memory_bytes=1,
        committed_at="2026-01-01T00:00:00+00:00",
    )
