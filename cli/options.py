"""Options that several commands share, and how all of them are shown."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.errors import Exit, UserError
from cli.output import counted

JOB_NAME_HELP = "A job's id or its beginning (6 hex digits or more), or a file name, key or S3 URI."
SELECT_HELP = "every_seconds=0.5, every_nth=30, key_frames, indices=0,25,50 or all."

Stage = Annotated[
    str, typer.Option("--stage", metavar="NAME", help="local, or a stage deployed to AWS.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the jobs until each has ended.")]
TimeLimit = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Stop following after this time."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|FILE",
        help="A built-in such as builtin:people, an alias of the stage, bundle:<SHA-256>, "
        "or a model.tar.gz.",
        show_default=False,
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        metavar="FRAMES",
        help=SELECT_HELP,
        show_default=False,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would be done; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask back, however many it is.")]


class Command(TyperCommand):
    """A command whose flags are not shown to take a value."""

    def get_params(self, ctx: Any) -> Any:
        return _bare_flags(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands whose own flags are not shown to take a value."""

    def get_params(self, ctx: Any) -> Any:
        return _bare_flags(super().get_params(ctx))


def _bare_flags(params: Any) -> Any:
    """The same options, without the `<bool>` that Typer shows for flags."""
    for param in params:
        if getattr(param, "is_bool_flag", False):
            param.metavar = ""
    return params


def confirm(count: int, noun: str, *, most: int, yes: bool) -> None:
    """
    Ask back before something that costs is done more than `most` times.

    Raises:
        UserError: Nobody is there to answer.
        typer.Abort: The answer is no.
    """
    if yes or count <= most:
        return
    if not sys.stdin.isatty():
        raise UserError(
            f"That is {counted(count, noun)}, and there is no terminal to ask back on.",
            remedy="Look at it with --dry-run, then add --yes.",
            code=Exit.USAGE,
        )
    typer.confirm(f"That is {counted(count, noun)}. Go on?", abort=True, err=True)
