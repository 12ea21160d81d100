"""Functions side by side, their calls interleaved in every order that chance finds."""

import functools
from collections.abc import Callable, Iterator, Sequence

from contracts.documents import to_json
from contracts.messages import AttemptRequest, Completion
from contracts.outcomes import JobState, Outcome, RejectionCode
from contracts.requests import JobCheck
from tests.e2e.faults.report import Experiment, Verdict
from tests.e2e.faults.simulation import delivery
from tests.e2e.faults.simulation.laboratory import Laboratory
from tests.e2e.faults.simulation.sagemaker import Ending
from tests.e2e.faults.simulation.verdict import judge
from tests.e2e.faults.simulation.world import World

DELIVERIES = 50

Act = Callable[[World], Sequence[tuple[str, str]]]
"""Brings a world to where something happens at once; the messages of then, with their functions."""


class ConcurrentFaults:
    """
    All experiments in one laboratory.

    Args:
        orders: How many orders of calls are tried of each.
    """

    def __init__(self, laboratory: Laboratory, *, orders: int = 50) -> None:
        self._laboratory = laboratory
        self._orders = orders

    def experiments(self) -> Iterator[Experiment]:
        """Every experiment, a row each."""
        few = max(1, self._orders // 10)
        acts: dict[str, tuple[Act, int]] = {
            f"an upload's event {DELIVERIES} times at once": (_uploads, few),
            f"an end's event {DELIVERIES} times at once": (_ends, few),
            "a failed end, checks and the upload at once": (_failures, self._orders),
            "two whole attempts end at once": (_overlap, self._orders),
            "a whole attempt ends while it is cancelled": (_cancel, self._orders),
        }
        for name, (act, orders) in acts.items():
            run = functools.partial(self._try, act, orders)
            yield Experiment(name, run, is_simulated=True)

    def _try(self, act: Act, orders: int) -> Verdict:
        total = Verdict()
        for seed in range(orders):
            world = self._laboratory.world(delivery=delivery.never, seed=seed)
            messages = act(world)
            world.invoke_at_once(messages, seed=seed)
            world.run()
            total.add(judge(world, injected=len(messages)))
        return total


def _uploads(world: World) -> Sequence[tuple[str, str]]:
    world.upload("good.mp4")
    return [("dispatch", _told(world))] * DELIVERIES


def _ends(world: World) -> Sequence[tuple[str, str]]:
    _start(world, "good.mp4", Ending.WHOLE)
    world.end_next_jobs()
    return [("settle", _told(world))] * DELIVERIES


def _failures(world: World) -> Sequence[tuple[str, str]]:
    uploaded = _start(world, "again.mp4", Ending.DIES_WRITING, Ending.WHOLE)
    world.end_next_jobs()
    (job,) = world.records
    check, ask = to_json(JobCheck(job.job_id)), to_json(AttemptRequest(job.job_id, 1))
    settling = [_told(world), _told(world), check, check]
    return [("settle", body) for body in settling] + [
        ("dispatch", body) for body in (uploaded, uploaded, ask)
    ]


def _overlap(world: World) -> Sequence[tuple[str, str]]:
    """The first attempt was given up on, but all it had written arrived after all."""
    _start(world, "slow.mp4", Ending.DIES_BEFORE_ATTEMPT_DOCUMENT, Ending.WHOLE)
    world.end_next_jobs()
    first = _told(world)
    world.invoke_at_once([("settle", first)], seed=0)
    (job,) = world.records
    world.invoke_at_once([("dispatch", to_json(AttemptRequest(job.job_id, 2)))], seed=0)
    world.sagemaker.arrive_late(job.job_id, 1)
    world.end_next_jobs()
    check = to_json(JobCheck(job.job_id))
    return [("settle", body) for body in (first, first, _told(world), _told(world), check)]


def _cancel(world: World) -> Sequence[tuple[str, str]]:
    either = (JobState.SUCCEEDED, JobState.REJECTED)
    _start(world, "good.mp4", Ending.WHOLE, ends=either)
    world.end_next_jobs()
    (job,) = world.records
    cancelled = Completion(
        job.job_id, 1, Outcome.REJECTED, code=RejectionCode.CANCELLED, message="By an operator."
    )
    settling = (_told(world), _told(world), to_json(cancelled), to_json(JobCheck(job.job_id)))
    return [("settle", body) for body in settling]


def _start(
    world: World,
    key: str,
    *endings: Ending,
    ends: Sequence[JobState] = (JobState.SUCCEEDED,),
) -> str:
    """Let a job start; its upload's event."""
    world.upload(key, *endings, ends=ends)
    uploaded = _told(world)
    world.invoke_at_once([("dispatch", uploaded)], seed=0)
    return uploaded


def _told(world: World) -> str:
    """The latest event."""
    return world.told[-1][1]
