"""
The container with decoders and a model that misbehave, each for videos of one name.

`python -m tests.containers.hostile ARGUMENTS` is `python -m containers.processing ARGUMENTS`. What
real decoders do on no known file is done here in their place, and in the process where they run.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator

from containers.processing.__main__ import main
from vision.canvas import Frame
from vision.frames import FrameBatch
from vision.models.base import Prediction
from vision.models.people import PeopleModel
from vision.reader import VideoReader

MODEL_CRASH_WIDTH, MODEL_WAIT_WIDTH, MODEL_KEEP_WIDTH = 128, 160, 192
"""Of the videos on which the model crashes, answers nothing, or keeps memory for good."""
_MUCH = 400_000_000
_kept: list[bytes] = []


def _spin() -> None:
    while True:
        pass


def _eat() -> None:
    eaten = []
    while True:
        eaten.append(bytes(64 << 20))


def _take() -> None:
    bytes(_MUCH)


def _signal(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


DECODER_FAULTS: dict[str, Callable[[], None]] = {
    "crash": lambda: _signal(signal.SIGSEGV),
    "abort": os.abort,
    "spin": _spin,
    "wait": lambda: time.sleep(600),
    "eat": _eat,
    "killed": lambda: _signal(signal.SIGKILL),
    "leave": lambda: os._exit(3),
}
_frames, _predict = VideoReader.frames, PeopleModel.predict


def _hostile_frames(reader: VideoReader) -> Generator[Frame, None, None]:
    for frame in _frames(reader):
        yield frame
        {**DECODER_FAULTS, "take": _take}.get(reader.path.stem, lambda: None)()


def _hostile_predict(model: PeopleModel, batch: FrameBatch) -> list[Prediction]:
    if batch.placement.source_size[0] == MODEL_CRASH_WIDTH:
        _signal(signal.SIGSEGV)
    if batch.placement.source_size[0] == MODEL_WAIT_WIDTH:
        time.sleep(600)
    if batch.placement.source_size[0] == MODEL_KEEP_WIDTH and not _kept:
        _kept.append(bytes(_MUCH))
    return _predict(model, batch)


if __name__ == "__main__":
    setattr(VideoReader, "frames", _hostile_frames)  # noqa: B010 - typed, it may not be assigned
    setattr(PeopleModel, "predict", _hostile_predict)  # noqa: B010
    sys.exit(main(sys.argv[1:], os.environ))
