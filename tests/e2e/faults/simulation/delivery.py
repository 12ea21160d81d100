"""How EventBridge delivers: once and soon as a rule, and in any other way when asked to."""

import random
from collections.abc import Callable, Sequence

SOON_S = 0.5

Delivery = Callable[[str], Sequence[float]]
"""From the name of a queue to the delays after which one event arrives there, each in seconds."""


def at_once(_: str) -> Sequence[float]:
    """Once, soon."""
    return (SOON_S,)


def duplicated(times: int) -> Delivery:
    """So many times within a minute."""
    return lambda _: [random.uniform(SOON_S, 60) for _ in range(times)]  # noqa: S311


def reordered(_: str) -> Sequence[float]:
    """Once, some time within ten minutes: whatever came first may arrive last."""
    return (random.uniform(SOON_S, 600),)  # noqa: S311


def delayed(by_s: float) -> Delivery:
    """Once, late."""
    return lambda _: (by_s,)


def dropped_on_the_way_to(queue: str) -> Delivery:
    """Never into that queue, soon into others."""
    return lambda name: () if name == queue else (SOON_S,)


def never(_: str) -> Sequence[float]:
    """Never: only reconcile finds what happened."""
    return ()


def unreliable(_: str) -> Sequence[float]:
    """Lost at times, doubled at times, late at times."""
    copies = random.choice((0, 1, 1, 2))  # noqa: S311
    return [random.expovariate(1 / 60) for _ in range(copies)]
