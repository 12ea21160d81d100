"""Why messages died, as the log of the function that could not handle them tells."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from cli.dead_letters import Letter

_FAILED = '"message failed and will come again"'
"""How `lambdas/common/batch.py` begins a line about a message; the filter takes the words."""
_LAST_RECEIVE_MS = 4 * 3600 * 1000
"""A message is received for the last time within an hour, unless its function stood still."""
_MAX_PAGES = 20
_MAX_CHARACTERS = 200


def find_causes(letters: Sequence[Letter], *, logs: Any) -> dict[str, str]:
    """
    Why each letter died, by message id, where it is known.

    What could not be delivered says so itself; of others, the logs are read for a bounded while.
    """
    causes = {letter.message_id: letter.error for letter in letters if letter.error}
    unknown = sorted(
        (letter for letter in letters if not letter.error), key=lambda it: it.queue.function
    )
    for function, of_it in groupby(unknown, key=lambda it: it.queue.function):
        causes |= _failures(f"/aws/lambda/{function}", list(of_it), logs)
    return causes


def _failures(group: str, letters: Sequence[Letter], logs: Any) -> dict[str, str]:
    wanted = {letter.message_id for letter in letters}
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        filterPattern=_FAILED,
        startTime=min(letter.sent_ms for letter in letters),
        endTime=max(letter.sent_ms for letter in letters) + _LAST_RECEIVE_MS,
    )
    found: dict[str, str] = {}
    try:
        for _, page in zip(range(_MAX_PAGES), pages, strict=False):
            lines = (event["message"] for event in page["events"])
            found |= dict(_read(lines))
            if wanted <= found.keys():
                break
    except ClientError:  # no log, or not for these credentials: moving letters needs no reasons
        pass
    return found


def _read(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        try:
            told = json.loads(line)
            trace = told["exception"].strip().splitlines()
            yield told["message_id"], trace[-1][:_MAX_CHARACTERS]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
