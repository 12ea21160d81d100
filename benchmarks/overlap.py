"""Decoding and inference at the same time: what overlap gains, and what the whole job takes."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import onnxruntime as ort

from benchmarks import ours
from benchmarks.content import read_number
from benchmarks.decoding import BITRATE, w1_recipe
from benchmarks.inputs import Recipe, facts_of, make_video
from benchmarks.measure import Answer, Measured, Stopwatch, WrongAnswerError, in_worker, take_turns
from benchmarks.peers import ALL_TO_RGB, SAMPLERS, USUAL, prepare
from benchmarks.reference import reference_of
from benchmarks.results import OURS, Result, Settings, compared
from benchmarks.synthetic import bundle_of_cost, inference
from vision.frames import FrameBatch
from vision.models.base import Prediction, VisionModel
from vision.models.bundle import read_bundle

_AIM = 1.08
_SIDE = 320
_INTERVAL_S = Fraction(1, 4)
_KINDS = ((0.3, 1), (0.3, 8), (1, 1), (1, 4), (1, 8), (3, 4), (10, 1), (10, 8))
"""A model's cost as a multiple of decoding, and its batch."""
_QUICK_KINDS = ((1, 4),)
_WHOLE_SIDE, _WHOLE_BATCH = 1024, 1


def overlap(settings: Settings) -> Result:
    """
    Wall time of decoding and inference together, against the least it could be.

    The least is the longest of decoding alone, inference alone, and the processor seconds of both
    shared out over the cores.
    """
    quick = settings.quick
    path = make_video(Recipe("moving", (1920, 1080), 300 if quick else 900, 30, BITRATE))
    wanted = reference_of(path).every_seconds(_INTERVAL_S)
    selection = f"every_seconds={float(_INTERVAL_S)}"
    cores = settings.cores
    decode_arguments = {"path": str(path), "selection": selection, "side": _SIDE}
    decoded = in_worker(decoding, cores, **decode_arguments)["wall_s"]
    turns = {"decode": partial(in_worker, decoding, cores, **decode_arguments)}
    kinds = _QUICK_KINDS if quick else _KINDS
    for factor, batch in kinds:
        settings.note(f"calibrating a model of {factor} × decoding, batch {batch}")
        bundle = str(bundle_of_cost(_SIDE, batch, factor * decoded / len(wanted), cores))
        name = _name(factor, batch)
        turns[f"inference {name}"] = partial(
            in_worker, inference, cores, bundle=bundle, frames=len(wanted)
        )
        turns[f"together {name}"] = partial(
            in_worker,
            whole,
            cores,
            entrant=OURS,
            path=str(path),
            bundle=bundle,
            wanted=wanted,
            selection=selection,
        )
    measured = take_turns(turns, settings.repeats, settings.note)
    rows = [
        _row(factor, batch, measured, cores)
        for factor, batch in kinds
        if not measured[f"together {_name(factor, batch)}"].wrong
    ]
    title = f"decoding ∥ inference, {len(wanted)} frames, {cores} cores, sum over models"
    result = Result("overlap", title, usual="one after the other")
    result.wrong = {name: entry.wrong for name, entry in measured.items() if entry.wrong}
    result.absent = {name: entry.absent for name, entry in measured.items() if entry.absent}
    result.ours = sum(row["together_s"] for row in rows)
    result.peers = {
        "one after the other": sum(row["decode_s"] + row["inference_s"] for row in rows),
        "the least": sum(row["least_s"] for row in rows),
    }
    result.yardsticks = ("the least",)
    result.aims = {"worst_ratio_to_least": f"≤ {_AIM}"}
    worst = max((row["ratio_to_least"] for row in rows), default=None)
    result.figures = {"worst_ratio_to_least": worst, "models": rows, "input": facts_of(path)}
    return result


