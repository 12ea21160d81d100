"""Results as tables for a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.results import OURS, Result

_SHOWN_DEEP = 12


def print_machine(console: Console, machine: dict[str, Any]) -> None:
    """One line for the machine, one for the versions."""
    console.print(
        f"{machine['cores']} cores, {machine['cpu']}, {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {machine['python']}, load {machine['load_average_before']}"
    )
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    console.print(f"{versions}, ffmpeg {machine['ffmpeg']}", style="dim")


def print_result(console: Console, result: Result) -> None:
    """A case's entrants, the slowest last, and its other figures."""
    table = Table(title=f"{result.case}: {result.title}", title_justify="left", min_width=60)
    table.add_column("")
    table.add_column(result.unit, justify="right")
    table.add_column("× ours", justify="right")
    table.add_column("peak MB", justify="right")
    table.add_column("")
    timed = dict(result.peers)
    if result.ours is not None:
        timed[OURS] = result.ours
    for name in sorted(timed, key=lambda name: timed[name]):
        ours = name == OURS
        peak = result.peak_rss_mb if ours else result.peers_peak_rss_mb.get(name)
        table.add_row(
            name,
            f"{timed[name]:.3f}",
            f"{timed[name] / result.ours:.2f}" if result.ours else "",
            f"{peak:.0f}" if peak is not None else "",
            _remark(name, result),
            style="bold" if ours else None,
        )
    for name, reason in result.wrong.items():
        table.add_row(name, "", "", "", f"WRONG: {reason}", style="red")
    for name, reason in result.absent.items():
        table.add_row(name, "", "", "", reason, style="dim")
    if table.row_count:
        console.print(table)
    else:
        console.print(f"{result.case}: {result.title}")
    _print_figures(console, result)


def _remark(name: str, result: Result) -> str:
    if name == result.usual:
        return "the usual way"
    if name in result.yardsticks:
        return "a yardstick"
    return "the best peer" if name == result.best_peer else ""


def _print_figures(console: Console, result: Result) -> None:
    record = result.to_json({})
    for name, aim in result.aims.items():
        value: Any = record
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        console.print(f"  {name} {'–' if value is None else value} (aim {aim})")
    for name, value in result.figures.items():
        if name in ("runs_s", "input") or name in result.aims:
            continue
        if isinstance(value, dict) and "ours_s" in value:
            value = {k: value[k] for k in ("ours_s", "ratio_usual", "ratio_best_peer")}
        if isinstance(value, list):
            console.print(f"  {name}:")
            for item in value[:_SHOWN_DEEP]:
                console.print(f"    {item}")
            continue
        console.print(f"  {name} {value}")
    console.print()
