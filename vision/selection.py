"""
Decide frame by frame, in presentation order, which frames are wanted.

Time counts from the first presented frame and is exact, so variable frame rates and long videos
select the very frames that the arithmetic says.
"""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from contracts.outcomes import RejectionCode, WarningCode
from contracts.results import ResultWarning
from contracts.selection import Selection, SelectionKind
from vision.faults import RejectedVideoError

_SHOWN_INDICES = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A frame that may be wanted.

    Attributes:
        time: Exact seconds since the first presented frame.
    """

    frame_index: int
    time: Fraction
    is_key_frame: bool


class Selector(Protocol):
    """Asked once about every frame that is not lost, in presentation order."""

    def wants(self, candidate: Candidate) -> bool:
        """Whether this frame is wanted."""

    @property
    def is_done(self) -> bool:
        """Whether no later frame can be wanted."""

    def missing(self) -> tuple[int, ...]:
        """After the last frame: the indices asked for that the video does not have."""


def make_selector(selection: Selection) -> Selector:
    """
    A fresh selector for one pass over one video.

    Raises:
        RejectedVideoError: The selection needs a service that is not there.
    """
    if selection.every_seconds is not None:
        return EverySeconds(selection.every_seconds)
    if selection.every_nth is not None:
        return EveryNth(selection.every_nth)
    if selection.indices is not None:
        return Indices(selection.indices)
    if selection.kind is SelectionKind.INDEX_API:
        raise RejectedVideoError(
            RejectionCode.BAD_REQUEST,
            "The selection index_api needs a key-frame index service, and none is set up. Choose "
            "every_seconds, every_nth, key_frames, indices or all.",
        )
    return KeyFrames() if selection.kind is SelectionKind.KEY_FRAMES else EveryNth(1)


class EverySeconds:
    """For k = 0, 1, 2, …: the first frame at or after k times the interval; each frame once."""

    is_done = False

    def __init__(self, interval: Fraction) -> None:
        self._interval = interval
        self._next = Fraction(0)

    def wants(self, candidate: Candidate) -> bool:
        if candidate.time < self._next:
            return False
        self._next = (candidate.time // self._interval + 1) * self._interval
        return True

    def missing(self) -> tuple[int, ...]:
        return ()


class EveryNth:
    """Frames 0, n, 2n, …"""

    is_done = False

    def __init__(self, step: int) -> None:
        self._step = step

    def wants(self, candidate: Candidate) -> bool:
        return candidate.frame_index % self._step == 0

    def missing(self) -> tuple[int, ...]:
        return ()


class KeyFrames:
    """Frames that the decoder marks as key frames."""

    is_done = False

    def wants(self, candidate: Candidate) -> bool:
        return candidate.is_key_frame

    def missing(self) -> tuple[int, ...]:
        return ()


class Indices:
    """The frames of a strictly ascending list of indices."""

    def __init__(self, indices: tuple[int, ...]) -> None:
        self._waiting = deque(indices)
        self._passed: list[int] = []

    @property
    def is_done(self) -> bool:
        return not self._waiting

    def wants(self, candidate: Candidate) -> bool:
        while self._waiting and self._waiting[0] < candidate.frame_index:
            self._passed.append(self._waiting.popleft())  # a frame that was lost
        if not self._waiting or candidate.frame_index != self._waiting[0]:
            return False
        self._waiting.popleft()
        return True

    def missing(self) -> tuple[int, ...]:
        return (*self._passed, *self._waiting)


def missing_warning(missing: tuple[int, ...], frame_count: int) -> ResultWarning:
    """Say that frames asked for do not exist in a video of so many frames."""
    shown = ", ".join(map(str, missing[:_SHOWN_INDICES]))
    more = f" and {len(missing) - _SHOWN_INDICES} more" if len(missing) > _SHOWN_INDICES else ""
    return ResultWarning(
        WarningCode.FRAME_NOT_FOUND,
        f"The video has {frame_count} frames; not found: {shown}{more}.",
        missing[0] if len(missing) == 1 else None,
    )
