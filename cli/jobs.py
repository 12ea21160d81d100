"""Finding jobs in the ledger, and following them until they end."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from cli.errors import Exit, UserError
from cli.output import SHOWN_ID_DIGITS, counted, program
from cli.sending import Submitted
from contracts.keys import is_job_id
from contracts.messages import Source
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord, Ledger

RECENT_PER_PARTITION = 50
"""The ledger's index has eight partitions for each state: at least this many of the latest."""

MIN_ID_DIGITS = 6
_ID_PREFIX = re.compile(r"[0-9a-f]{1,31}")
_READERS = 8
_SEARCH_EVERY = 10
"""Polls between two searches for a job whose id is not known: they read the whole recent ledger."""


def recent_jobs(ledger: Ledger, *, limit: int = RECENT_PER_PARTITION) -> list[JobRecord]:
    """The latest jobs of every state, the last changed first."""

    def read(state: JobState) -> list[JobRecord]:
        return list(ledger.in_state(state, limit=limit))

    with ThreadPoolExecutor(len(JobState)) as readers:
        found = [record for records in readers.map(read, JobState) for record in records]
    # A job that moves between two of the reads is found in both states.
    latest: dict[str, JobRecord] = {}
    for record in sorted(found, key=lambda record: record.updated_at):
        latest[record.job_id] = record
    return sorted(latest.values(), key=lambda record: record.updated_at, reverse=True)


def named_jobs(ledger: Ledger, ids: Sequence[str]) -> list[JobRecord]:
    """
    The jobs of these ids that the ledger has by now.

    Raises:
        UserError: One is no whole id.
    """
    for text in ids:
        if not is_job_id(text):
            raise UserError(
                f"{text!r} is no job id: 32 hex digits.",
                remedy=f"`{program()} submit` and `{program()} status JOB` print them.",
                code=Exit.USAGE,
            )
    with ThreadPoolExecutor(_READERS) as readers:
        return [record for record in readers.map(ledger.get, ids) if record is not None]


def find_job(ledger: Ledger, text: str) -> JobRecord:
    """
    The job that a text names: an id, its beginning, an S3 URI, a key or a file name.

    Of several jobs on one key, the one created last.

    Raises:
        UserError: None is found, or an id's beginning fits several.
    """
    if is_job_id(text):
        if (record := ledger.get(text)) is None:
            raise _no_job(f"The ledger has no job {text}.")
        return record
    jobs = recent_jobs(ledger)
    is_prefix = _ID_PREFIX.fullmatch(text) is not None
    if is_prefix and len(text) >= MIN_ID_DIGITS:
        matches = [job for job in jobs if job.job_id.startswith(text)]
        if len(matches) > 1:
            ids = ", ".join(job.job_id for job in matches[:5])
            raise UserError(
                f"{len(matches)} jobs begin with {text}: {ids}.",
                remedy="Give more of the id.",
                code=Exit.USAGE,
            )
        if matches:
            return matches[0]
    named = [job for job in jobs if _is_named(job.source, text)]
    if not named:
        if is_prefix and len(text) < MIN_ID_DIGITS:
            raise UserError(
                f"No video is named {text!r}, and the beginning of a job's id takes at least "
                f"{MIN_ID_DIGITS} digits; these are {len(text)}.",
                remedy=f"`{program()} status` lists jobs with {SHOWN_ID_DIGITS} digits of it.",
                code=Exit.USAGE,
            )
        raise _no_job(f"None of the {counted(len(jobs), 'latest job')} is named {text!r}.")
    return max(named, key=lambda job: job.created_at)


def exit_code(records: Iterable[JobRecord | None]) -> Exit:
    """What a script should know of jobs: whether all succeeded, or how the worst one ended."""
    states = {record.state if record else None for record in records}
    if JobState.FAILED in states or not all(state and state.is_terminal for state in states):
        return Exit.UNFINISHED
    return Exit.REJECTED if JobState.REJECTED in states else Exit.OK


def follow(
    ledger: Ledger,
    uploads: Sequence[Submitted],
    *,
    interval_s: float,
    time_limit_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[list[JobRecord | None]]:
    """
    How the jobs of uploads stand, again and again until all have ended or time is up.

    Yields:
        A record for each upload, in their order; None as long as the ledger does not know it.
    """
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    records: list[JobRecord | None] = [None] * len(uploads)
    poll = 0
    while True:
        for index, upload in enumerate(uploads):
            known = records[index]
            if upload.job_id and not (known and known.state.is_terminal):
                records[index] = ledger.get(known.job_id if known else upload.job_id) or known
        if None in records and poll % _SEARCH_EVERY == _SEARCH_EVERY - 1:
            _search(ledger, uploads, records)
        yield list(records)
        if all(record and record.state.is_terminal for record in records):
            return
        if deadline is not None and time.monotonic() >= deadline:
            return
        sleep(interval_s)
        poll += 1


def _search(ledger: Ledger, uploads: Sequence[Submitted], records: list[JobRecord | None]) -> None:
    """Find jobs by their object's version: the stage may have chosen another pipeline."""
    jobs = recent_jobs(ledger)
    for index, upload in enumerate(uploads):
        matches = (job for job in jobs if is_same_version(job.source, upload.source))
        records[index] = records[index] or next(matches, None)


def is_same_version(one: Source, other: Source) -> bool:
    """Whether both are one version of one object, as far as they say."""
    if (one.bucket, one.key) != (other.bucket, other.key):
        return False
    if one.version_id and other.version_id:
        return one.version_id == other.version_id
    return one.etag == other.etag


def _is_named(source: Source, text: str) -> bool:
    return text in (source.key, source.uri, source.key.rpartition("/")[2])


def _no_job(what: str) -> UserError:
    return UserError(
        what,
        remedy=f"`{program()} status` lists the latest jobs; an older one needs its full id "
        f"(32 hex digits, not {SHOWN_ID_DIGITS}).",
    )
