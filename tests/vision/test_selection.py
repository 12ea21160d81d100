"""Selections choose, frame by frame, what a naive look at the whole list would choose."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.outcomes import RejectionCode, WarningCode
from contracts.selection import Selection
from vision.faults import RejectedVideoError
from vision.selection import Candidate, make_selector, missing_warning

_gaps = st.lists(st.integers(1, 5000), max_size=60)


def _candidates(gaps: list[int], time_base: Fraction, key_every: int = 5) -> list[Candidate]:
    times = [sum(gaps[:index]) * time_base for index in range(len(gaps) + 1)]
    return [Candidate(i, time, i % key_every == 0) for i, time in enumerate(times)]


def _chosen(text: str, candidates: list[Candidate]) -> list[int]:
    selector = make_selector(Selection.parse(text))
    return [c.frame_index for c in candidates if selector.wants(c)]


@given(_gaps, st.integers(1, 3_000), st.sampled_from([90_000, 12_800, 1_000, 30_000, 7]))
def test_every_seconds_takes_the_first_frame_at_or_after_each_multiple_once(
    gaps: list[int], thousandths: int, ticks: int
) -> None:
    candidates = _candidates(gaps, Fraction(1, ticks))
    interval = Fraction(thousandths, 1000)
    text = f"every_seconds={thousandths // 1000}.{thousandths % 1000:03d}"
    wanted: set[int] = set()
    # Multiples that a frame skips choose nothing else, so each frame's own multiple is enough.
    for multiple in {c.time // interval + step for c in candidates for step in (0, 1)}:
        later = [c.frame_index for c in candidates if c.time >= multiple * interval]
        wanted.update(later[:1])
    assert _chosen(text, candidates) == sorted(wanted)


@given(_gaps, st.integers(1, 100))
def test_every_nth_takes_frames_by_index_whatever_their_times(gaps: list[int], step: int) -> None:
    candidates = _candidates(gaps, Fraction(1, 600))
    assert _chosen(f"every_nth={step}", candidates) == list(range(0, len(candidates), step))


@given(_gaps, st.sets(st.integers(0, 100), min_size=1))
def test_indices_are_each_found_or_missing(gaps: list[int], indices: set[int]) -> None:
    candidates = _candidates(gaps, Fraction(1, 600))
    selector = make_selector(Selection.parse(f"indices={','.join(map(str, sorted(indices)))}"))
    found = [c.frame_index for c in candidates if selector.wants(c)]
    assert found == sorted(i for i in indices if i < len(candidates))
    assert sorted([*found, *selector.missing()]) == sorted(indices)
    assert selector.is_done == (not selector.missing())


def test_key_frames_takes_what_the_decoder_marks() -> None:
    assert _chosen("key_frames", _candidates([1] * 11, Fraction(1))) == [0, 5, 10]


def test_all_takes_all() -> None:
    assert _chosen("all", _candidates([1] * 4, Fraction(1))) == [0, 1, 2, 3, 4]


def test_a_multiple_met_exactly_is_not_missed_by_rounding() -> None:
    # 0.1 s in 1/30000 s at 30000/1001 fps: 1001 ticks a frame; floats drift here.
    candidates = _candidates([1000] * 3000, Fraction(1, 30_000))
    assert _chosen("every_seconds=0.1", candidates) == list(range(0, 3001, 3))


def test_the_key_frame_index_is_refused_with_the_selections_there_are() -> None:
    with pytest.raises(RejectedVideoError, match="every_seconds") as caught:
        make_selector(Selection.parse("index_api"))
    assert caught.value.code is RejectionCode.BAD_REQUEST


def test_a_long_list_of_missing_frames_is_shortened() -> None:
    warning = missing_warning(tuple(range(100, 1100)), 30)
    assert warning.code == WarningCode.FRAME_NOT_FOUND
    assert "30 frames" in warning.message
    assert warning.message.endswith("109 and 990 more.")
    assert warning.frame_index is None
    assert missing_warning((44,), 30).frame_index == 44
