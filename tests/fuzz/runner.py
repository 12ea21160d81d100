"""Runs cases through the container's entry point and says how each one ended."""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.keys import DETECTIONS_FILE
from contracts.messages import InferenceRequest
from contracts.outcomes import ExitCode
from contracts.results import AttemptDocument
from tests.containers.ml_tree import Tree
from tests.fuzz.cases import Case
from vision.results import read_detections

MEMORY_BYTES = 1_000_000_000
STALL_S = 45.0
DECODE_S = 90.0
_ARGUMENTS = (
    *("--max-memory-bytes", str(MEMORY_BYTES)),
    *("--max-stall-s", str(STALL_S)),
    *("--max-decode-s", str(DECODE_S)),
)
_MAPPED_BYTES = 200_000_000
"""Of libraries, which count as resident and not as taken."""
UNANSWERED = ("retryable", "no outcome")
_CASE_S = STALL_S * 2
"""A case may take so long before the container itself is said to hang."""


@dataclass(frozen=True, slots=True)
class Result:
    """
    How a case ended.

    Attributes:
        outcome: `succeeded`, a rejection's code, `retryable` or `no outcome`.
        death: `crashed` or `hung`, where the process that read it had to be replaced for that.
        details: What a person needs to look into it.
        faults: Ways in which the container broke its promise.
    """

    case: Case
    outcome: str
    wall_s: float = 0.0
    death: str = ""
    peak_bytes: int = 0
    details: str = ""
    faults: tuple[str, ...] = ()


def run_cases(
    cases: Sequence[Case], seeds: dict[str, Path], *, chunk: int, processes: int
) -> Iterator[Result]:
    """The results of all cases, as they come; several cases share one run of the container."""
    chunks = [cases[start : start + chunk] for start in range(0, len(cases), chunk)]
    with ThreadPoolExecutor(processes) as pool:
        for results in pool.map(lambda some: run_chunk(some, seeds), chunks):
            yield from results


def run_chunk(cases: Sequence[Case], seeds: dict[str, Path]) -> list[Result]:
    """The results of cases that share a run; each alone where the run tells nothing of one."""
    with tempfile.TemporaryDirectory(prefix="framewright-fuzz-") as folder:
        tree = Tree(Path(folder))
        tree.configure()
        tree.videos.mkdir(parents=True)
        requests = [case.request(case.make(seeds, tree.videos)) for case in cases]
        tree.ask(*requests)
        try:
            ended = tree.run(*_ARGUMENTS, timeout_s=60 + _CASE_S * len(cases))
        except subprocess.TimeoutExpired:
            if len(cases) > 1:
                return [result for case in cases for result in run_chunk([case], seeds)]
            return [Result(cases[0], "no outcome", faults=("the container hangs",))]
        pairs = list(zip(cases, requests, strict=True))
        results = [_result(case, request, tree, ended.lines) for case, request in pairs]
        if (fault := _chunk_fault(ended.code, ended.stderr, results)) is None:
            return results
        if len(cases) > 1:
            return [result for case in cases for result in run_chunk([case], seeds)]
        return [Result(cases[0], results[0].outcome, faults=(*results[0].faults, fault))]


def _result(
    case: Case, request: InferenceRequest, tree: Tree, lines: Sequence[dict[str, Any]]
) -> Result:
    mine = [line for line in lines if line.get("key") == request.source.key]
    died = [line for line in mine if line["message"] == "worker died"]
    failed = [line for line in mine if line["message"] == "attempt failed"]
    ends = [line for line in mine if line["message"] == "attempt ended"]
    wall_s = max((float(line.get("wall_s", 0.0)) for line in ends), default=0.0)
    details = "; ".join(_shown(line) for line in died + failed)
    death = ""
    if died and "is_memory=True" not in str(died[0]["death"]):
        death = "crashed" if "stalled_s=None" in str(died[0]["death"]) else "hung"
    folder = tree.attempt_folder(request)
    if not (folder / "attempt.json").exists():
        outcome = "retryable" if died or failed else "no outcome"
        left = [path.name for path in folder.rglob("*") if path.is_file()]
        faults = (f"files were left: {left}",) if left else ()
        return Result(case, outcome, wall_s, death, 0, details, faults)
    attempt = tree.attempt(request)
    faults = () if attempt.answers(request) else ("another request's answer",)
    if attempt.code is None:
        faults = (*faults, *_file_faults(folder, attempt))
    if attempt.peak_memory_bytes > MEMORY_BYTES + _MAPPED_BYTES:
        faults = (*faults, f"{attempt.peak_memory_bytes:,} bytes of memory")
    if failed:
        faults = (*faults, "two outcomes")
    outcome = attempt.code or "succeeded"
    details = details or (attempt.message or "")
    return Result(case, outcome, wall_s, death, attempt.peak_memory_bytes, details, faults)


def _file_faults(folder: Path, attempt: AttemptDocument) -> Iterator[str]:
    for file in attempt.files:
        content = (folder / file.name).read_bytes()
        if (len(content), hashlib.sha256(content).hexdigest()) != (file.size_bytes, file.sha256):
            yield f"{file.name} is not as attempt.json says"
    lines = sum(1 for _ in read_detections(folder / DETECTIONS_FILE))
    if lines != attempt.counts.frames_processed:
        yield f"{lines} lines for {attempt.counts.frames_processed} frames"


def _chunk_fault(code: int, stderr: str, results: Sequence[Result]) -> str | None:
    unanswered = any(result.outcome in UNANSWERED for result in results)
    expected = ExitCode.RETRYABLE if unanswered else ExitCode.SUCCEEDED
    if code != expected:
        return f"exit code {code} instead of {expected}"
    if any(result.outcome == "no outcome" for result in results):
        return "a video without an outcome"
    return f"on stderr: {stderr[-300:]}" if stderr else None


def _shown(line: dict[str, Any]) -> str:
    traceback = str(line.get("traceback", ""))
    return str(line.get("death") or "") + "\n".join(traceback.splitlines()[-3:])
