"""`framewright model`: model bundles, made, tried and put into a stage."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import Exit, UserError
from cli.options import Command, Group, Json, Stage
from cli.output import print_json, program

SHOWN_LABELS = 8

Onnx = Annotated[Path, typer.Argument(metavar="ONNX", help="An ONNX graph.")]

app = typer.Typer(cls=Group, help="Make, check and push model bundles.", no_args_is_help=True)


@app.callback()
def model() -> None:
    """Make, check and push model bundles."""


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


@app.command(cls=Command)
def init(
    onnx: Onnx,
    to: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the spec goes.")
    ] = Path("model.json"),
) -> None:
    """Guess a first model.json from an ONNX graph's shapes, to be looked through and packed."""
    import json

    from cli.packing import first_spec
    from contracts.documents import to_dict

    _check_file(onnx)
    if to.exists():
        raise _taken(to)
    spec = first_spec(onnx)
    to.write_text(json.dumps(to_dict(spec), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    typer.echo(str(to))
    typer.echo(
        f"Guessed: {spec.task} by decoder {spec.decoder.name}, {len(spec.labels)} labels. Look at "
        f"labels, mean, std and resize: a graph does not tell them. Then `{program()} model pack`.",
        err=True,
    )


@app.command(cls=Command)
def pack(
    onnx: Onnx,
    spec: Annotated[Path, typer.Option("--spec", metavar="FILE", help="Its model.json.")],
    to: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the bundle goes.")
    ] = Path("model.tar.gz"),
    as_json: Json = False,
) -> None:
    """Pack an ONNX graph and its model.json into a bundle, once both are seen to agree."""
    from cli.bundles import BUNDLE_SUFFIXES, is_bundle_path
    from cli.packing import pack as packed
    from cli.packing import read_spec

    _check_file(onnx)
    _check_file(spec)
    if not is_bundle_path(str(to)):
        raise UserError(
            f"{to} is no name of a bundle.",
            remedy=f"Let it end in {' or '.join(BUNDLE_SUFFIXES)}.",
            code=Exit.USAGE,
        )
    if to.exists():
        raise _taken(to)
    model = packed(onnx, read_spec(spec), to)
    if as_json:
        print_json({"bundle": str(to), "model": model.identity.name})
        return
    typer.echo(str(to))
    typer.echo(
        f"It loads, as {model.identity.name}. Try it: framewright model check {to}", err=True
    )


@app.command(cls=Command)
def check(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A model.tar.gz.")],
    video: Annotated[
        Path | None, typer.Argument(metavar="[VIDEO]", help="Tried on this, or a drawn street.")
    ] = None,
    picture: Annotated[
        Path, typer.Option("--picture", metavar="FILE", help="Where the drawn result goes.")
    ] = Path("check.png"),
    as_json: Json = False,
) -> None:
    """Load a bundle, run it, and show what it is, what it found and how long that took."""
    from cli.bundles import load_bundle_file
    from cli.packing import described, try_out

    if video is not None:
        _check_file(video)
    model = load_bundle_file(bundle)
    known, trial = described(model), try_out(model, video, picture)
    if as_json:
        tried = {"frames": trial.frames, "detections": trial.detections}
        timed = {"frame_ms": round(trial.frame_ms, 3), "picture": str(trial.picture)}
        print_json(known | tried | timed)
        return
    _show(known)
    typer.echo(
        f"{trial.detections} objects in {trial.frames} frames, {trial.frame_ms:.1f} ms a frame"
    )
    typer.echo(str(trial.picture))


def _show(known: dict[str, Any]) -> None:
    engine, spec = known["engine"], known["spec"]
    typer.echo(f"{spec['name']}  {known['model']}")
    typer.echo(f"task     {spec['task']}, decoder {spec['decoder']['name']}")
    typer.echo(f"engine   {engine['name']} {engine['version']} on {engine['provider']}")
    for side in ("inputs", "outputs"):
        for tensor in known[side]:
            typer.echo(f"{side:<8} {tensor}")
    labels = spec["labels"]
    shown = ", ".join(labels[:SHOWN_LABELS]) + (", …" if len(labels) > SHOWN_LABELS else "")
    typer.echo(f"labels   {len(labels)}: {shown}")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"There is no file {path}.", remedy="Check the path.", code=Exit.USAGE)


def _taken(path: Path) -> UserError:
    return UserError(
        f"{path} is there already.",
        remedy="Give another name with --output, or remove it.",
        code=Exit.USAGE,
    )
