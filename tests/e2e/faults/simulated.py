"""Faults in simulated time: at every call of every function, in every event, in every container."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from contracts.outcomes import JobState
from tests.e2e.faults.report import Experiment, Verdict
from tests.e2e.faults.simulation import delivery
from tests.e2e.faults.simulation.delivery import Delivery
from tests.e2e.faults.simulation.faults import (
    OUTAGE_S,
    REFUSALS,
    Chaos,
    Crash,
    Hang,
    Outage,
    Refusal,
)
from tests.e2e.faults.simulation.functions import FUNCTIONS
from tests.e2e.faults.simulation.laboratory import Laboratory
from tests.e2e.faults.simulation.sagemaker import Ending
from tests.e2e.faults.simulation.seam import Fault, Point
from tests.e2e.faults.simulation.verdict import judge
from tests.e2e.faults.simulation.world import HORIZON_S, World
from tests.lambdas.stage import NAMES

OUTAGES_FROM_S = (0.0, 30.0, 61.0, 90.0)
"""While dispatch works, while jobs run, while settle works, while attempts are made again."""
CHAOS_SEEDS = 100

Place = tuple[Point, Delivery]
"""A call where a fault can be injected, and the delivery of events that makes it happen."""


class SimulatedFaults:
    """
    All experiments in one laboratory.

    Args:
        one_in: Of so many places where a fault can be injected one is tried; 1 tries them all.
    """

    def __init__(self, laboratory: Laboratory, *, one_in: int = 1) -> None:
        self._laboratory = laboratory
        self._one_in = one_in
        self._known: list[Place] | None = None

    def experiments(self) -> Iterator[Experiment]:
        """Every experiment, a row each."""
        yield from self._events()
        yield from self._deaths()
        yield from self._refusals()
        yield from self._containers()

    def _events(self) -> Iterator[Experiment]:
        kinds: dict[str, Delivery] = {
            "every event twice": delivery.duplicated(2),
            "every event 50 times": delivery.duplicated(50),
            "events in random order": delivery.reordered,
            "every event an hour late": delivery.delayed(3600.0),
            "every upload's event lost": delivery.dropped_on_the_way_to(NAMES.uploads_queue),
            "every end's event lost": delivery.dropped_on_the_way_to(NAMES.completions_queue),
            "every event lost": delivery.never,
        }
        for name, kind in kinds.items():
            yield _experiment(name, partial(self._deliver, kind, seeds=(0,)))
        seeds = range(0, CHAOS_SEEDS, self._one_in)
        unreliable = partial(self._deliver, delivery.unreliable, seeds=seeds)
        yield _experiment("events lost, doubled, late by chance", unreliable)
        yield _experiment("all of this, calls failing by chance", partial(self._be_chaotic, seeds))

    def _deaths(self) -> Iterator[Experiment]:
        kinds: dict[str, Callable[[Point], Fault]] = {
            "killed before each call": partial(Crash, after=False),
            "killed after each call": partial(Crash, after=True),
            "timed out at each call": Hang,
        }
        for role in FUNCTIONS:
            for name, kind in kinds.items():
                yield _experiment(f"{role} {name}", partial(self._kill, role, kind))

    def _refusals(self) -> Iterator[Experiment]:
        for service in REFUSALS:
            for name, for_s in (("once", 0.0), ("for a minute", OUTAGE_S)):
                run = partial(self._refuse, service, for_s)
                yield _experiment(f"{service}: each call refused {name}", run)
            run = partial(self._be_silent, service)
            yield _experiment(f"{service}: nothing answered for an hour", run)

    def _containers(self) -> Iterator[Experiment]:
        for ending in Ending:
            if ending not in (Ending.WHOLE, Ending.REJECTED):
                name = ending.name.lower().replace("_", " ")
                yield _experiment(f"container: {name}", partial(self._end_badly, ending))
        yield _experiment("backend takes two jobs at a time", self._be_busy)

    def _kill(self, role: str, kind: Callable[[Point], Fault]) -> Verdict:
        places = self._places(lambda point: point[0] == role)
        return self._inject((kind(point), way) for point, way in places)

    def _refuse(self, service: str, for_s: float) -> Verdict:
        places = self._places(lambda point: point[1][-1].partition(".")[0] == service)
        return self._inject(
            (Refusal(point, code, for_s=for_s), way)
            for point, way in places
            for code in REFUSALS[service]
        )

    def _be_silent(self, service: str) -> Verdict:
        *_, code = REFUSALS[service]
        return self._inject(
            (Outage(service, code, from_s=from_s, for_s=3600.0), delivery.at_once)
            for from_s in OUTAGES_FROM_S
        )

    def _places(self, is_wanted: Callable[[Point], bool]) -> Sequence[Place]:
        """Calls that are made while all kinds of jobs run, with and without their events."""
        if self._known is None:
            found: dict[Point, Delivery] = {}
            for way in (delivery.at_once, delivery.never):
                world = self._run_all_kinds(way=way)
                found |= {point: way for point in world.seam.points if point not in found}
            self._known = sorted(found.items(), key=lambda place: place[0])
        return [place for place in self._known if is_wanted(place[0])][:: self._one_in]

    def _run_all_kinds(
        self, fault: Fault | None = None, *, way: Delivery = delivery.at_once, seed: int = 0
    ) -> World:
        world = self._laboratory.world(fault=fault, delivery=way, seed=seed)
        upload_all_kinds(world)
        world.run()
        return world

    def _inject(self, faults: Iterable[tuple[Fault, Delivery]]) -> Verdict:
        total = Verdict()
        for fault, way in faults:
            world = self._run_all_kinds(fault, way=way)
            total.add(judge(world, injected=fault.injected))
        return total

    def _deliver(self, way: Delivery, *, seeds: Iterable[int]) -> Verdict:
        total = Verdict()
        for seed in seeds:
            world = self._run_all_kinds(way=way, seed=seed)
            total.add(judge(world, injected=len(world.told)))
        return total

    def _be_chaotic(self, seeds: Iterable[int]) -> Verdict:
        total = Verdict()
        for seed in seeds:
            fault = Chaos(seed)
            world = self._run_all_kinds(fault, way=delivery.unreliable, seed=seed)
            total.add(judge(world, injected=fault.injected, bound_s=HORIZON_S))
        return total

    def _end_badly(self, ending: Ending) -> Verdict:
        """Once, and twice."""
        world = self._laboratory.world()
        for number in range(5):
            world.upload(f"once-{number}.mp4", ending, Ending.WHOLE)
            world.upload(f"twice-{number}.mp4", ending, ending, Ending.WHOLE)
        world.run()
        return judge(world, injected=world.endings[ending])

    def _be_busy(self) -> Verdict:
        world = self._laboratory.world()
        world.sagemaker.most_running = 2
        for number in range(20):
            world.upload(f"waits-{number}.mp4")
        world.run()
        return judge(world, injected=world.sagemaker.refused)


def upload_all_kinds(world: World) -> None:
    """A video of each fate: good, no video, found bad, good at the second try, never good."""
    world.upload("good.mp4")
    world.upload("text.mp4", ends=[JobState.REJECTED], body=b"This is text.")
    world.upload("bad.mp4", Ending.REJECTED, ends=[JobState.REJECTED])
    world.upload("again.mp4", Ending.DIES_DECODING, Ending.WHOLE)
    world.upload("never.mp4", Ending.DIES_WRITING, ends=[JobState.FAILED])


def _experiment(name: str, run: Callable[[], Verdict]) -> Experiment:
    return Experiment(name, run, is_simulated=True)
