"""The seam between the Lambdas and AWS, where faults are put in: every call passes here."""

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.faults.simulation.clock import Clock

CALL_S = 0.02

Point = tuple[str, tuple[str, ...]]
"""A call by what led to it: the role, and the names of its calls up to this one."""


class KilledError(BaseException):
    """The Lambda's environment is gone: nothing of it runs any more, no handler, no `finally`."""


@dataclass(slots=True)
class Execution:
    """
    One invocation of a function.

    Attributes:
        trail: The calls it made so far, as `service.operation`.
    """

    role: str
    deadline_s: float
    trail: list[str] = field(default_factory=list)

    @property
    def point(self) -> Point:
        return self.role, tuple(self.trail)


class Fault:
    """What goes wrong at the seam; this one is nothing."""

    def __init__(self) -> None:
        self.injected = 0

    def before(self, execution: Execution, clock: Clock) -> None:
        """Called before a call takes effect."""

    def after(self, execution: Execution, clock: Clock) -> None:
        """Called after a call took effect, before its answer arrives."""


class Turnstile:
    """Lets concurrent executions make one call after the other, in an order drawn by chance."""

    def __init__(self, seed: int, executions: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._lock = threading.Lock()
        self._waiting: dict[int, threading.Event] = {}
        self._running = executions

    def pass_(self) -> None:
        """Wait for this thread's turn, which comes when every execution is at a call."""
        turn = threading.Event()
        with self._lock:
            self._waiting[threading.get_ident()] = turn
            self._running -= 1
            self._choose()
        turn.wait()

    def leave(self) -> None:
        """An execution made its last call."""
        with self._lock:
            self._running -= 1
            self._choose()

    def _choose(self) -> None:
        # Less than none where one execution calls from several threads.
        if self._running <= 0 and self._waiting:
            self._waiting.pop(self._random.choice(sorted(self._waiting))).set()
            self._running += 1


class Seam:
    """Hands out clients whose every call passes the fault and takes simulated time."""

    def __init__(self, clock: Clock, fault: Fault) -> None:
        self._clock = clock
        self._fault = fault
        self._lock = threading.Lock()
        self.turnstile: Turnstile | None = None
        self.points: set[Point] = set()

    def client(self, service: str, client: Any, execution: Execution) -> Any:
        """The client as one execution has it."""
        return _Client(self, service, client, execution)

    def call(
        self, execution: Execution, name: str, real: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        """One call of an execution."""
        execution.trail.append(name)
        if self.turnstile is not None:
            self.turnstile.pass_()
        self.points.add(execution.point)
        self._clock.pass_(CALL_S)
        self._fault.before(execution, self._clock)
        self._check_time(execution)
        with self._lock:  # one call takes effect after the other
            answer = real(**arguments)
        self._fault.after(execution, self._clock)
        self._check_time(execution)
        return answer

    def _check_time(self, execution: Execution) -> None:
        if self._clock.now_s > execution.deadline_s:
            raise KilledError(f"{execution.role} ran past its time-out")


@dataclass(frozen=True, slots=True)
class _Client:
    seam: Seam
    service: str
    client: Any
    execution: Execution

    def __getattr__(self, name: str) -> Any:
        if name in ("exceptions", "meta"):
            return getattr(self.client, name)
        if name == "get_paginator":
            return lambda operation: _Paginator(getattr(self, operation))
        real = getattr(self.client, name)
        called = f"{self.service}.{name}"
        return lambda **arguments: self.seam.call(self.execution, called, real, arguments)


@dataclass(frozen=True, slots=True)
class _Paginator:
    """Pages of a listing; S3's markers are all that is needed."""

    operation: Callable[..., dict[str, Any]]

    def paginate(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        size = arguments.pop("PaginationConfig", {}).get("PageSize")
        if size:
            arguments["MaxKeys"] = size
        while True:
            page = self.operation(**arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            arguments["KeyMarker"] = page["NextKeyMarker"]
            arguments["VersionIdMarker"] = page["NextVersionIdMarker"]
