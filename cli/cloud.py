"""`framewright up` and `down`: the embedded cloud on this machine."""

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Json
from cli.output import messages, print_json, program

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud


Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=1,
        max=65534,
        help="Loopback port of the cloud; the next one is taken too. [default: 4566, or "
        "FRAMEWRIGHT_PORT]",
        show_default=False,
    ),
]


EnforceIam = Annotated[
    bool,
    typer.Option(
        "--enforce-iam",
        help="TLS everywhere, and every role may do what its policies allow, as on AWS.",
    ),
]


def up(port: Port = None, enforce_iam: EnforceIam = False, as_json: Json = False) -> None:
    """Start the embedded cloud and deploy the local stage into it."""
    cloud = embedded_cloud(port, enforce_iam=enforce_iam)
    seconds = bring_up(cloud)
    if as_json:
        print_json({"running": True, "up_s": round(seconds, 3), **cloud.environment()})
        return
    typer.echo(f"The embedded cloud is up ({seconds:.1f} s).")
    typer.echo(f"  {program()} submit VIDEO --wait    process a video")
    typer.echo(f"  {program()} down                   stop it; its data go with it")


def down(as_json: Json = False) -> None:
    """Stop the embedded cloud; what it held is gone."""
    was_running = embedded_cloud().down()
    if as_json:
        print_json({"running": False, "was_running": was_running})
        return
    typer.echo("The embedded cloud is down." if was_running else "It was not running.")


def embedded_cloud(port: int | None = None, *, enforce_iam: bool = False) -> "EmbeddedCloud":
    """The embedded cloud of this checkout, to come up on that port unless it is up already."""
    from local.cloud import EmbeddedCloud
    from local.config import CloudConfig, configured_port

    config = CloudConfig(port=port or configured_port(os.environ), enforce_iam=enforce_iam)
    return EmbeddedCloud(config)


def bring_up(cloud: "EmbeddedCloud") -> float:
    """Bring the cloud up, showing what it does on standard error; the seconds it took."""
    console = messages()
    start = time.monotonic()
    with console.status("Starting the embedded cloud") as line:
        cloud.up(lambda step: line.update(f"{step} … {time.monotonic() - start:.0f} s"))
    return time.monotonic() - start
