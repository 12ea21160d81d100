"""What the pipeline itself costs: everything that is not decoding, resizing or the model."""

from pathlib import Path

from benchmarks import ours
from benchmarks.decoding import CANVAS, w1_recipe
from benchmarks.inputs import facts_of, make_video
from benchmarks.measure import Answer, Stopwatch, in_worker, take_turns
from benchmarks.overlap import decoding
from benchmarks.results import Result, Settings
from vision.models.base import ModelInput

_SELECTION = "every_seconds=1"


def overhead(settings: Settings) -> Result:
    """A job whose model costs nothing, less its decoding, as a share of its wall time."""
    path = make_video(w1_recipe(250, quick=settings.quick))
    cores = settings.cores
    turns = {
        "job": lambda: in_worker(job_without_model, cores, path=str(path)),
        "decode": lambda: in_worker(
            decoding, cores, path=str(path), selection=_SELECTION, side=CANVAS[0]
        ),
    }
    measured = take_turns(turns, settings.repeats, settings.note)
    job, decode = measured["job"], measured["decode"]
    title = f"job with a model that costs nothing, 1 FPS, {cores} cores"
    result = Result("overhead", title, ours=job.median(), peak_rss_mb=job.median("peak_rss_mb"))
    result.peers, result.yardsticks = (
        {"decoding and resizing alone": decode.median()},
        ("decoding and resizing alone",),
    )
    result.aims = {"share_of_wall": "≤ 0.03"}
    result.figures = {
        "share_of_wall": round(1 - decode.median() / job.median(), 4),
        "share_of_cpu": round(1 - decode.median("cpu_s") / job.median("cpu_s"), 4),
        "input": facts_of(path),
    }
    return result


def job_without_model(path: str) -> Answer:
    """In a worker: decode, predict nothing, write."""
    model = ours.NullModel(ModelInput(CANVAS))
    watch = Stopwatch()
    with watch.running():
        document = ours.process(Path(path), _SELECTION, model)
    return watch.answer(frames=document.counts.frames_processed)