def whole_job(settings: Settings) -> Result:
    """Decode, resize and a model that keeps one core busy as long as our decoding takes."""
    path = make_video(w1_recipe(250, quick=settings.quick))
    wanted = reference_of(path).every_seconds(Fraction(1))
    selection = "every_seconds=1"
    decoded = in_worker(
        decoding, settings.cores, path=str(path), selection=selection, side=_WHOLE_SIDE
    )
    frame_s = decoded["wall_s"] / len(wanted)
    settings.note("calibrating the model")
    bundle = str(bundle_of_cost(_WHOLE_SIDE, _WHOLE_BATCH, frame_s, 1))
    entrants = [OURS, ALL_TO_RGB, USUAL, "cv2 grab", "pyav frame threads", "decord"]
    turns = {
        name: lambda name=name: in_worker(
            whole, settings.cores, entrant=name, path=str(path), bundle=bundle, wanted=wanted,
            selection=selection,
        )
        for name in entrants
    }  # fmt: skip
    measured = take_turns(turns, settings.repeats, settings.note)
    title = f"1 FPS of 1080p30, GOP 250, with inference, {settings.cores} cores"
    result = compared("whole_job", title, measured, usual=ALL_TO_RGB)
    result.aims = {"ratio_usual": "≥ 3.5"}
    if result.ours and USUAL in result.peers:
        result.figures["ratio_cv2_read"] = round(result.peers[USUAL] / result.ours, 3)
    alone = in_worker(inference, settings.cores, bundle=bundle, frames=len(wanted))
    result.figures |= {
        "decode_alone_s": round(decoded["wall_s"], 3),
        "inference_alone_s": round(alone["wall_s"], 3),
        "cores": settings.cores,
        "input": facts_of(path),
    }
    return result


def decoding(path: str, selection: str, side: int) -> Answer:
    """In a worker: our decoder, its frames dropped."""
    watch = Stopwatch()
    with watch.running():
        count = sum(1 for _ in ours.frames(Path(path), selection, (side, side)))
    return watch.answer(frames=count)


def whole(entrant: str, path: str, bundle: str, wanted: list[int], selection: str) -> Answer:
    """In a worker: from the file to predictions; models are loaded outside the measured time."""
    prepare(entrant)
    watch = Stopwatch()
    numbers: list[int] = []
    if entrant == OURS:
        model = _Watched(ours.load(Path(bundle)), numbers)
        with watch.running():
            ours.process(Path(path), selection, model)
    else:
        session, size = _usual_session(bundle)
        with watch.running():
            for pixels in SAMPLERS[entrant](Path(path), wanted, size):
                numbers.append(read_number(pixels))
                session.run(None, {"picture": pixels[None]})
    if numbers != wanted:
        raise WrongAnswerError(f"predicts on frames {numbers[:5]}… instead of {wanted[:5]}…")
    return watch.answer()


class _Watched:
    """A model that also reads which frames it is given."""

    def __init__(self, model: VisionModel, numbers: list[int]) -> None:
        self._model, self._numbers = model, numbers
        self.identity, self.task, self.input = model.identity, model.task, model.input
        self.engine = model.engine

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        self._numbers += map(read_number, batch.pixels)
        return self._model.predict(batch)


def _usual_session(bundle: str) -> tuple[ort.InferenceSession, tuple[int, int]]:
    """ONNX Runtime as it comes."""
    content = read_bundle(Path(bundle))
    spec = content.spec.input
    return ort.InferenceSession(content.graph), (spec.width, spec.height)


def _name(factor: float, batch: int) -> str:
    return f"{factor:g}x b{batch}"


def _row(factor: float, batch: int, measured: dict[str, Measured], cores: int) -> dict[str, float]:
    decode, name = measured["decode"], _name(factor, batch)
    alone, together = measured[f"inference {name}"], measured[f"together {name}"]
    cpu_s = decode.median("cpu_s") + alone.median("cpu_s")
    least = max(decode.median(), alone.median(), cpu_s / cores)
    figures = {
        "factor": factor,
        "batch": batch,
        "decode_s": decode.median(),
        "inference_s": alone.median(),
        "cpu_s": cpu_s,
        "least_s": least,
        "together_s": together.median(),
        "ratio_to_least": together.median() / least,
    }
    return {name: round(value, 3) for name, value in figures.items()}
