"""Options that several commands share."""

from typing import Annotated

import typer

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
        help="builtin:people, an alias of the stage, or a model.tar.gz.",
        show_default=False,
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        metavar="FRAMES",
        help="every_seconds=0.5, every_nth=30, key_frames, indices=0,25,50 or all.",
        show_default=False,
    ),
]
