"""The table of a run: one line for each kind of mutation, and one for each codec and container."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from tests.fuzz.runner import MEMORY_BYTES, UNANSWERED, Result

_DEATHS = ("crashed", "hung")


def print_report(results: Sequence[Result], seconds: float, console: Console) -> None:
    """Print what happened to all videos, and every broken promise in words."""
    console.print(_table("mutation", results, lambda result: result.case.kind))
    console.print(_table("video", results, lambda result: result.case.video.name))
    codes = sorted({result.outcome for result in results} - {"succeeded", *UNANSWERED})
    counted = [f"{code} {sum(r.outcome == code for r in results):,}" for code in codes]
    console.print(f"Rejected: {', '.join(counted) or 'none'}.", highlight=False)
    peak = max((result.peak_bytes for result in results), default=0)
    console.print(
        f"{len(results):,} videos in {seconds:.0f} s; peak memory {peak / 1e6:.0f} MB, "
        f"limit {MEMORY_BYTES / 1e6:.0f} MB.",
        highlight=False,
    )
    for result in results:
        if is_broken(result):
            console.print(
                f"[red]SEED={result.case.number}[/] {result.case.video.name}, "
                f"{' + '.join(result.case.kinds)}, {result.case.select}: {result.outcome}",
                *result.faults,
                result.details,
                sep="\n    ",
                markup=True,
                highlight=False,
            )


def is_broken(result: Result) -> bool:
    """Whether the container owed this video another answer."""
    return bool(result.faults or result.death) or result.outcome in UNANSWERED


def _table(name: str, results: Sequence[Result], key: Callable[[Result], str]) -> Table:
    table = Table(name, box=None)
    columns = ("videos", "succeeded", "rejected", *UNANSWERED, *_DEATHS, "over memory")
    for column in (*columns, "slowest, s"):
        table.add_column(column, justify="right")
    groups: dict[str, list[Result]] = {}
    for result in sorted(results, key=key):
        groups.setdefault(key(result), []).append(result)
    for title, members in [*groups.items(), ("all", list(results))]:
        outcomes = [result.outcome for result in members]
        succeeded, *unanswered = [outcomes.count(it) for it in ("succeeded", *UNANSWERED)]
        deaths = [sum(result.death == it for result in members) for it in _DEATHS]
        over = sum(any("memory" in fault for fault in result.faults) for result in members)
        rejected = len(members) - succeeded - sum(unanswered)
        numbers = [len(members), succeeded, rejected, *unanswered, *deaths, over]
        slowest = max((result.wall_s for result in members), default=0.0)
        table.add_row(title, *(f"{number:,}" for number in numbers), f"{slowest:.2f}")
    return table
