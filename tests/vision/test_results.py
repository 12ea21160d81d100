"""An attempt's files are whole, are what their checksums say, and read back as written."""

import errno
import gzip
import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.results import Detection, FrameRecord, FrameResult, Mask
from vision.models.base import Prediction
from vision.results import (
    AttemptWriter,
    encode_class_map,
    read_class_map,
    read_detections,
)

CLASS_MAP = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)


def record(index: int) -> FrameRecord:
    return FrameRecord(index, index * 512, Fraction(1, 12800), index / 25, index == 0, 30, 20)


def found(index: int) -> Detection:
    return Detection(index, "café", 0.1 * index, (0.0, 1.5, 3.25, 4.0), Mask((20, 30), "abc"))


def write(folder: Path, scratch: Path | None = None) -> list[str]:
    with AttemptWriter(folder, scratch) as writer:
        for index in range(5):
            writer.write(record(index), Prediction((found(index),), CLASS_MAP))
        return [file.name for file in writer.finish()]


def test_detections_read_back_as_they_were_written(tmp_path: Path) -> None:
    write(tmp_path)
    read = list(read_detections(tmp_path / "detections.jsonl.gz"))
    expected = [FrameResult(record(i), (found(i),), f"segmentation/{i:08d}.png") for i in range(5)]
    assert read == expected


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_class_maps_read_back_as_they_were_written(width: int, height: int, rng: object) -> None:
    class_map = np.random.default_rng(rng.getrandbits(32)).integers(  # type: ignore[attr-defined]
        0, 256, (height, width), np.uint8
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.png"
        path.write_bytes(encode_class_map(class_map))
        assert (read_class_map(path) == class_map).all()


def test_the_same_results_are_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    first, second = ((tmp_path / n / "detections.jsonl.gz").read_bytes() for n in ("one", "two"))
    assert first == second
    assert first[4:8] == b"\0\0\0\0", "the gzip header keeps no time"


def test_sizes_and_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    with AttemptWriter(tmp_path) as writer:
        writer.write(record(0), Prediction((), CLASS_MAP))
        files = writer.finish()
    assert [file.name for file in files] == ["detections.jsonl.gz", "segmentation/00000000.png"]
    for file in files:
        content = (tmp_path / file.name).read_bytes()
        assert (file.size_bytes, file.sha256) == (
            len(content),
            hashlib.sha256(content).hexdigest(),
        )


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "attempt", tmp_path / "scratch"
    scratch.mkdir()
    with AttemptWriter(folder, scratch) as writer:
        for index in range(3):
            writer.write(record(index), Prediction((), CLASS_MAP))
            names = sorted(path.name for path in folder.rglob("*") if path.is_file())
            assert names == [f"{i:08d}.png" for i in range(index + 1)]
        writer.finish()
        with gzip.open(folder / "detections.jsonl.gz") as lines:
            assert len(lines.readlines()) == 3
    assert list(scratch.iterdir()) == []


def test_a_failed_attempt_leaves_nothing(tmp_path: Path) -> None:
    def fail(writer: AttemptWriter) -> None:
        writer.write(record(0), Prediction((), CLASS_MAP))
        raise RuntimeError

    with pytest.raises(RuntimeError), AttemptWriter(tmp_path) as writer:
        fail(writer)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_files_reach_another_file_system_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def across(self: Path, target: Path) -> Path:
        if self.is_relative_to(scratch):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across)
    names = write(tmp_path / "attempt", scratch)
    written = [p for p in (tmp_path / "attempt").rglob("*") if p.is_file()]
    assert sorted(str(p.relative_to(tmp_path / "attempt")) for p in written) == names
