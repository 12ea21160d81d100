"""Stages work at once, in order, within their budget, and end together whatever happens."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from random import Random

import pytest

from contracts.outcomes import RetryCode
from tests.vision.attempts import NumberModel, any_request
from tests.vision.videos import B_FRAMES, VideoSpec, make_video
from vision import pipeline
from vision.canvas import Converter
from vision.faults import AttemptStoppedError
from vision.frames import FrameBatch
from vision.models.base import ModelInput, Prediction
from vision.overlap import Line, StoppedError
from vision.pipeline import Progress, process_video
from vision.results import AttemptWriter, read_detections
from vision.workers import Parallelism

PROMPT_S = 2.0
"""Far above what stopping takes, far below what the work would."""


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.mp4", VideoSpec(frame_count=60, options=B_FRAMES))


def jitter(seed: int) -> Callable[[], None]:
    """Delays that let stages overtake each other, if they can."""
    random = Random(seed)  # noqa: S311 - no secret

    def wait() -> None:
        time.sleep(random.choice((0, 0, 0, 0.001, 0.004)))

    return wait


class Delayed(NumberModel):
    def __init__(self, wait: Callable[[], None]) -> None:
        super().__init__(ModelInput((96, 64), max_batch=3))
        self.wait = wait

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        self.wait()
        return super().predict(batch)


def attempt(path: Path, model: NumberModel, **options: object) -> None:
    process_video(
        path=path,
        request=any_request(path),
        model=model,
        folder=path.parent / "out",
        parallelism=Parallelism(3),
        **options,  # type: ignore[arg-type]
    )


def files_left(path: Path) -> list[Path]:
    return [file for file in (path.parent / "out").rglob("*") if file.is_file()]


@pytest.mark.parametrize("seed", range(4))
def test_frames_never_mix_however_the_stages_are_delayed(
    seed: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [jitter(seed * 3 + stage) for stage in range(3)]
    convert, write = Converter.convert, AttemptWriter.write

    def slow_convert(*args: object) -> object:
        waits[0]()
        return convert(*args)  # type: ignore[arg-type]

    def slow_write(*args: object) -> None:
        waits[1]()
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Converter, "convert", slow_convert)
    monkeypatch.setattr(AttemptWriter, "write", slow_write)
    seen: list[Progress] = []
    attempt(path, Delayed(waits[2]), progress=seen.append)
    results = list(read_detections(path.parent / "out/detections.jsonl.gz"))
    assert [result.frame.frame_index for result in results] == list(range(60))
    assert [result.detections[0].class_id for result in results] == list(range(60))
    assert [progress.frames_processed for progress in seen] == list(range(3, 61, 3))


class PlannedFaultError(Exception):
    pass


@pytest.mark.parametrize("stage", ["decoder", "model", "writer", "progress"])
def test_the_first_error_stops_every_stage_and_leaves_no_file(
    stage: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def failing(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise PlannedFaultError(stage)

    model, options = Delayed(lambda: None), {}
    if stage == "model":
        model = Delayed(failing)
    elif stage == "progress":
        options = {"progress": failing}
    else:
        owner, name = (Converter, "convert") if stage == "decoder" else (AttemptWriter, "write")
        original = getattr(owner, name)

        def sometimes(*args: object) -> object:
            failing()
            return original(*args)

        monkeypatch.setattr(owner, name, sometimes)
    with pytest.raises(PlannedFaultError, match=stage):
        attempt(path, model, **options)
    assert files_left(path) == []


def test_an_attempt_is_cancelled_while_its_model_waits(path: Path) -> None:
    asked = threading.Event()

    def predict_slowly() -> None:
        asked.set()
        time.sleep(0.2)

    start = time.perf_counter()
    with pytest.raises(AttemptStoppedError) as caught:
        attempt(path, Delayed(predict_slowly), cancel=asked.is_set)
    assert caught.value.code is RetryCode.JOB_STOPPED
    assert time.perf_counter() - start < PROMPT_S
    assert files_left(path) == []


def test_a_deadline_ends_the_attempt_even_while_nothing_comes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = any_request(path)
    object.__setattr__(request, "deadline_epoch_s", int(time.time()) + 1)
    start = time.perf_counter()
    with pytest.raises(AttemptStoppedError) as caught:
        process_video(
            path=path,
            request=request,
            model=Delayed(lambda: time.sleep(0.3)),
            folder=path.parent / "out",
        )
    assert caught.value.code is RetryCode.TIME_LIMIT
    assert time.perf_counter() - start < 1 + PROMPT_S
    assert files_left(path) == []


def test_no_more_bytes_wait_than_the_budget_allows(path: Path) -> None:
    made = taken = 0
    most = 0

    def items() -> Generator[bytes, None, None]:
        nonlocal made
        for _ in range(50):
            made += 1
            yield b"x" * 10

    with Line() as line:
        ahead = line.ahead(items(), size_bytes=len, max_bytes=35, name="test")
        for _ in ahead:
            taken += 1
            time.sleep(0.001)
            most = max(most, made - taken)
    assert made == 50
    assert 2 <= most <= 4, "three wait, and one is in the maker's hand"


def test_decoded_frames_are_held_within_their_budget(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = most = 0
    frame_bytes = 96 * 64 * 3
    monkeypatch.setattr(pipeline, "MAX_DECODED_BYTES", 2 * frame_bytes)
    convert = Converter.convert
    lock = threading.Lock()

    def counting(*args: object) -> object:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return convert(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(Converter, "convert", counting)

    class Slow(NumberModel):
        def predict(self, batch: FrameBatch) -> list[Prediction]:
            nonlocal held
            time.sleep(0.005)
            with lock:
                held -= len(batch.frames)
            return super().predict(batch)

    process_video(
        path=path,
        request=any_request(path),
        model=Slow(ModelInput((96, 64), max_batch=2)),
        folder=path.parent / "out",
        parallelism=Parallelism(2, max_frame_bytes=4 * frame_bytes),
    )
    # Batches: 2 wait for the model, 1 is in its hands, 1 is being stacked. Frames: 4 in the
    # budget, 1 beyond it because it is awaited, 2 in the workers' hands.
    assert most <= 4 * 2 + 4 + 1 + 2


def test_leaving_a_line_stops_stages_that_wait_for_each_other() -> None:
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with Line() as line:
        first = line.ahead(endless(), size_bytes=lambda _: 1, max_bytes=1, name="first")
        second = line.ahead(
            (item for item in first), size_bytes=lambda _: 1, max_bytes=1, name="second"
        )
        assert next(second) == 1
    assert closed.is_set()
    with pytest.raises(StoppedError):
        line.raise_if_stopped()
