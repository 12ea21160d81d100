"""W1 and W2: chosen frames out of compressed video, against everything else that can do it."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.content import read_number
from benchmarks.inputs import Recipe, facts_of, make_clips, make_video, real_videos
from benchmarks.measure import Answer, Measured, Stopwatch, WrongAnswerError, in_worker, take_turns
from benchmarks.peers import CLIP_READERS, DECODE_ONLY, SAMPLERS, USUAL, Pixels, prepare
from benchmarks.reference import reference_of, thumbnail
from benchmarks.results import OURS, Result, Settings, compared

CANVAS = (1024, 1024)
CLIP_INDICES = (0, 2, 14)
_CLIPS = 12
_HD = (1920, 1080)
BITRATE = 4_000_000
"""Of 1080p30 from network cameras as they are delivered, and of streamed video."""
_BITRATES = (3_000_000, BITRATE, 6_000_000)
_ON_ONE_CORE = (OURS, USUAL, "cv2 grab", "pyav", DECODE_ONLY)
"""The others use the cores there are; how they do on one says nothing more of ours."""


_checked: set[tuple[str, str, str]] = set()


def w1_recipe(gop: int, *, quick: bool = False, bitrate: int = BITRATE) -> Recipe:
    """61 s of 1080p30."""
    return Recipe("moving", _HD, 300 if quick else 1830, gop, bitrate)


def w1_gop250(settings: Settings) -> Result:
    """A long GOP: what x264 makes by default."""
    aims = {"ratio_usual": "≥ 2.9", "ratio_best_peer": "≥ 1.8", "one_core.ratio_usual": "≥ 2.1"}
    return _w1("w1_gop250", w1_recipe(250, quick=settings.quick), aims, settings)


def w1_gop30(settings: Settings) -> Result:
    """A short GOP: cameras and streams."""
    aims = {"ratio_usual": "≥ 8", "ratio_best_peer": "≥ 2.4"}
    return _w1("w1_gop30", w1_recipe(30, quick=settings.quick), aims, settings)


def w1_bitrates(settings: Settings) -> Result:
    """How the figure depends on the bitrate: the less is left to decode, the more is scaling."""
    rows = []
    result = Result("w1_bitrates", f"W1 at GOP 250 by bitrate, {settings.cores} cores", usual=USUAL)
    for bitrate in _BITRATES:
        path = make_video(w1_recipe(250, quick=settings.quick, bitrate=bitrate))
        names = (OURS, USUAL, DECODE_ONLY)
        measured = _sampled([path], settings, settings.cores, drawn=True, entrants=names)
        found = compared("", "", measured, usual=USUAL, yardsticks=[DECODE_ONLY])
        if bitrate == BITRATE:
            result.ours, result.peers = found.ours, found.peers
            result.yardsticks = found.yardsticks
        rows.append({**_nested(found), "input": facts_of(path)})
    result.figures = {"bitrates": rows}
    return result


def w2_mp4(settings: Settings) -> Result:
    """Three frames of each one-second clip, in MP4."""
    aims = {"ratio_usual": "≥ 2", "ratio_best_peer": "≥ 1.2", "speed_up_of_two_cores": "≥ 1.9"}
    return _w2("w2_mp4", ".mp4", aims, settings)


def w2_raw(settings: Settings) -> Result:
    """The same clips as raw H.264."""
    aims = {"ratio_usual": "≥ 2.8", "ratio_best_peer": "≥ 1.2", "speed_up_of_two_cores": "≥ 1.9"}
    return _w2("w2_raw", ".h264", aims, settings)


def real_clips(settings: Settings) -> Result:
    """Filmed clips at one frame a second, where they are there."""
    paths = list(real_videos())
    if not paths:
        return Result("real_clips", "real clips", figures={"input": "not here"})
    measured = _sampled(paths, settings, settings.cores, drawn=False)
    title = f"1 FPS from {len(paths)} filmed clips, {settings.cores} cores"
    result = compared("real_clips", title, measured, usual=USUAL, yardsticks=[DECODE_ONLY])
    result.figures |= {"input": {path.name: facts_of(path) for path in paths}}
    return result


def _w1(case: str, recipe: Recipe, aims: dict[str, str], settings: Settings) -> Result:
    path = make_video(recipe)
    measured = _sampled([path], settings, settings.cores, drawn=True)
    title = f"1 FPS from {recipe.frames / 30:.0f} s of 1080p30, GOP {recipe.gop}"
    result = compared(
        case,
        f"{title}, {settings.cores} cores",
        measured,
        usual=USUAL,
        yardsticks=[DECODE_ONLY],
    )
    result.aims = aims
    result.figures |= {"input": facts_of(path), "cores": settings.cores}
    if settings.cores > 1:
        alone = _sampled([path], settings, 1, drawn=True, entrants=_ON_ONE_CORE)
        one_core = compared(case, title, alone, usual=USUAL, yardsticks=[DECODE_ONLY])
        result.figures["one_core"] = _nested(one_core)
    return result


def _w2(case: str, suffix: str, aims: dict[str, str], settings: Settings) -> Result:
    count = 3 if settings.quick else _CLIPS
    recipe = Recipe("clips", (1920, 1200), 30 * (count + 1), 30, BITRATE)
    paths = make_clips(recipe, suffix)
    measured = _clips(paths, settings, 1)
    title = f"frames 0, 2, 14 of {count} one-second 1920×1200 clips ({suffix}), 1 core"
    result = compared(case, title, measured, usual=USUAL)
    result.aims = aims
    # A raw stream says nothing of its length; its MP4 twins do.
    facts = [facts_of(path) for path in make_clips(recipe, ".mp4")]
    result.figures |= {"input": facts[0], "clips": count, "cores": 1}
    result.figures["mbit_per_s"] = [clip["mbit_per_s"] for clip in facts]
    if result.ours is not None:
        result.figures["ours_clips_per_s"] = round(count / result.ours, 2)
    if settings.cores > 1:
        on_all = compared(case, title, _clips(paths, settings, settings.cores), usual=USUAL)
        result.figures["all_cores"] = {**_nested(on_all), "cores": settings.cores}
        if result.ours and on_all.ours:
            result.figures["speed_up_of_two_cores"] = round(result.ours / on_all.ours, 3)
    return result


def _nested(result: Result) -> dict[str, Any]:
    record = result.to_json({})
    for name in ("title", "aims", "machine"):
        del record[name]
    return record


def _sampled(
    paths: list[Path],
    settings: Settings,
    cores: int,
    *,
    drawn: bool,
    entrants: Sequence[str] = (OURS, *SAMPLERS),
) -> dict[str, Measured]:
    tasks = [(str(path), reference_of(path).every_seconds(Fraction(1))) for path in paths]
    return _in_turns(entrants, sampling, settings, cores, tasks=tasks, drawn=drawn)


def _clips(paths: list[Path], settings: Settings, cores: int) -> dict[str, Measured]:
    for path in paths:
        reference_of(path)
    names = [str(path) for path in paths]
    return _in_turns([OURS, *CLIP_READERS], reading_clips, settings, cores, paths=names)


def _in_turns(
    entrants: Sequence[str], task: Any, settings: Settings, cores: int, **arguments: Any
) -> dict[str, Measured]:
    """Every run is timed but an entrant's first on these videos, which looks at all pixels."""

    def run(name: str) -> Answer:
        kind = (task.__name__, name, repr(arguments))
        if kind not in _checked:
            in_worker(task, cores, entrant=name, check=True, **arguments)
            _checked.add(kind)
        return in_worker(task, cores, entrant=name, check=False, **arguments)

    turns = {name: (lambda name=name: run(name)) for name in entrants}
    return take_turns(turns, settings.repeats, settings.note)


