"""The backends, each behind the same small face: start an attempt, say how it stands."""

from dataclasses import dataclass
from typing import Protocol

from contracts.messages import InferenceRequest
from contracts.outcomes import RetryCode


class BackendBusyError(Exception):
    """The backend takes no more for now: wait and ask again, no attempt is spent."""


@dataclass(frozen=True, slots=True)
class Ended:
    """
    How a backend says an attempt ended, before its files were looked at.

    Attributes:
        fault: Why the attempt's own document may be missing; None when it should be there.
        ended_at: UTC, ISO 8601: nothing was read after that.
        lacked_capacity: It never began, for want of machines: it waits its turn.
    """

    fault: tuple[RetryCode, str] | None
    ended_at: str
    lacked_capacity: bool = False


class Backend(Protocol):
    """Runs attempts."""

    @property
    def route(self) -> str:
        """The route's name in the ledger."""

    def start(self, request: InferenceRequest, *, number: int) -> str:
        """
        Start an attempt, or find it started already; what the backend calls it.

        Args:
            number: Which start of the attempt, from 1: those before found no capacity.

        Raises:
            BackendBusyError: It takes no more for now.
        """
