"""Join the shards of one video into the attempt that a run without shards would have left."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from contracts.keys import DETECTIONS_FILE
from contracts.outcomes import Outcome, RejectionCode
from contracts.results import AttemptDocument, Counts, ResultWarning
from vision.results import AttemptWriter, read_attempt, read_detections, write_attempt
from vision.shards import Shard


class ShardsDifferError(ValueError):
    """The folders do not hold all shards of one attempt, each whole."""


def merge_shards(
    shards: Sequence[Path], folder: Path, scratch: Path | None = None
) -> AttemptDocument:
    """
    Leave the joined attempt in `folder`, `attempt.json` last.

    Its files are, byte for byte, those of a run without shards.

    Args:
        shards: Folders of all shards, in any order.
        scratch: Where files grow before they appear in `folder`.

    Raises:
        ShardsDifferError: A shard is missing, damaged, or of another attempt.
    """
    parts = _ordered(shards)
    documents = [document for document, _ in parts]
    joined = _joined(documents)
    with AttemptWriter(folder, scratch) as writer:
        if joined.outcome is Outcome.SUCCEEDED:
            for document, shard in parts:
                _check_files(document, shard)
            _copy_results([shard for _, shard in parts], writer)
            joined = replace(joined, files=writer.finish())
    if joined.outcome is Outcome.REJECTED:
        (folder / DETECTIONS_FILE).unlink(missing_ok=True)
    write_attempt(joined, folder, scratch)
    return joined


def _ordered(shards: Sequence[Path]) -> list[tuple[AttemptDocument, Path]]:
    found: dict[int, tuple[AttemptDocument, Path]] = {}
    for folder in shards:
        document = read_attempt(folder)
        if document.shard is None:
            raise ShardsDifferError(f"{folder} holds a whole attempt, not a shard of one")
        shard = Shard.parse(document.shard)
        if shard.count != len(shards) or shard.index in found:
            raise ShardsDifferError(
                f"{folder} is shard {shard}; expected each of {len(shards)} shards once"
            )
        found[shard.index] = document, folder
    if not found:
        raise ShardsDifferError("there are no shards to join")
    parts = [found[index] for index in range(len(shards))]
    first, first_folder = parts[0]
    for document, folder in parts:
        for name in ("job_id", "attempt", "source", "model", "selection", "outcome", "video"):
            if getattr(document, name) != getattr(first, name):
                raise ShardsDifferError(f"{folder} and {first_folder} differ in {name}")
    return parts


def _joined(documents: Sequence[AttemptDocument]) -> AttemptDocument:
    first = documents[0]
    warnings: dict[ResultWarning, None] = {}
    for document in documents:
        warnings.update(dict.fromkeys(document.warnings))
    counts = Counts(
        frames_decoded=sum(document.counts.frames_decoded for document in documents),
        frames_processed=sum(document.counts.frames_processed for document in documents),
        detections=sum(document.counts.detections for document in documents),
    )
    joined = replace(
        first,
        counts=counts,
        timings_s={
            stage: round(sum(document.timings_s[stage] for document in documents), 6)
            for stage in first.timings_s
        },
        peak_memory_bytes=max(document.peak_memory_bytes for document in documents),
        warnings=tuple(warnings),
        files=(),
        shard=None,
    )
    if joined.outcome is Outcome.REJECTED or counts.frames_processed:
        return joined
    message = f"The selection {str(first.selection)[:80]} chooses none of the video's frames."
    return replace(
        joined,
        outcome=Outcome.REJECTED,
        code=RejectionCode.NOTHING_SELECTED,
        message=message,
    )


def _check_files(document: AttemptDocument, folder: Path) -> None:
    for file in document.files:
        try:
            with (folder / file.name).open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
        except FileNotFoundError:
            digest = "nothing"
        if digest != file.sha256:
            raise ShardsDifferError(f"{folder / file.name}: expected {file.sha256}, got {digest}")


def _copy_results(shards: Sequence[Path], writer: AttemptWriter) -> None:
    last = -1
    for shard in shards:
        for result in read_detections(shard / DETECTIONS_FILE):
            if result.frame.frame_index <= last:
                raise ShardsDifferError(
                    f"{shard}: frame {result.frame.frame_index} comes after frame {last}"
                )
            last = result.frame.frame_index
            name = result.segmentation
            writer.append(result, (shard / name).read_bytes() if name else None)