def sampling(entrant: str, tasks: list[tuple[str, list[int]]], drawn: bool, check: bool) -> Answer:
    """In a worker: one frame a second of each video, on the canvas."""
    prepare(entrant)
    watch = Stopwatch()
    given: list[Pixels] = []
    numbers: list[int] = []
    with watch.running():
        for name, wanted in tasks:
            for pixels in _sampled_frames(entrant, Path(name), wanted):
                numbers.append(read_number(pixels) if drawn else 0)
                if check:
                    given.append(thumbnail(pixels))
    if entrant == DECODE_ONLY:
        return watch.answer()
    if drawn:
        _expect(numbers, [index for _, wanted in tasks for index in wanted])
    if check:
        taken = iter(given)
        for name, wanted in tasks:
            reference_of(Path(name)).check(list(islice(taken, len(wanted))), wanted)
    return watch.answer(frames=len(numbers))


def reading_clips(entrant: str, paths: list[str], check: bool) -> Answer:
    """In a worker: three frames of each clip, at full size."""
    prepare(entrant)
    watch = Stopwatch()
    given: list[Pixels] = []
    numbers: list[int] = []
    with watch.running():
        for pixels in _clip_frames(entrant, [Path(path) for path in paths]):
            numbers.append(read_number(pixels))
            if check:
                given.append(thumbnail(pixels))
    _expect(numbers, [30 * clip + i for clip in range(1, len(paths) + 1) for i in CLIP_INDICES])
    if check:
        taken = iter(given)
        for path in paths:
            found = list(islice(taken, len(CLIP_INDICES)))
            reference_of(Path(path)).check(found, list(CLIP_INDICES))
    return watch.answer(frames=len(numbers))


def _sampled_frames(entrant: str, path: Path, wanted: list[int]) -> Iterator[Pixels]:
    if entrant == OURS:
        return ours.frames(path, "every_seconds=1", CANVAS)
    return SAMPLERS[entrant](path, wanted, CANVAS)


def _clip_frames(entrant: str, paths: list[Path]) -> Iterator[Pixels]:
    if entrant == OURS:
        yield from ours.clips(paths, CLIP_INDICES)
        return
    for path in paths:
        yield from CLIP_READERS[entrant](path, CLIP_INDICES, None)


def _expect(numbers: list[int], wanted: list[int]) -> None:
    if numbers == wanted:
        return
    if len(numbers) != len(wanted):
        raise WrongAnswerError(f"gives {len(numbers)} frames instead of {len(wanted)}")
    wrong = [f"{w} is {n}" for w, n in zip(wanted, numbers, strict=True) if n != w]
    shown = ", ".join(wrong[:3])
    raise WrongAnswerError(f"{len(wrong)} of {len(wanted)} frames wrong ({shown})")
