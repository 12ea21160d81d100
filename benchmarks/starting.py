"""Starts: of the container until its first frame, and of the Lambda functions."""

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.container import first_frame_s
from benchmarks.decoding import w1_recipe
from benchmarks.inputs import facts_of, make_video
from benchmarks.measure import Answer, take_turns
from benchmarks.results import OURS, Result, Settings, compared

_CV2 = "cv2, nothing else"
_CV2_FIRST_FRAME = "import sys, cv2; assert cv2.VideoCapture(sys.argv[1]).read()[0]"


def start_up(settings: Settings) -> Result:
    """From the start of the interpreter to the first decoded frame."""
    path = make_video(w1_recipe(250, quick=settings.quick))
    turns = {OURS: partial(_container, path), _CV2: partial(_cv2, path)}
    measured = take_turns(turns, settings.repeats, settings.note)
    title = "container entry point to the first frame at the model"
    result = compared("start_up", title, measured, usual=None, yardsticks=[_CV2])
    result.aims = {"ours_s": "< 1.5"}
    result.figures["input"] = facts_of(path)
    return result


def cold_import(settings: Settings) -> Result:
    """Importing each Lambda function's handler, against boto3 and its clients alone."""
    # The CDK takes a second to load, which no other case needs.
    from benchmarks import cold_import as cold
    from stacks.constructs.lambda_code import assemble
    from tests.stacks.runtime import lambda_runtime

    result = Result(
        "cold_import", "importing the handlers of all Lambda functions, one after the other"
    )
    handlers_s, bases_s = 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="framewright-cold-") as name:
        folder = Path(name)
        (folder / "runtime").mkdir()
        lambda_runtime(folder / "runtime")
        for role, clients in cold.CLIENTS.items():
            asset = assemble(role, folder / role)
            base = "import boto3\n" + "\n".join(f"boto3.client({name!r})" for name in clients)
            handler = f"import lambdas.{role}.handler"
            turns = {
                OURS: partial(_import, handler, role, asset),
                "boto3": partial(_import, base, role, asset),
            }
            for run in turns.values():
                run()  # writes the bytecode, warms the file cache
            measured = take_turns(turns, settings.repeats, settings.note)
            wall = {name: entry.median() for name, entry in measured.items()}
            cpu = {name: entry.median("cpu_s") for name, entry in measured.items()}
            handlers_s, bases_s = handlers_s + wall[OURS], bases_s + wall["boto3"]
            result.figures[role] = {
                "wall_ratio": round(wall[OURS] / wall["boto3"], 3),
                "cpu_ratio": round(cpu[OURS] / cpu["boto3"], 3),
                "handler_ms": round(wall[OURS] * 1000),
                "boto3_ms": round(wall["boto3"] * 1000),
            }
    result.ours, result.peers = handlers_s, {"boto3 and its clients": bases_s}
    result.yardsticks = ("boto3 and its clients",)
    return result


def _container(path: Path) -> Answer:
    return _timed(first_frame_s(path))


def _cv2(path: Path) -> Answer:
    start = time.perf_counter()
    command = [sys.executable, "-c", _CV2_FIRST_FRAME, str(path)]
    subprocess.run(command, check=True, env=dict(os.environ))
    return _timed(time.perf_counter() - start)


def _import(statements: str, role: str, asset: Path) -> Answer:
    from benchmarks.cold_import import import_ms

    wall_ms, cpu_ms = import_ms(statements, role, asset)
    return {**_timed(wall_ms / 1000), "cpu_s": cpu_ms / 1000}


def _timed(wall_s: float) -> Answer:
    return {"wall_s": wall_s, "peak_rss_mb": 0.0}
