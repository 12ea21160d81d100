"""The work of `framewright redrive`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from cli.dead_letters import DeadLetterQueue, DeadLetters, Letter
from cli.errors import Exit, UserError
from cli.jobs import is_same_version
from cli.stage import Stage
from contracts.messages import AttemptRequest
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.record import ledger_time

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MAX_PER_PARTITION = 100_000
HEAD_START_S = 5
"""The ledger moves right after a job's message was sent, which should not overtake it."""
_NOTE = "An operator redrove the job, with a new budget of attempts."


class Redriving:
    """
    Moves dead letters and failed jobs, and keeps what it moved.

    Attributes:
        letters: Those that were moved; those that would be, in a dry run.
        jobs: Likewise, as they were before.
    """

    def __init__(self, stage: Stage, *, dry_run: bool) -> None:
        self.letters: list[Letter] = []
        self.jobs: list[JobRecord] = []
        self._dry_run = dry_run
        self._ledger = stage.ledger
        self._dead_letters = DeadLetters(sqs=stage.sqs, account=stage.names.account)
        self._uploads = stage.queue(stage.names.uploads_queue)

    def run(
        self,
        queues: Iterable[DeadLetterQueue],
        failed: Sequence[JobRecord],
        *,
        only: Sequence[JobRecord],
    ) -> Iterator[int]:
        """
        Move everything; how much it was so far, again and again.

        Args:
            only: If there are any, letters about other jobs stay.
        """
        for queue in queues:
            about = (lambda letter: _is_about(letter, only)) if only else lambda _: True
            with closing(self._dead_letters.each(queue, wanted=about)) as found:
                for letters in found:
                    if not self._dry_run:
                        self._dead_letters.move(letters)
                    self.letters += letters
                    yield len(self.letters)
        for record in failed:
            if self._dry_run or self._redrive(record):
                self.jobs.append(record)
            yield len(self.letters) + len(self.jobs)

    def _redrive(self, record: JobRecord) -> bool:
        """
        FAILED → RECEIVED; False where somebody else was faster.

        Sent first: if this ends in between, the job is still FAILED and the message is dropped.
        """
        again = AttemptRequest(record.job_id, record.attempt + 1)
        self._uploads.send(again, delay_s=HEAD_START_S)
        return self._ledger.redrive(record.job_id, record.attempt, note=_NOTE)


def jobs_failed_since(ledger: Ledger, age: str) -> list[JobRecord]:
    """
    Jobs that ended FAILED no longer ago than an age such as `6h`.

    Raises:
        UserError: It is no age.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", age)
    if match is None:
        raise UserError(
            f"{age!r} is no age.", remedy="Write 90m, 6h or 14d, for instance.", code=Exit.USAGE
        )
    start = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    jobs = ledger.in_state(JobState.FAILED, limit=_MAX_PER_PARTITION)
    return [job for job in jobs if job.updated_at >= ledger_time(start)]


def _is_about(letter: Letter, jobs: Sequence[JobRecord]) -> bool:
    return any(
        letter.job_id == job.job_id
        or (letter.source is not None and is_same_version(letter.source, job.source))
        for job in jobs
    )
