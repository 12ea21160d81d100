"""`make fuzz`: mutated videos through the container, and a table of what became of them."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.fuzz.cases import Case
from tests.fuzz.report import is_broken, print_report
from tests.fuzz.runner import Result, run_cases
from tests.fuzz.seeds import make_seeds


def main() -> int:
    """Run the cases that the command line asks for; 1 where one was not answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="of videos (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default: 0)")
    parser.add_argument("--seed", type=int, help="run this case alone, and keep its video")
    parser.add_argument("--chunk", type=int, default=25, help="videos of one run (default: 25)")
    parser.add_argument("--processes", type=int, default=2, help="runs at once (default: 2)")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="framewright-seeds-") as folder:
        seeds = make_seeds(Path(folder))
        if options.seed is not None:
            results = _run_one(Case.of(options.seed), seeds, console)
        else:
            cases = [Case.of(options.first + number) for number in range(options.count)]
            results = _run(cases, seeds, options, console)
    print_report(results, time.monotonic() - start, console)
    return int(any(map(is_broken, results)))


def _run(
    cases: list[Case], seeds: dict[str, Path], options: argparse.Namespace, console: Console
) -> list[Result]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    results = []
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Fuzzing", total=len(cases))
        found = run_cases(cases, seeds, chunk=options.chunk, processes=options.processes)
        for result in found:
            results.append(result)
            bar.advance(task)
            if is_broken(result):
                bar.console.print(f"SEED={result.case.number}: {result.outcome}", *result.faults)
    return results


def _run_one(case: Case, seeds: dict[str, Path], console: Console) -> list[Result]:
    kept = Path(tempfile.mkdtemp(prefix="framewright-fuzz-case-"))
    path = case.make(seeds, kept)
    (result,) = run_cases([case], seeds, chunk=1, processes=1)
    console.print(f"{path}: {case.video.name}, {' + '.join(case.kinds)}, {case.select}")
    console.print(f"{result.outcome}: {result.details}")
    return [result]


if __name__ == "__main__":
    sys.exit(main())
