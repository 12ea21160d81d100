"""Every frame gets a timestamp above the one before."""

from fractions import Fraction

_FALLBACK_FRAME_RATE = Fraction(25)
"""What FFmpeg assumes of a raw stream that names no frame rate."""


class PresentationClock:
    """
    Takes the timestamps of frames in presentation order and mends those that are none.

    Attributes:
        guessed_count: Frames so far whose timestamp was missing or went backwards.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.time_base = time_base
        self.guessed_count = 0
        rate = frame_rate or _FALLBACK_FRAME_RATE
        self._step = max(1, round(1 / (rate * time_base)))
        self._first: int | None = None
        self._last: int | None = None

    def stamp(self, pts: int | None) -> int:
        """The next frame's timestamp."""
        if pts is None or (self._last is not None and pts <= self._last):
            self.guessed_count += 1
            pts = self._guess(pts)
        if self._first is None:
            self._first = pts
        self._last = pts
        return pts

    def since_first(self, pts: int) -> Fraction:
        """Exact seconds from the first frame to this timestamp."""
        return (pts - (self._first or 0)) * self.time_base

    def _guess(self, pts: int | None) -> int:
        if self._last is None:
            return 0
        # A repeated timestamp stays in its place; after a jump backwards time goes on evenly.
        is_repeated = pts is not None and self._last - pts < self._step
        return self._last + (1 if is_repeated else self._step)
