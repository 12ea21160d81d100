"""The demo, part by part, with the time each takes."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cli.annotate import Annotated, annotate_attempt
from cli.cloud import bring_up
from cli.errors import Exit, UserError
from cli.fetch import fetch_results
from cli.jobs import exit_code, follow
from cli.output import (
    counted,
    messages,
    output,
    program,
    seconds_between,
    show,
    shown_clock,
    shown_id,
    shown_state,
)
from cli.run import check_video
from cli.sending import Submitted
from cli.stage import LOCAL, Stage, open_stage
from cli.submit import ask_for, send
from cli.truth import agreement, read_truth
from cli.uploads import find_uploads
from contracts.keys import DETECTIONS_FILE, attempt_folder
from contracts.results import ResultDocument
from lambdas.common.ledger import JobRecord, utc_now
from lambdas.settle.commit import read_result
from vision.results import read_detections

if TYPE_CHECKING:
    from local.cloud import EmbeddedCloud

DRAWN_SELECTION = "every_seconds=0.2"
"""Often enough that the annotated video of the drawn clip moves."""
POLL_INTERVAL_S = 0.1
MAX_INTAKE_S = 60
"""From the upload to the job's entry in the ledger; it takes about a second."""
STATE_WIDTH = 10


class Showing:
    """One demo: what it made, and how long each part took."""

    def __init__(self, cloud: "EmbeddedCloud") -> None:
        self._cloud = cloud
        self._console = output()
        self._seconds: dict[str, float] = {}
        self._job: JobRecord | None = None

    def play(self, video: Path | None, *, model: str | None, select: str | None) -> Exit:
        """Play the demo; how its job ended."""
        folder = self._folder(video)
        if video is None:
            video, truth = self._render(folder)
            select = select or (DRAWN_SELECTION if model is None else None)
        else:
            truth = None
        self._seconds["embedded cloud up"] = bring_up(self._cloud)
        stage = open_stage(LOCAL)
        self._job = job = self._submit(stage, video, model, select)
        if job.result_key is None:
            self._console.print(f"{job.code}: {job.message}")
            return exit_code([job])
        document, attempt, drawn = self._collect(stage, job, video, folder)
        self._show_results(document, attempt, drawn, truth)
        self._show_times(document)
        return Exit.OK

    def close(self, *, stays_up: bool) -> None:
        """Say what can be done next."""
        say = self._console.print
        say()
        if stays_up and self._job is not None:
            say("The embedded cloud is still up. Try")
            say(f"  {program()} status {shown_id(self._job.job_id)}")
            say(f"  {program()} submit YOUR_VIDEO.mp4 --wait")
            say(f"  {program()} down            to stop it")
        else:
            say("The embedded cloud is down again, nothing is left running. Try")
            say(f"  {program()} demo --video YOUR_VIDEO.mp4")
            say(f"  {program()} demo --keep     to look around in it afterwards")

    def _folder(self, video: Path | None) -> Path:
        if video is not None:
            check_video(video)
        folder = self._cloud.config.root / "demo" / ("video" if video else "street")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _render(self, folder: Path) -> tuple[Path, Path]:
        from cli.street import write_street_clip

        video, truth = folder / "street.mp4", folder / "truth.jsonl"
        with self._part("street drawn"), messages().status("Drawing a street with people"):
            write_street_clip(video, truth)
        return video, truth

    def _submit(
        self, stage: Stage, video: Path, model: str | None, select: str | None
    ) -> JobRecord:
        asked = ask_for(stage, model, select)
        start = utc_now()
        submitted = send(stage, find_uploads([video], ""), asked, again=True)
        uploaded = utc_now()
        self._seconds["uploaded"] = seconds_between(start, uploaded)
        self._console.print(f"{shown_clock(uploaded)}  UPLOADED    {submitted[0].source.key}")
        job = self._follow(stage, submitted)
        self._seconds["upload to settled"] = seconds_between(start, job.updated_at)
        return job

    def _follow(self, stage: Stage, submitted: Sequence[Submitted]) -> JobRecord:
        shown = 0
        start = time.monotonic()
        with messages().status("Waiting for the job"):
            for (job,) in follow(stage.ledger, submitted, interval_s=POLL_INTERVAL_S):
                if job is None and time.monotonic() - start > MAX_INTAKE_S:
                    break
                history = job.history if job else ()
                for step in history[shown:]:
                    line = Text.assemble(shown_clock(step.at), "  ", shown_state(step.state))
                    if step.note:
                        line.append(" " * (STATE_WIDTH - len(step.state)) + f"  {step.note}")
                    self._console.print(line)
                shown = len(history)
        if job is None:
            raise UserError(
                f"No job was made of {submitted[0].source.uri} within {MAX_INTAKE_S} s.",
                remedy=f"See what the functions say in {_shown(self._cloud.config.logs)}.",
                code=Exit.UNFINISHED,
            )
        return job

    def _collect(
        self, stage: Stage, job: JobRecord, video: Path, folder: Path
    ) -> tuple[ResultDocument, Path, Annotated]:
        bucket = stage.names.results_bucket
        with self._part("results fetched"):
            document = read_result(job.source.key, job.job_id, s3=stage.s3, bucket=bucket)
            if document is None:
                raise RuntimeError(f"job {job.job_id} succeeded without result.json")
            results = fetch_results(document, s3=stage.s3, to=folder)
        attempt = results / attempt_folder(document.attempt)
        with self._part("pictures drawn"), messages().status("Drawing the results"):
            drawn = annotate_attempt(video, document.selection, attempt, folder)
        return document, attempt, drawn

    def _show_results(
        self, document: ResultDocument, attempt: Path, drawn: Annotated, truth: Path | None
    ) -> None:
        counts = document.counts
        objects = counted(counts.detections, "object")
        found = f"{objects} in {counted(counts.frames_processed, 'frame')}"
        lines = {"Found": f"{found} with {document.model.name}"}
        if truth is not None:
            known = {frame.frame_index: frame for frame in read_truth(truth)}
            agreed = agreement(read_detections(attempt / DETECTIONS_FILE), known)
            lines["Truth"] = (
                f"precision {agreed.precision:.2f}, recall {agreed.recall:.2f} ({agreed.hits} "
                f"found, {agreed.misses} missed, {counted(agreed.false_alarms, 'false alarm')})"
            )
        lines |= {
            "Results": _shown(attempt.parent),
            "Picture": _shown(drawn.picture),
            "Video": _shown(drawn.video),
        }
        self._console.print()
        for name, text in lines.items():
            # Paths are to be copied, so they are not folded.
            self._console.print(Text(f"{name:8}", style="bold"), text, soft_wrap=True)

    def _show_times(self, document: ResultDocument) -> None:
        worked = document.timings_s["total"]
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(justify="right")
        for part, seconds in self._seconds.items():
            table.add_row(part, f"{seconds:.1f} s")
            if part == "upload to settled":
                table.add_row("  the container's own work", f"{worked:.1f} s")
                table.add_row("  overhead", f"{seconds - worked:.1f} s")
        self._console.print()
        show(table)

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - start


def _shown(path: Path) -> str:
    return os.path.relpath(path)
