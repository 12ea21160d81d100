"""The simulated time, in which an hour passes at once."""

import threading
from datetime import UTC, datetime, timedelta

from lambdas.common.record import ledger_time

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds since the start of the simulation; only moves forward."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._lock = threading.Lock()

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def ledger_now(self) -> str:
        """Now, as the ledger writes times."""
        return ledger_time(self.now)

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        with self._lock:
            self.now_s += seconds

    def reach(self, when_s: float) -> None:
        """Let time go by until then; a time that is over changes nothing."""
        with self._lock:
            self.now_s = max(self.now_s, when_s)
