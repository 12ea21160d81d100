"""A bounded run of the fuzzer, and what longer runs of it have found."""

from pathlib import Path

import pytest

from tests.fuzz.cases import Case
from tests.fuzz.mutations import MUTATIONS
from tests.fuzz.report import is_broken
from tests.fuzz.runner import run_cases
from tests.fuzz.seeds import SEED_VIDEOS, make_seeds

COUNT = 400
DEADLOCKED = (6686, 7928, 12950, 15947)
"""H.265 in a wrong order: closing the decoder waited for a thread that waited for the same lock."""
RAISED = (11523, 13314, 28083, 106151)
"""H.264 whose supplemental information ends early, and MPEG-TS with streams that come up late: an
IndexError, and so a needless retry."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_seeds(tmp_path_factory.mktemp("seeds"))


def test_mutated_videos_have_one_outcome_each_within_memory_and_time(
    seeds: dict[str, Path],
) -> None:
    cases = [Case.of(number) for number in (*DEADLOCKED, *RAISED, *range(COUNT))]
    results = list(run_cases(cases, seeds, chunk=25, processes=2))
    assert [result.case for result in results] == cases
    assert [result for result in results if is_broken(result)] == []
    outcomes = [result.outcome for result in results]
    assert COUNT // 4 < outcomes.count("succeeded") < COUNT * 3 // 4


def test_a_number_is_the_same_case_every_time(seeds: dict[str, Path], tmp_path: Path) -> None:
    again = make_seeds(tmp_path)
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in seeds.items()
    }
    for number in range(60):
        case = Case.of(number)
        assert case == Case.of(number)
        videos = [case.make(made, tmp_path).read_bytes() for made in (seeds, again)]
        assert videos[0] == videos[1], case


def test_every_mutation_and_every_video_comes_up() -> None:
    cases = [Case.of(number) for number in range(COUNT)]
    assert {case.kind for case in cases} == set(MUTATIONS)
    assert {case.video.name for case in cases} == {video.name for video in SEED_VIDEOS}
