"""Every case by its name; a case's module is imported when it is measured."""

import importlib
from collections.abc import Callable

from benchmarks.results import Result, Settings

Case = Callable[[Settings], Result]

CASES = {
    "w1_gop250": "benchmarks.decoding:w1_gop250",
    "w1_gop30": "benchmarks.decoding:w1_gop30",
    "w1_bitrates": "benchmarks.decoding:w1_bitrates",
    "w2_mp4": "benchmarks.decoding:w2_mp4",
    "w2_raw": "benchmarks.decoding:w2_raw",
    "real_clips": "benchmarks.decoding:real_clips",
    "overlap": "benchmarks.overlap:overlap",
    "whole_job": "benchmarks.overlap:whole_job",
    "memory": "benchmarks.length:memory",
    "masks": "benchmarks.masks:masks",
    "overhead": "benchmarks.overhead:overhead",
    "scaling": "benchmarks.length:scaling",
    "start_up": "benchmarks.starting:start_up",
    "cold_import": "benchmarks.starting:cold_import",
}


def case_named(name: str) -> Case:
    """
    The function that measures a case.

    Raises:
        ValueError: There is no such case.
    """
    if name not in CASES:
        raise ValueError(f"no case {name!r}; there are {', '.join(CASES)}")
    module, function = CASES[name].split(":")
    case: Case = getattr(importlib.import_module(module), function)
    return case
