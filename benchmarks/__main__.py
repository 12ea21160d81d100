"""`python -m benchmarks`: measure the cases, print tables, write JSON and a plot."""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from benchmarks.machine import describe_machine
from benchmarks.measure import available_cores
from benchmarks.plot import plot_results
from benchmarks.registry import CASES, case_named
from benchmarks.results import Result, Settings
from benchmarks.table import print_machine, print_result
from local.toolchain import find_node


def main() -> None:
    """Run what the command line asks for."""
    options = _parse(sys.argv[1:])
    os.environ["JSII_NODE"] = str(find_node())  # for cases that use the CDK's library
    console = Console()
    machine = describe_machine()
    print_machine(console, machine)
    status = Console(stderr=True)
    results: list[Result] = []
    for name in options.only:
        with status.status(name) as shown:
            settings = Settings(
                repeats=options.repeats,
                cores=min(options.cores, len(available_cores())),
                quick=options.quick,
                note=partial(_show, shown, name),
            )
            result = case_named(name)(settings)
        print_result(console, result)
        results.append(result)
        if options.json:
            # After every case: a long run that is stopped keeps what it has.
            _write(options.json, results, {**machine, "repeats": options.repeats})
    if options.plot:
        caption = f"{machine['cpu']}; medians of {options.repeats}, shorter is better"
        plot_results(results, options.plot, caption)


def _show(status: Status, case: str, text: str) -> None:
    status.update(f"{case}: {text}")


def _write(path: Path, results: list[Result], machine: dict[str, Any]) -> None:
    records = {result.case: result.to_json(machine) for result in results}
    path.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_cases, default=list(CASES), metavar="CASE,CASE")
    parser.add_argument("--json", type=Path, metavar="OUT.JSON")
    parser.add_argument("--plot", type=Path, metavar="OUT.PNG")
    parser.add_argument("--repeats", type=int, default=5, help="medians of so many (default 5)")
    parser.add_argument("--cores", type=int, default=2, help="besides one core (default 2)")
    parser.add_argument("--quick", action="store_true", help="short inputs: does it all work?")
    return parser.parse_args(arguments)


def _cases(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in CASES:
            raise argparse.ArgumentTypeError(f"no case {name!r}; there are {', '.join(CASES)}")
    return names


if __name__ == "__main__":
    main()
