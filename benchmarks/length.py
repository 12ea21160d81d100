"""What grows with the length of a video: time does, evenly; memory must not."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.container import run_container
from benchmarks.decoding import CANVAS
from benchmarks.inputs import Recipe, facts_of, long_video
from benchmarks.measure import Answer, Measured, Stopwatch, in_worker, take_turns
from benchmarks.overhead import job_without_model
from benchmarks.peers import cv2_read
from benchmarks.results import Result, Settings

_RECIPE = Recipe("loop", (1920, 1080), 300, 60, 2_000_000)
"""Repeated; few bits, for an hour of it lies on the disk."""
_STACKED = "stacked tensor"
_MEMORY_MINUTES, _STACKED_MINUTES, _CONTAINER_MINUTES = (1, 10, 60), (1, 2), (1, 10)
_SCALING_MINUTES = (1, 2, 5, 10, 20, 30, 60)
_REPEATED_MINUTES = 10
"""Longer videos are measured once: they are long enough to be steady."""
_measured: dict[tuple[str, int, int, int], Measured] = {}
"""Memory and scaling look at the same runs."""


def memory(settings: Settings) -> Result:
    """Peak memory above what is there before the job, by length, against a 4-D tensor."""
    minutes = (1, 2) if settings.quick else _MEMORY_MINUTES
    stacked_minutes = (1, 2) if settings.quick else _STACKED_MINUTES
    ours = _by_length(job_without_model, minutes, settings)
    # A tensor is as large every time.
    stacked = _by_length(stacking, stacked_minutes, replace(settings, repeats=1))
    above = {length: _above_mb(runs) for length, runs in ours.items()}
    stacked_above = {length: _above_mb(runs) for length, runs in stacked.items()}
    shortest, longest = min(above), max(above)
    title = f"peak memory above the loaded model, {longest} min of 1080p30 at 1 FPS to 1024²"
    result = Result("memory", title, usual=_STACKED, peak_rss_mb=above[longest])
    result.ours = ours[shortest].median()
    result.peers = {_STACKED: stacked[shortest].median()}
    result.peers_peak_rss_mb = {_STACKED: stacked_above[shortest]}
    growth = (stacked_above[max(stacked_above)] - stacked_above[shortest]) / (
        60 * (max(stacked_above) - shortest)
    )
    result.aims = {"peak_rss_mb": "< 250", "longest_to_shortest": "≤ 1.05"}
    result.figures = {
        "longest_to_shortest": round(_peak_mb(ours[longest]) / _peak_mb(ours[shortest]), 4),
        "peak_mb_by_minutes": {length: round(_peak_mb(runs), 1) for length, runs in ours.items()},
        "above_model_mb_by_minutes": above,
        "stacked_mb_by_minutes": stacked_above,
        "stacked_grows_mb_per_s": round(growth, 2),
        "container_peak_mb_by_minutes": _container(settings),
    }
    return result


def scaling(settings: Settings) -> Result:
    """Wall time by length, and how straight the line through it is."""
    minutes = (1, 2, 3) if settings.quick else _SCALING_MINUTES
    measured = _by_length(job_without_model, minutes, settings)
    seconds = {length: entry.median() for length, entry in measured.items()}
    lengths, walls = np.array(list(seconds)), np.array(list(seconds.values()))
    slope, base = np.polyfit(lengths, walls, 1)
    rest = walls - (slope * lengths + base)
    r_squared = 1 - float((rest**2).sum() / ((walls - walls.mean()) ** 2).sum())
    longest = max(seconds)
    title = f"wall time of {min(seconds)} to {longest} min of 1080p30 at 1 FPS; here {longest} min"
    result = Result("scaling", title, ours=seconds[longest])
    result.peak_rss_mb = measured[longest].median("peak_rss_mb")
    result.aims = {"r_squared": "> 0.99"}
    result.figures = {
        "r_squared": round(r_squared, 5),
        "s_by_minutes": {length: round(wall, 3) for length, wall in seconds.items()},
        "s_per_minute": round(float(slope), 4),
        "input": facts_of(_video(min(seconds))),
    }
    return result


def stacking(path: str) -> Answer:
    """In a worker: the usual way, all frames in one tensor before the first is used."""
    watch = Stopwatch()
    with watch.running():
        count = int(cv2.VideoCapture(path).get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = range(0, count, _RECIPE.frame_rate)
        # Filled in place: a list that is stacked in the end would take twice as much.
        tensor = np.empty((len(wanted), CANVAS[1], CANVAS[0], 3), np.uint8)
        for row, pixels in enumerate(cv2_read(Path(path), wanted, CANVAS)):
            tensor[row] = pixels
    return watch.answer(frames=len(tensor))


def _video(minutes: int) -> Path:
    return long_video(_RECIPE, minutes)


def _by_length(task: Any, minutes: tuple[int, ...], settings: Settings) -> dict[int, Measured]:
    measured: dict[int, Measured] = {}
    for length in minutes:
        kind = (task.__name__, length, settings.repeats, settings.cores)
        if kind in _measured:
            measured[length] = _measured[kind]
            continue
        run = partial(in_worker, task, settings.cores, path=str(_video(length)))
        repeats = settings.repeats if length <= _REPEATED_MINUTES else 1
        entry = take_turns({f"{length} min": run}, repeats, settings.note)[f"{length} min"]
        if not entry.runs:
            raise RuntimeError(f"{length} min: {entry.absent or entry.wrong}")
        measured[length] = _measured[kind] = entry
    return measured


def _container(settings: Settings) -> dict[int, float]:
    """The whole container, its model included, as its own results report it."""
    peaks = {}
    for length in (1,) if settings.quick else _CONTAINER_MINUTES:
        settings.note(f"container, {length} min")
        peaks[length] = round(run_container(_video(length)).peak_memory_bytes / 1e6, 1)
    return peaks


def _peak_mb(measured: Measured) -> float:
    return measured.median("peak_rss_mb")


def _above_mb(measured: Measured) -> float:
    return round(_peak_mb(measured) - measured.median("base_rss_mb"), 1)
