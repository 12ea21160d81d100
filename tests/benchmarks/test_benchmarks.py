"""The benchmarks keep their promises to whoever reads their figures; nothing is timed here."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.content import BITS, draw_number, read_number
from benchmarks.measure import (
    Answer,
    FailedError,
    Measured,
    NotInstalledError,
    WrongAnswerError,
    take_turns,
)
from benchmarks.registry import CASES, case_named
from benchmarks.results import OURS, compared


def runs(*seconds: float) -> Measured:
    return Measured(runs=[{"wall_s": s, "peak_rss_mb": 100.0} for s in seconds])


@pytest.mark.parametrize("name", CASES)
def test_every_case_can_be_found(name: str) -> None:
    assert callable(case_named(name))


def test_the_cases_that_are_promised_are_there() -> None:
    promised = "w1_gop250 w1_gop30 w2_mp4 w2_raw overlap whole_job memory masks overhead scaling"
    assert set(promised.split()) <= set(CASES)


def test_an_unknown_case_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="w1_gop250"):
        case_named("w3")


def test_a_record_has_what_readers_rely_on() -> None:
    measured = {
        OURS: runs(1.0, 9.0, 2.0),
        "usual": runs(8.0),
        "fast": runs(4.0),
        "wrong but fast": Measured(wrong="30 is 44"),
        "missing": Measured(absent="not installed"),
    }
    record = compared("case", "a case", measured, usual="usual").to_json({"cores": 2})
    assert json.loads(json.dumps(record)) == record
    assert record["ours_s"] == 2.0
    assert record["peers_s"] == {"usual": 8.0, "fast": 4.0}
    assert (record["ratio_usual"], record["ratio_best_peer"]) == (4.0, 2.0)
    assert record["peak_rss_mb"] == 100.0
    assert record["wrong"] == {"wrong but fast": "30 is 44"}
    assert record["peers_absent"] == {"missing": "not installed"}
    assert record["machine"] == {"cores": 2}


def test_what_gives_no_frames_is_no_best_peer() -> None:
    measured = {OURS: runs(1.0), "peer": runs(4.0), "to null": runs(2.0)}
    result = compared("case", "a case", measured, usual=None, yardsticks=["to null"])
    assert (result.best_peer, result.ratio_usual) == ("peer", None)


def test_entrants_take_turns_and_those_out_are_asked_no_more() -> None:
    asked: list[str] = []

    def entrant(name: str, error: Exception | None = None) -> Answer:
        asked.append(name)
        if error:
            raise error
        return {"wall_s": 1.0}

    measured = take_turns(
        {
            "a": lambda: entrant("a"),
            "wrong": lambda: entrant("wrong", WrongAnswerError("30 is 44")),
            "gone": lambda: entrant("gone", NotInstalledError("not installed")),
            "broken": lambda: entrant("broken", FailedError("fails: no memory")),
            "b": lambda: entrant("b"),
        },
        repeats=3,
    )
    assert asked == ["a", "wrong", "gone", "broken", "b", "b", "a", "a", "b"]
    assert measured["wrong"].wrong == "30 is 44"
    assert measured["gone"].absent == "not installed"
    assert measured["broken"].absent == "fails: no memory"


@given(st.integers(0, 2**BITS - 1), st.sampled_from([(270, 480), (256, 256), (300, 480)]))
def test_a_drawn_number_is_read_back(number: int, shape: tuple[int, int]) -> None:
    picture = np.full(shape, 90, np.uint8)
    draw_number(picture, number)
    assert read_number(np.repeat(picture[..., None], 3, axis=2)) == number
