"""One picture of a run: each case's entrants as bars, for the documentation."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import OURS, Result

_OURS, _PEER, _USUAL = "#0b6e4f", "#9aa5b1", "#c8553d"


def plot_results(results: Sequence[Result], path: Path, caption: str) -> None:
    """Write a PNG of every case that has peers; nothing where none has."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [result for result in results if result.ours is not None and result.peers]
    if not shown:
        return
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(7 * columns, 3.2 * rows), squeeze=False, layout="constrained"
    )
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, result in zip(grid.flat, shown, strict=False):
        bars = {**result.peers, OURS: result.ours or 0.0}
        names = sorted(bars, key=lambda name: bars[name], reverse=True)
        colours = {OURS: _OURS, result.usual: _USUAL}
        seconds = [bars[name] for name in names]
        drawn = axes.barh(names, seconds, color=[colours.get(name, _PEER) for name in names])
        axes.bar_label(drawn, [f" {value:.2f}" for value in seconds], fontsize=8)
        axes.margins(x=0.12)
        axes.set_title(f"{result.case}: {result.title}", fontsize=9, loc="left")
        axes.set_xlabel(result.unit, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(caption, fontsize=9, x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
