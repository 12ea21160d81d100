"""SNS as a subscriber hears it."""

from typing import Any

from contracts.documents import from_json
from contracts.messages import JobOutcome
from tests.e2e.faults.simulation.clock import Clock
from tests.lambdas.stage import NAMES


class Sns:
    """The outcomes topic: what was published, with when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.told: list[tuple[float, JobOutcome]] = []

    def publish(self, *, TopicArn: str, Message: str, **_: Any) -> None:
        if TopicArn == NAMES.outcomes_topic_arn:
            self.told.append((self._clock.now_s, from_json(JobOutcome, Message)))
