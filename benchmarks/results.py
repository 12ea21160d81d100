"""What a case found, as it is printed, plotted and written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import Measured

OURS = "framewright"


@dataclass(frozen=True, slots=True)
class Settings:
    """
    How a run measures.

    Attributes:
        repeats: Turns of each entrant; medians are compared.
        cores: Of the larger figure; figures of one core are measured beside it.
        quick: Short inputs, to see that everything works; the figures mean little.
        note: Is told what is measured now.
    """

    repeats: int = 5
    cores: int = 2
    quick: bool = False
    note: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class Result:
    """
    One case's figures; `None` where a case has no such figure.

    Attributes:
        aims: What is aimed at, by the name of the figure in `figures`; `"≥ 2.9"`.
        figures: What else the case found.
    """

    case: str
    title: str
    unit: str = "s"
    ours: float | None = None
    peers: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    usual: str | None = None
    yardsticks: tuple[str, ...] = ()
    peak_rss_mb: float | None = None
    peers_peak_rss_mb: dict[str, float] = field(default_factory=dict)
    aims: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def best_peer(self) -> str | None:
        """The fastest peer that answers right."""
        entrants = {n: s for n, s in self.peers.items() if n not in self.yardsticks}
        return min(entrants, key=lambda name: entrants[name]) if entrants else None

    @property
    def ratio_usual(self) -> float | None:
        """How many times as long the usual way takes."""
        return self._ratio(self.usual)

    @property
    def ratio_best_peer(self) -> float | None:
        """How many times as long the best peer takes."""
        return self._ratio(self.best_peer)

    def _ratio(self, peer: str | None) -> float | None:
        if peer is None or not self.ours or peer not in self.peers:
            return None
        return self.peers[peer] / self.ours

    def to_json(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """The case's record, with the machine it ran on."""
        return {
            "ours_s": _rounded(self.ours),
            "peers_s": {name: _rounded(value) for name, value in self.peers.items()},
            "ratio_usual": _rounded(self.ratio_usual),
            "ratio_best_peer": _rounded(self.ratio_best_peer),
            "peak_rss_mb": _rounded(self.peak_rss_mb),
            "usual": self.usual,
            "best_peer": self.best_peer,
            "peers_peak_rss_mb": {n: _rounded(v) for n, v in self.peers_peak_rss_mb.items()},
            "peers_absent": self.absent,
            "wrong": self.wrong,
            "title": self.title,
            "aims": self.aims,
            **self.figures,
            "machine": dict(machine),
        }


def compared(
    case: str,
    title: str,
    measured: Mapping[str, Measured],
    *,
    usual: str | None,
    yardsticks: Sequence[str] = (),
) -> Result:
    """The result of entrants that took turns, one of them `OURS`."""
    result = Result(case, title, usual=usual, yardsticks=tuple(yardsticks))
    runs: dict[str, list[float]] = {}
    for name, entry in measured.items():
        if entry.absent:
            result.absent[name] = entry.absent
        elif entry.wrong:
            result.wrong[name] = entry.wrong
        elif name == OURS:
            result.ours = entry.median()
            result.peak_rss_mb = entry.median("peak_rss_mb") or None
        else:
            result.peers[name] = entry.median()
            if peak := entry.median("peak_rss_mb"):
                result.peers_peak_rss_mb[name] = peak
        runs[name] = [round(run["wall_s"], 4) for run in entry.runs]
    result.figures["runs_s"] = runs
    result.figures["cpu_s"] = {
        name: round(entry.median("cpu_s"), 3)
        for name, entry in measured.items()
        if entry.runs and "cpu_s" in entry.runs[0]
    }
    return result


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
