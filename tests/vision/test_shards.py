"""Shards of a video, joined, are what a run without shards leaves: byte for byte."""

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.outcomes import Outcome, RejectionCode, WarningCode
from contracts.results import AttemptDocument
from tests.vision.attempts import NumberModel, any_request
from tests.vision.videos import B_FRAMES, OPEN_GOP, VideoSpec, make_video
from vision.merge import ShardsDifferError, merge_shards
from vision.models.base import ModelInput, Task
from vision.pipeline import process_video
from vision.shards import Shard

VIDEOS = {
    "closed": ("mp4", VideoSpec(frame_count=90, options=B_FRAMES)),
    "one_gop": ("mp4", VideoSpec(frame_count=30, options=OPEN_GOP)),
    "open_hevc": (
        "mkv",
        VideoSpec(
            frame_count=60,
            size=(160, 128),
            codec="libx265",
            options={"x265-params": "log-level=none:keyint=10:min-keyint=10:open-gop=1"},
        ),
    ),
    "raw": ("h264", VideoSpec(frame_count=60, options=B_FRAMES)),
    "unplannable": ("mkv", VideoSpec(frame_count=20, codec="ffv1", options={})),
}


def process(path: Path, folder: Path, select: str, shard: Shard | None = None) -> AttemptDocument:
    return process_video(
        path=path,
        request=any_request(path, select=select),
        model=NumberModel(ModelInput((96, 64), max_batch=4), Task.SEMANTIC_SEGMENTATION),
        folder=folder,
        shard=shard,
    )


def shards_of(path: Path, folder: Path, select: str, count: int) -> list[Path]:
    folders = [folder / f"shard-{index}" for index in range(count)]
    for index, part in enumerate(folders):
        process(path, part, select, Shard(index, count))
    return folders


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "attempt.json"
    }


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("select", ["every_nth=3", "indices=3,17,18"])
def test_joined_shards_are_byte_identical_to_a_run_without(
    name: str, select: str, tmp_path: Path
) -> None:
    ending, spec = VIDEOS[name]
    path = make_video(tmp_path / f"video.{ending}", spec)
    whole = process(path, tmp_path / "whole", select)
    for count in range(1, 6):
        folders = shards_of(path, tmp_path / f"of-{count}", select, count)
        joined = merge_shards(folders[::-1], tmp_path / f"joined-{count}")
        assert contents(tmp_path / f"joined-{count}") == contents(tmp_path / "whole")
        assert (joined.files, joined.video, joined.outcome) == (
            whole.files,
            whole.video,
            whole.outcome,
        )
        assert set(joined.warnings) == set(whole.warnings)
        assert joined.counts == replace(whole.counts, frames_decoded=joined.counts.frames_decoded)
        assert joined.shard is None


def test_shards_share_the_work(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VIDEOS["closed"][1])
    documents = [process(path, tmp_path / f"{index}", "all", Shard(index, 3)) for index in range(3)]
    assert sum(document.counts.frames_processed for document in documents) == 90
    assert all(1 <= document.counts.frames_processed <= 60 for document in documents)
    assert sum(document.counts.frames_decoded for document in documents) <= 90 + 2 * 12


def test_a_shard_whose_decoding_finds_damage_is_still_exact(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=90, size=(192, 128)))
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 2, len(content) // 2 + 700, 31):
        content[position] ^= 0x5A
    path.write_bytes(content)
    process(path, tmp_path / "whole", "all")
    folders = shards_of(path, tmp_path, "all", 3)
    joined = merge_shards(folders, tmp_path / "joined")
    assert WarningCode.SEQUENTIAL_DECODING in [warning.code for warning in joined.warnings]
    assert contents(tmp_path / "joined") == contents(tmp_path / "whole")


def test_what_is_not_one_attempt_is_not_joined(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=30))
    folders = shards_of(path, tmp_path / "a", "all", 2)
    others = shards_of(path, tmp_path / "b", "every_nth=2", 2)
    process(path, tmp_path / "whole", "all")
    for wrong, words in (
        ([], "no shards"),
        (folders[:1], "each of 1"),
        ([folders[0], folders[0]], "once"),
        ([folders[0], others[1]], "differ in job_id"),
        ([tmp_path / "whole"], "whole attempt"),
    ):
        with pytest.raises(ShardsDifferError, match=words):
            merge_shards(wrong, tmp_path / "joined")
    (folders[1] / "detections.jsonl.gz").write_bytes(b"")
    with pytest.raises(ShardsDifferError, match="expected"):
        merge_shards(folders, tmp_path / "joined")
    assert not (tmp_path / "joined/attempt.json").exists()


def test_shards_without_any_wanted_frame_are_rejected_when_joined(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=30))
    folders = shards_of(path, tmp_path, "indices=99", 2)
    joined = merge_shards(folders, tmp_path / "joined")
    assert (joined.outcome, joined.code) == (Outcome.REJECTED, RejectionCode.NOTHING_SELECTED)
    assert contents(tmp_path / "joined") == {}


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "1/0", "a/b", "0/4/1", "０/4"])
def test_a_text_that_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="i/n"):
        Shard.parse(text)
    assert str(Shard.parse("3/4")) == "3/4"
