"""
What reconcile does every few minutes: find what was lost, and ask for it again.

It decides nothing. A job that nothing has happened to for longer than it should take gets the
message that it may have lost; dispatch and settle, which take such messages twice without harm,
do the rest. So every transition lives in one place, and a run that dies half way has done no harm.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contracts.messages import AttemptRequest
from contracts.outcomes import JobState
from contracts.pipeline import ReconcileSettings
from contracts.requests import JobCheck
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.queues import Queue
from lambdas.common.record import ledger_time
from lambdas.reconcile.sweep import Sweep, Swept

HasTime = Callable[[], bool]
"""Whether there is time for another step."""

_ASKED_AGAIN = "Nothing had happened since {since}: dispatch was asked for the attempt again."
_TO_BE_CHECKED = "Nothing had happened since {since}: settle was asked how the attempt stands."
_UNTOLD = "The outcome had not been told since {since}: settle was asked to."


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a run asked for.

    Attributes:
        received: Jobs whose attempt was asked for again.
        dispatched: Jobs to be looked at.
        untold: Jobs whose outcome is to be told.
        out_of_time: Whether the run ended before it had walked through everything.
    """

    received: int
    dispatched: int
    untold: int
    swept: Swept
    out_of_time: bool


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The parts that reconcile works with."""

    ledger: Ledger
    uploads: Queue
    completions: Queue
    sweep: Sweep
    settings: ReconcileSettings
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def run(self, has_time: HasTime) -> Found:
        """Walk through what is old, the oldest first, until it is through or out of time."""
        received = self._each(
            self._older(JobState.RECEIVED, self.settings.received_after_s),
            self._ask_for_attempt,
            has_time,
        )
        dispatched = self._each(
            self._older(JobState.DISPATCHED, self.settings.dispatched_after_s),
            self._ask_for_check,
            has_time,
        )
        untold = self._each(
            self.ledger.untold(
                before=self._before(self.settings.received_after_s), limit=self.settings.max_jobs
            ),
            self._ask_to_tell,
            has_time,
        )
        swept = self.sweep.run(self.now(), has_time)
        return Found(received, dispatched, untold, swept, out_of_time=not has_time())

    def _older(self, state: JobState, age_s: int) -> Iterable[JobRecord]:
        return self.ledger.older_than(
            state, before=self._before(age_s), limit=self.settings.max_jobs
        )

    def _before(self, age_s: int) -> str:
        return ledger_time(self.now() - timedelta(seconds=age_s))

    def _each(
        self, records: Iterable[JobRecord], ask: Callable[[JobRecord], str], has_time: HasTime
    ) -> int:
        """Ask, then note it: a crash between the two asks twice, which does no harm."""
        count = 0
        for record in records:
            if not has_time():
                break
            self.ledger.touch(record, note=ask(record).format(since=record.updated_at))
            count += 1
        return count

    def _ask_for_attempt(self, record: JobRecord) -> str:
        self.uploads.send(
            AttemptRequest(record.job_id, record.attempt, start=record.start, waits=record.waits)
        )
        return _ASKED_AGAIN

    def _ask_for_check(self, record: JobRecord) -> str:
        self.completions.send(JobCheck(record.job_id))
        return _TO_BE_CHECKED

    def _ask_to_tell(self, record: JobRecord) -> str:
        self.completions.send(JobCheck(record.job_id))
        return _UNTOLD
