"""`framewright demo`: the whole way of one video, on this machine, in front of your eyes."""

from pathlib import Path
from typing import Annotated

import typer

from cli.cloud import Port
from cli.options import Model, Select

Video = Annotated[
    Path | None,
    typer.Option(
        "--video",
        metavar="FILE",
        help="Your own video, instead of a drawn street.",
        show_default=False,
    ),
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the embedded cloud up at the end.")]


def demo(
    video: Video = None,
    model: Model = None,
    select: Select = None,
    keep: Keep = False,
    port: Port = None,
) -> None:
    """Show the whole way of one video: upload, job, committed results, pictures."""
    from cli.cloud import embedded_cloud
    from cli.showing import Showing

    cloud = embedded_cloud(port)
    was_up = cloud.status().is_up
    stays_up = keep or was_up
    showing = Showing(cloud)
    try:
        code = showing.play(video, model=model, select=select)
    finally:
        if not stays_up:
            cloud.down()
    showing.close(stays_up=stays_up)
    raise typer.Exit(code)
