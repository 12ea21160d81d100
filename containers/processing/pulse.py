"""Signs of life of a process, readable from the one that watches it."""

import mmap
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FORM = struct.Struct("=d?")


class Pulse:
    """Shared by a process and those that it forks."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, _FORM.size)
        self._is_engine = False
        self.beat()

    def beat(self) -> None:
        """Say that something came forth."""
        _FORM.pack_into(self._shared, 0, time.monotonic(), self._is_engine)

    @contextmanager
    def engine(self) -> Iterator[None]:
        """While a model is loaded or computes, it is not the video that is waited for."""
        self._is_engine = True
        self.beat()
        try:
            yield
        finally:
            self._is_engine = False
            self.beat()

    def read(self) -> tuple[float, bool]:
        """When it beat last, by the monotonic clock, and whether within a model."""
        beat, is_engine = _FORM.unpack_from(self._shared, 0)
        return beat, is_engine
