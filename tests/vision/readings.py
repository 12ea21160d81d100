"""Read a video by a plan and sequentially, and find them equal."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contracts.outcomes import WarningCode
from contracts.results import ResultWarning
from contracts.selection import Selection
from vision.canvas import Frame
from vision.faults import RejectedVideoError
from vision.limits import Limits
from vision.models.base import ModelInput
from vision.reader import PlanDeviationError, VideoReader
from vision.workers import Parallelism

SMALL = ModelInput((80, 60))


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What reading a video came to."""

    frames: list[Frame]
    reader: VideoReader
    rejection: str | None

    @property
    def warnings(self) -> tuple[ResultWarning, ...]:
        """Without the one that there was no plan."""
        code = WarningCode.SEQUENTIAL_DECODING
        return tuple(w for w in self.reader.warnings if w.code != code)


def read(
    path: Path,
    select: str = "all",
    *,
    plans: bool = True,
    workers: int = 2,
    model_input: ModelInput = SMALL,
) -> Reading:
    """The frames of a video, as the pipeline would get them."""
    selection = Selection.parse(select)
    reader = VideoReader(path, selection, model_input, Limits(), Parallelism(workers), plans)
    try:
        return Reading(list(reader.frames()), reader, None)
    except RejectedVideoError as rejection:
        return Reading([], reader, rejection.code)
    except MemoryError:
        return Reading([], reader, "memory")  # a damaged length that nothing can hold
    except PlanDeviationError:
        return read(path, select, plans=False, model_input=model_input)


def assert_equal(planned: Reading, sequential: Reading) -> None:
    """Both have the same frames, pixel for pixel, and say the same of them."""
    assert planned.rejection == sequential.rejection
    if sequential.rejection is not None:
        return
    assert [f.record for f in planned.frames] == [f.record for f in sequential.frames]
    for mine, other in zip(planned.frames, sequential.frames, strict=True):
        assert mine.placement == other.placement
        assert np.array_equal(mine.pixels, other.pixels), mine.record
    assert planned.reader.facts == sequential.reader.facts
    assert planned.warnings == sequential.warnings
    assert planned.reader.report.frame_count == sequential.reader.report.frame_count
    assert planned.reader.report.frames_lost == sequential.reader.report.frames_lost
    assert planned.reader.report.reached_end == sequential.reader.report.reached_end


def compare(path: Path, select: str = "all", *, workers: int = 2) -> Reading:
    """Read both ways; the planned reading, found equal."""
    planned = read(path, select, workers=workers)
    assert_equal(planned, read(path, select, plans=False))
    return planned
