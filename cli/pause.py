"""`framewright pause` and `resume`: let a stage stand still, and go on."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json, Stage
from cli.output import messages, print_json, program

if TYPE_CHECKING:
    from cli.switches import Switches

Everything = Annotated[
    bool,
    typer.Option(
        "--all", help="Settle too: what runs ends, but is neither committed nor tried again."
    ),
]


def pause(stage: Stage = "local", everything: Everything = False, as_json: Json = False) -> None:
    """
    Start no more jobs: uploads wait in their queue, for fourteen days at most.

    What runs already ends, and is committed. Reconcile rests, so that it does not ask again for
    what is meant to wait. A deployment that changes the schedule or how a queue is read may end
    the pause: look at `framewright status` after it.
    """
    from cli.stage import open_stage
    from cli.switches import Switches

    opened = open_stage(stage)
    switches = Switches(opened)
    with messages().status("Pausing"):
        switches.turn(False, ("dispatch", "settle") if everything else ("dispatch",))
    _report(switches, as_json=as_json)
    if not as_json:
        typer.echo(f"Go on with: {program()} resume{opened.option}", err=True)


def resume(stage: Stage = "local", as_json: Json = False) -> None:
    """Go on after a pause, of whichever kind."""
    from cli.stage import open_stage
    from cli.switches import Switches

    switches = Switches(open_stage(stage))
    with messages().status("Resuming"):
        switches.turn(True, ("dispatch", "settle"))
    _report(switches, as_json=as_json)


def _report(switches: "Switches", *, as_json: bool) -> None:
    running = switches.read()
    if as_json:
        print_json(running)
        return
    for part, runs in running.items():
        typer.echo(f"{part:9}  {'runs' if runs else 'rests'}")
