"""`framewright model`: model bundles of a stage."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Command, Group, Json, Stage
from cli.output import print_json

app = typer.Typer(cls=Group, help="Model bundles of a stage.", no_args_is_help=True)


@app.callback()
def model() -> None:
    """Model bundles of a stage."""


@app.command(cls=Command)
def push(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model.tar.gz.")],
    stage: Stage = "local",
    as_json: Json = False,
) -> None:
    """Put a model bundle into the stage and print the name that uploads ask for."""
    from cli.bundles import push_bundle
    from cli.stage import open_stage

    opened = open_stage(stage)
    name, sent = push_bundle(file, s3=opened.s3, bucket=opened.names.models_bucket)
    if as_json:
        print_json({"model": name, "sent": sent})
        return
    typer.echo(name)
    typer.echo(f"{'Pushed' if sent else 'It was there'}. Use it with --model {name}", err=True)
