"""
Stages that work at the same time, each in its own thread, items in order between them.

A stage is a generator; `Line.ahead` lets it run ahead of whoever takes from it, as far as a budget
of bytes allows. Stages nest, so a line of them needs no other wiring:

    line.ahead(write(line.ahead(predict(line.ahead(decode())))))

Whatever a stage raises reaches the taker after the items before it. Leaving the line stops every
stage where it stands and waits for its thread; none is left behind.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

MIN_DEPTH = 2
"""Items a stage may be ahead whatever their size: with one alone, stages wait for each other."""
_POLL_S = 0.05


class StoppedError(Exception):
    """The line was left while this stage was at work; nobody is told."""


class Line:
    """
    Stages that stop together. To be left by the thread that takes the last items.

    Args:
        check: Called often while that thread waits; what it raises ends the line.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._owner = threading.get_ident()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def raise_if_stopped(self) -> None:
        """
        For stages to call within long work.

        Raises:
            StoppedError: The line was left.
        """
        if self._is_stopped:
            raise StoppedError

    def ahead(
        self,
        items: Generator[T, None, None],
        *,
        size_bytes: Callable[[T], int],
        max_bytes: int,
        name: str,
    ) -> Generator[T, None, None]:
        """
        The same items, made in a thread of their own.

        Args:
            size_bytes: Of one item.
            max_bytes: Of the items that wait to be taken; two may wait whatever their size.
            name: The thread's.

        Raises:
            Exception: What making the items raised.
        """
        ready: deque[T] = deque()
        held_bytes = 0
        error: BaseException | None = None
        is_over = False

        def add(item: T) -> None:
            nonlocal held_bytes
            size = size_bytes(item)
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._is_stopped or len(ready) < MIN_DEPTH or held_bytes + size <= max_bytes
                    )
                )
                self.raise_if_stopped()
                ready.append(item)
                held_bytes += size
                self._changed.notify_all()

        def work() -> None:
            nonlocal error, is_over
            try:
                with closing(items):
                    for item in items:
                        add(item)
            except BaseException as raised:  # noqa: BLE001 - raised where the items are taken
                error = raised
            with self._changed:
                is_over = True
                self._changed.notify_all()

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)
        while True:
            with self._changed:
                self._await(lambda: bool(ready) or is_over)
                if not ready:
                    break
                item = ready.popleft()
                held_bytes -= size_bytes(item)
                self._changed.notify_all()
            yield item
        if error is not None:
            raise error

    def _await(self, is_met: Callable[[], bool]) -> None:
        is_owner = threading.get_ident() == self._owner
        while not self._changed.wait_for(
            lambda: self._is_stopped or is_met(), _POLL_S if is_owner else None
        ):
            self._check()
        if is_owner:
            self._check()
        self.raise_if_stopped()
