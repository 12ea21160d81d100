"""`framewright doctor`: is everything there?"""

from typing import TYPE_CHECKING

import typer

from cli.errors import Exit
from cli.options import Json, Stage
from cli.output import print_json

if TYPE_CHECKING:
    from cli.checks import Check


def doctor(stage: Stage = "local", as_json: Json = False) -> None:
    """Check what Framewright needs, and say what to do about what is missing."""
    from cli.checks import deployed_checks, local_checks
    from cli.stage import LOCAL

    checks = []
    for found in local_checks() if stage == LOCAL else deployed_checks(stage):
        checks.append(found)
        if not as_json:
            _show(found)
    if as_json:
        print_json(
            [
                {"name": it.name, "ok": it.ok, "found": it.found, "remedy": it.remedy}
                for it in checks
            ]
        )
    if not all(it.ok for it in checks):
        raise typer.Exit(Exit.UNAVAILABLE)


def _show(check: "Check") -> None:
    typer.secho("✓ " if check.ok else "✗ ", fg="green" if check.ok else "red", nl=False)
    typer.echo(f"{check.name}: {check.found}")
    if check.remedy:
        typer.echo(f"    → {check.remedy}")
