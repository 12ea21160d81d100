"""Faults at the seam: a death, a refusal, an outage, a call that hangs."""

import random

from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.s3 import error
from tests.e2e.faults.simulation.seam import Execution, Fault, KilledError, Point

OUTAGE_S = 60.0
CHANCE = 0.05
"""Of a call to fail, and of an answer to get lost, while there is chaos."""

REFUSALS: dict[str, tuple[str, ...]] = {
    "s3": ("SlowDown", "InternalError"),
    "sqs": ("RequestThrottled", "InternalFailure"),
    "sns": ("Throttling", "InternalError"),
    "dynamodb": ("ProvisionedThroughputExceededException", "InternalServerError"),
    "sagemaker": ("ThrottlingException", "InternalFailure"),
}
"""Of each service, how it throttles and how it fails, once an SDK has given up trying again."""


class Crash(Fault):
    """The function dies at a call, before or after it takes effect; once."""

    def __init__(self, point: Point, *, after: bool) -> None:
        super().__init__()
        self._point, self._after = point, after

    def before(self, execution: Execution, clock: Clock) -> None:
        if not self._after:
            self._strike(execution)

    def after(self, execution: Execution, clock: Clock) -> None:
        if self._after:
            self._strike(execution)

    def _strike(self, execution: Execution) -> None:
        if not self.injected and execution.point == self._point:
            self.injected += 1
            raise KilledError(self._point)


class Hang(Fault):
    """A call takes effect, and its answer comes only after the function's time-out; once."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self._point = point

    def after(self, execution: Execution, clock: Clock) -> None:
        if not self.injected and execution.point == self._point:
            self.injected += 1
            clock.reach(execution.deadline_s + 1)


class Refusal(Fault):
    """One call is refused with an error; once, or from then on for a while every such call."""

    def __init__(self, point: Point, code: str, *, for_s: float = 0.0) -> None:
        super().__init__()
        self._point, self._code, self._for_s = point, code, for_s
        self._until_s: float | None = None

    def before(self, execution: Execution, clock: Clock) -> None:
        if self._until_s is None:
            if execution.point != self._point:
                return
            self._until_s = clock.now_s + self._for_s
        elif clock.now_s > self._until_s or execution.trail[-1] != self._point[1][-1]:
            return
        self.injected += 1
        raise error(self._code, execution.trail[-1])


class Outage(Fault):
    """A service refuses every call of every function for a while."""

    def __init__(self, service: str, code: str, *, from_s: float, for_s: float) -> None:
        super().__init__()
        self._service, self._code = service, code
        self._from_s, self._until_s = from_s, from_s + for_s

    def before(self, execution: Execution, clock: Clock) -> None:
        called = execution.trail[-1]
        in_time = self._from_s <= clock.now_s < self._until_s
        if in_time and called.partition(".")[0] == self._service:
            self.injected += 1
            raise error(self._code, called)


class Chaos(Fault):
    """Whatever can go wrong does at times, until a simulated hour is over."""

    def __init__(self, seed: int, *, for_s: float = 3600.0) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._for_s = for_s

    def before(self, execution: Execution, clock: Clock) -> None:
        if self._is_due(clock):
            self._strike(execution)

    def after(self, execution: Execution, clock: Clock) -> None:
        if self._is_due(clock):
            self._strike(execution)

    def _is_due(self, clock: Clock) -> bool:
        return clock.now_s < self._for_s and self._random.random() < CHANCE

    def _strike(self, execution: Execution) -> None:
        self.injected += 1
        called = execution.trail[-1]
        codes = REFUSALS[called.partition(".")[0]]
        if (code := self._random.choice(("", *codes))) == "":
            raise KilledError(called)
        raise error(code, called)
