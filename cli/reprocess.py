"""`framewright reprocess`: new jobs for objects that are in the bucket already."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DryRun, Json, Model, Select, Stage, Yes, confirm
from cli.output import counted, messages, print_json, program, shown_size

if TYPE_CHECKING:
    from cli.reprocessing import Again
    from cli.stage import Stage as OpenStage
    from contracts.outcomes import JobState

What = Annotated[
    str,
    typer.Argument(
        metavar="PREFIX/|JOB",
        help="All objects below a prefix, which ends with a slash (/ is the whole bucket); or the "
        "video of one job, by its id, its beginning, or a key.",
    ),
]
MAX_UNASKED = 100
"""Objects that are sent without asking back: each new job costs an instance's time."""
_SHOWN = 20


def reprocess(
    what: What,
    stage: Stage = "local",
    model: Model = None,
    select: Select = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """
    Make new jobs of videos that were uploaded before, with another model or other frames.

    What has a job for the same version, model and frames keeps it: asking twice makes no second.
    Of a prefix, the latest version of each object counts.
    """
    from cli.bundles import is_bundle_path, load_bundle_file
    from cli.reprocessing import find_again, known_states, send_all
    from cli.stage import open_stage
    from cli.submit import ask_for

    opened = open_stage(stage)
    if dry_run and model is not None and is_bundle_path(model):
        model = load_bundle_file(Path(model)).identity.name  # known without pushing it
    asked = ask_for(opened, model, select)
    found = []
    with messages().status("Listing") as line:
        for one in find_again(opened, what, asked):
            found.append(one)
            line.update(f"Listing: {counted(len(found), 'object')}")
    there = known_states(opened, found[:_SHOWN])
    if not dry_run:
        confirm(len(found), "object", most=MAX_UNASKED, yes=yes)
        with messages().status("Sending") as line:
            for count in send_all(opened, found):
                line.update(f"Sending: {count} of {len(found)}")
    if as_json:
        print_json({"dry_run": dry_run, "jobs": [_plain(one) for one in found]})
    else:
        _report(opened, found, there, dry_run=dry_run)


def _report(
    stage: "OpenStage",
    found: "Sequence[Again]",
    there: "Mapping[str | None, JobState]",
    *,
    dry_run: bool,
) -> None:
    from cli.console import plain

    for one in found[:_SHOWN]:
        note = f"  (there already: {state})" if (state := there.get(one.job_id)) else ""
        job_id = one.job_id or "(id not known yet)"
        typer.echo(f"{job_id:32}  {plain(one.source.key)}{note}")
    if len(found) > _SHOWN:
        typer.echo(f"and {len(found) - _SHOWN} more")
    size = shown_size(sum(one.source.size_bytes for one in found))
    videos = f"{counted(len(found), 'object')}, {size}"
    if dry_run:
        typer.echo(f"Nothing was changed: {videos} would be asked for.", err=True)
    else:
        follow = f"{program()} watch{stage.option}"
        typer.echo(f"Asked for {videos}. Follow with: {follow}", err=True)


def _plain(one: "Again") -> dict[str, Any]:
    return {
        "job_id": one.job_id,
        "key": one.source.key,
        "version_id": one.source.version_id,
        "model": one.request.model,
        "selection": one.request.selection,
    }
