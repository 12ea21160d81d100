"""
The `framewright` command.

Command modules import what is heavy (boto3, OpenCV, Rich) inside their functions, so that help and
completion answer at once.
"""

import sys
import traceback
from typing import Annotated, Any

import typer

from cli import (
    cancel,
    cloud,
    demo,
    doctor,
    models,
    pause,
    redrive,
    reprocess,
    results,
    run,
    status,
    submit,
)
from cli.errors import EXIT_CODES, Exit, UserError, explain
from cli.options import Command, Group

_TYPER_USAGE_EXIT_CODE = 2


class CommandGroup(Group):
    """Turns what a user can put right into sentences, and every way to end into our exit codes."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().make_context(*args, **kwargs)
        except typer.TyperException as error:
            raise _with_our_code(error) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            raise _with_our_code(error) from None
        except (KeyboardInterrupt, EOFError, BrokenPipeError):
            raise
        except Exception as error:
            if (explained := explain(error)) is None:
                raise
            _show(explained)
            raise typer.Exit(explained.code) from None


app = typer.Typer(
    name="framewright",
    cls=CommandGroup,
    help="Videos in, frame-exact detections out: on this machine or in your AWS account.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", cls=Command)(demo.demo)
app.command("run", cls=Command)(run.run)
app.command("merge", cls=Command)(run.merge)
app.command("up", cls=Command)(cloud.up)
app.command("down", cls=Command)(cloud.down)
app.command("submit", cls=Command)(submit.submit)
app.command("status", cls=Command)(status.status)
app.command("watch", cls=Command)(status.watch)
app.command("results", cls=Command)(results.results)
app.command("redrive", cls=Command)(redrive.redrive)
app.command("reprocess", cls=Command)(reprocess.reprocess)
app.command("cancel", cls=Command)(cancel.cancel)
app.command("pause", cls=Command)(pause.pause)
app.command("resume", cls=Command)(pause.resume)
app.command("doctor", cls=Command)(doctor.doctor)
app.add_typer(models.app, name="model")


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _show_version() if asked else None,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        app()
    except Exception:  # noqa: BLE001  # the outermost frame: a fault of ours gets its exit code
        traceback.print_exc()
        sys.exit(Exit.CRASHED)


def _show_version() -> None:
    from importlib.metadata import version

    typer.echo(f"framewright {version('framewright')}")
    raise typer.Exit


def _with_our_code(error: typer.TyperException) -> typer.TyperException:
    if error.exit_code == _TYPER_USAGE_EXIT_CODE:
        error.exit_code = Exit.USAGE
    return error


def _show(error: UserError) -> None:
    from cli.console import plain

    typer.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(plain(error.what), err=True)
    typer.echo(f"  → {error.remedy}", err=True)
