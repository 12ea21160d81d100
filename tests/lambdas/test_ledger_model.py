"""
The ledger as a state machine, driven by chance: events that come twice, late, out of order or
never, functions that die at any call, messages that are lost, operators, and reconcile in between.

Whatever happens, each object version ends once, has a result exactly if it succeeded, and its
history tells how it came to that.
"""

from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord
from lambdas.common.writing import MAX_HISTORY
from tests.e2e.faults.simulation.sagemaker import Ending
from tests.lambdas.ledger_world import LedgerWorld
from tests.lambdas.stage import MP4, SETTINGS

STEPS: dict[JobState, set[JobState]] = {
    JobState.RECEIVED: {*JobState} - {JobState.DEFERRED},
    JobState.DISPATCHED: {*JobState} - {JobState.DEFERRED, JobState.DISPATCHED},
    JobState.FAILED: {JobState.RECEIVED},  # an operator's redrive
    JobState.SUCCEEDED: set(),
    JobState.REJECTED: set(),
}
MAX_UPLOADS = 3
MAX_REDRIVES = 1

calls = st.integers(6, 9) | st.integers(0, 12)
"""A call by its number, those around the commit more often."""
crashes = st.none() | st.tuples(calls, st.booleans())
"""At which call a function dies, and whether that call took effect."""
numbers = st.integers(0, 10**6)


