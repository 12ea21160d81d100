"""Where worlds are made, one after the other, and where their clock is the Lambdas' clock."""

import contextlib
import logging
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from lambdas.common.observability import logger, metrics
from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.delivery import Delivery, at_once
from tests.e2e.faults.simulation.dynamodb import DynamoDb
from tests.e2e.faults.simulation.seam import Fault
from tests.e2e.faults.simulation.world import World
from tests.lambdas.stage import create_table


class Laboratory:
    """Makes worlds; the functions' clock is that of the latest."""

    def __init__(self) -> None:
        self.clock = Clock()

    def now(self) -> str:
        """Now, as the ledger writes times."""
        return self.clock.ledger_now()

    def world(
        self,
        *,
        fault: Fault | None = None,
        delivery: Delivery = at_once,
        seed: int = 0,
        dynamodb: Any = None,
    ) -> World:
        """
        A new world; with the same arguments the same things happen in it.

        Args:
            dynamodb: A client of another DynamoDB than the simulation's own, without tables.
        """
        random.seed(seed)
        self.clock = Clock()
        dynamodb = dynamodb or DynamoDb(self.clock)
        create_table(dynamodb)
        return World(self.clock, dynamodb, fault=fault, delivery=delivery)


@contextlib.contextmanager
def laboratory() -> Iterator[Laboratory]:
    """A laboratory; while it lasts, the Lambdas' code tells its time."""
    made = Laboratory()
    with contextlib.ExitStack() as undone:
        undone.callback(random.setstate, random.getstate())
        log = logging.getLogger(logger.name)
        undone.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL + 1)  # thousands of failures are the very purpose
        provider = metrics.provider
        undone.enter_context(mock.patch.object(provider, "flush_metrics", _forget(provider)))
        for name, module in list(sys.modules.items()):
            if name.startswith("lambdas.") and hasattr(module, "utc_now"):
                undone.enter_context(mock.patch.object(module, "utc_now", made.now))
        yield made


def _forget(provider: Any) -> Callable[..., None]:
    return lambda **_: provider.clear_metrics()
