"""How results are shown: results on standard output, progress and errors on standard error."""

import json
import os
import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from contracts.documents import to_dict
from contracts.outcomes import JobState

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from lambdas.common.ledger import JobRecord

SHOWN_ID_DIGITS = 12
"""Enough to name a job among millions; any unambiguous beginning is taken."""

PIPE_WIDTH = 240
_PROGRAM = "framewright"

_STATE_STYLES = {
    JobState.RECEIVED: "cyan",
    JobState.DEFERRED: "yellow",
    JobState.DISPATCHED: "blue",
    JobState.SUCCEEDED: "green",
    JobState.REJECTED: "magenta",
    JobState.FAILED: "red",
}


def output() -> "Console":
    """
    Where results go; a pipe has no width, so lines are not folded to one.

    File names may look like Rich's markup, so none is read anywhere.
    """
    from cli.console import PlainConsole

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return PlainConsole(highlight=False, markup=False, emoji=False, width=width)


def messages() -> "Console":
    """Where progress and errors go, so that standard output stays clean for scripts."""
    from cli.console import PlainConsole

    return PlainConsole(stderr=True, highlight=False, markup=False, emoji=False)


def show(result: "RenderableType") -> None:
    """Print a table or a story; in a pipe without the spaces that fill its lines."""
    console = output()
    if console.is_terminal:
        console.print(result)
        return
    with console.capture() as captured:
        console.print(result)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def program() -> str:
    """What to type to run this program again from here: its name, or its path where need be."""
    called = Path(sys.argv[0])
    if called.name != _PROGRAM or not called.exists():
        return _PROGRAM
    found = shutil.which(_PROGRAM)
    if found is not None and called.samefile(found):
        return _PROGRAM
    path = min(os.path.relpath(called), str(called.absolute()), key=len)
    return shlex.quote(path if os.sep in path else f"./{path}")


def counted(count: int, noun: str) -> str:
    """A number of things, such as `1 file` or `2 files`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sentence(text: str) -> str:
    """An error's text as a sentence; names such as `every_nth` stay as they are written."""
    first = text.partition(" ")[0]
    return f"{text if '_' in first else text[:1].upper() + text[1:]}."


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output; ASCII alone can steer no terminal."""
    typer.echo(json.dumps(value, ensure_ascii=sys.stdout.isatty()))


def shown_state(state: JobState | None) -> "Text":
    """A job's state in its colour; before the ledger knows the job, it is uploaded."""
    from rich.text import Text

    return Text(state or "UPLOADED", style=_STATE_STYLES[state] if state else "dim")


def shown_id(job_id: str | None) -> str:
    """The part of a job's id that people read."""
    return job_id[:SHOWN_ID_DIGITS] if job_id else "(not known yet)"


def shown_size(size_bytes: float) -> str:
    """Bytes in the unit people read, such as `3.4 MB`."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def shown_age(at: str) -> str:
    """How long ago a time of the ledger was, such as `3 min`."""
    age = datetime.now(UTC) - datetime.fromisoformat(at)
    return shown_span(max(0.0, age.total_seconds()))


def shown_span(seconds: float) -> str:
    """A span of time in the unit people read, such as `2.5 s` or `3 h`."""
    if seconds < 120:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    for limit, divisor, unit in ((7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def shown_clock(at: str) -> str:
    """A time of the ledger on the user's own clock, such as `14:03:27.250`."""
    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def seconds_between(start: str, end: str) -> float:
    """Seconds between two times of the ledger."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def plain_record(record: "JobRecord") -> dict[str, Any]:
    """A job for scripts: the ledger's record."""
    return to_dict(record)