class LedgerMachine(RuleBasedStateMachine):
    """Three uploads to two keys, and all that may go wrong with them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = LedgerWorld()
        self.ends: dict[str, JobRecord] = {}
        self.redrives = 0

    @precondition(lambda self: len(self.world.uploaded) < MAX_UPLOADS)
    @rule(key=st.sampled_from(["a.mp4", "b.mp4"]), other=st.booleans(), heard=st.booleans())
    def upload(self, key: str, other: bool, heard: bool) -> None:
        self.world.upload(key, MP4 + b"other" if other else MP4, heard=heard)

    @precondition(lambda self: self.world.messages)
    @rule(number=numbers, again=st.booleans(), crash=crashes)
    def deliver(self, number: int, again: bool, crash: tuple[int, bool] | None) -> None:
        self.world.deliver(number, keep=again, crash=crash)

    @precondition(lambda self: self.world.messages)
    @rule(
        number=numbers,
        others=st.lists(numbers, min_size=1, max_size=4),
        call=calls,
        again=st.booleans(),
        crash=crashes,
    )
    def deliver_some_in_the_middle_of_another(
        self, number: int, others: list[int], call: int, again: bool, crash: tuple[int, bool] | None
    ) -> None:
        def deliver_others() -> None:
            for other in others:
                self.world.deliver(other, keep=again, crash=crash)

        self.world.deliver(number, keep=again, meanwhile=(call, deliver_others))

    @precondition(lambda self: self.world.messages)
    @rule(number=numbers, call=calls, crash=crashes)
    def deliver_twice_at_once(self, number: int, call: int, crash: tuple[int, bool] | None) -> None:
        def deliver_again() -> None:
            self.world.deliver(number, keep=True, crash=crash)

        self.world.deliver(number, meanwhile=(call, deliver_again))

    @precondition(lambda self: self.world.messages)
    @rule(number=numbers)
    def lose(self, number: int) -> None:
        self.world.lose(number)

    @precondition(lambda self: self.world.running)
    @rule(ending=st.just(Ending.WHOLE) | st.sampled_from(Ending), heard=st.booleans())
    def end_a_job(self, ending: Ending, heard: bool) -> None:
        self.world.end_next_job(ending, heard=heard)

    @precondition(lambda self: self.world.messages)
    @rule(crash=crashes, cancelled_at=st.none() | st.integers(0, 2))
    def bring_a_job_to_its_commit(
        self, crash: tuple[int, bool] | None, cancelled_at: int | None
    ) -> None:
        """Chance alone comes to this place too seldom; a cancellation may be handled around it."""
        self.world.deliver_all()
        if not self.world.running:
            return
        self.world.end_next_job(Ending.WHOLE, heard=True)
        if cancelled_at is None:
            self.world.deliver(0, crash=crash)
        else:
            self.world.cancel(0)
            commit = (cancelled_at, lambda: self.world.deliver(1, crash=crash))
            self.world.deliver(0, meanwhile=commit)

    @precondition(lambda self: self.world.messages or self.world.running)
    @rule(ending=st.sampled_from([Ending.DIES_WRITING, Ending.DISK_FULL]))
    def bring_jobs_to_their_last_attempt(self, ending: Ending) -> None:
        for _ in range(SETTINGS.max_attempts):
            self.world.deliver_all()
            while self.world.running:
                self.world.end_next_job(ending, heard=True)

    @precondition(lambda self: self.world.messages)
    @rule(number=numbers)
    def let_files_arrive_late(self, number: int) -> None:
        self.world.arrive_late(number)

    @rule(busy=st.booleans())
    def make_the_backend_busy_or_free(self, busy: bool) -> None:
        self.world.sagemaker.most_running = 0 if busy else None

    @rule(hours=st.floats(0, 2), crash=crashes)
    def reconcile(self, hours: float, crash: tuple[int, bool] | None) -> None:
        self.world.clock.pass_(3600 * hours)
        self.world.reconcile(crash=crash)

    @precondition(lambda self: self.world.records)
    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        self.world.cancel(number)

    @precondition(
        lambda self: (
            self.redrives < MAX_REDRIVES
            and any(job.state is JobState.FAILED for job in self.world.records)
        )
    )
    @rule(number=numbers, dies=st.booleans())
    def redrive(self, number: int, dies: bool) -> None:
        failed = [job for job in self.world.records if job.state is JobState.FAILED]
        job = failed[number % len(failed)]
        self.world.redrive(job, dies=dies)
        self.redrives += 1
        self.ends.pop(job.job_id)

    @invariant()
    def each_version_has_one_job_at_most(self) -> None:
        sources = [(job.source.key, job.source.version_id) for job in self.world.records]
        assert len(sources) == len(set(sources))

    @invariant()
    def what_has_ended_stays_as_it_ended(self) -> None:
        for job in self.world.records:
            before = self.ends.get(job.job_id)
            if before is not None:
                assert (job.state, job.attempt) == (before.state, before.attempt), job.history
            if job.state.is_terminal:
                self.ends[job.job_id] = job

    @invariant()
    def a_result_is_committed_once_and_by_no_job_that_ends_otherwise(self) -> None:
        for job in self.world.records:
            results = self.world.results(job)
            assert len(results) <= 1
            if results:
                assert job.state is JobState.SUCCEEDED or job.committing is not None, job
            if job.state is JobState.SUCCEEDED:
                assert results
                self.world.check_files(job, results[0])

    @invariant()
    def an_attempt_runs_once_at_a_time(self) -> None:
        attempts = [name.partition("-s")[0] for name in self.world.running]
        assert len(attempts) == len(set(attempts))

    @invariant()
    def the_history_tells_the_story(self) -> None:
        for job in self.world.records:
            check_history(job)

    @invariant()
    def no_job_is_tried_beyond_its_budget(self) -> None:
        for job in self.world.records:
            assert 0 <= job.attempt - job.first_attempt < SETTINGS.max_attempts or (
                job.attempt < job.first_attempt  # settled by an attempt of before
            )

    def teardown(self) -> None:
        self.world.come_to_rest()
        told = {(outcome.job_id, outcome.state) for outcome in self.world.told}
        ended = {(job.source.key, job.source.version_id): job for job in self.world.records}
        assert set(ended) == self.world.uploaded
        for job in ended.values():
            assert job.state.is_terminal, job
            assert job.published
            assert (job.job_id, job.state) in told
            assert bool(self.world.results(job)) is (job.state is JobState.SUCCEEDED)
            assert self.world.untagged_leftovers(job) == []
            check_history(job)
        assert self.world.messages == []


def check_history(job: JobRecord) -> None:
    """Steps in order of time, each one that the state machine has, and the last one the state."""
    steps = job.history
    assert steps[0].state is JobState.RECEIVED
    assert (steps[-1].state, steps[-1].at) == (job.state, steps[-1].at)
    assert len(steps) <= MAX_HISTORY
    for before, after in pairwise(steps[1:] if job.history_left_out else steps):
        assert before.at <= after.at
        assert after.state in STEPS[before.state], job.history
        assert after.note
        begun_again = after.state is JobState.RECEIVED and after.attempt == before.attempt
        assert not begun_again or "no capacity" in after.note, job.history
    attempts = [step.attempt for step in steps if not step.state.is_terminal]
    assert attempts == sorted(attempts)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=250,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
