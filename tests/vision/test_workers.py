"""Tasks are shared out among decoders, and the last ones among the threads of a decoder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from av.packet import Packet

from contracts.results import FrameRecord
from tests.vision.readings import compare, read
from tests.vision.videos import B_FRAMES, VideoSpec, make_video
from vision import workers
from vision.bitstreams.base import CodedPicture
from vision.canvas import Frame
from vision.frames import stretch
from vision.index import IndexedPacket
from vision.plan import DecodeTask, WantedFrame
from vision.workers import Decode, Parallelism, decode_tasks


def test_the_last_tasks_get_the_cores_that_others_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_MIN_SHARED_PACKETS", 1)
    opened: list[int] = []
    all_at_work = threading.Barrier(4)
    is_planned = threading.Event()

    def decode(task: DecodeTask) -> Iterator[Frame]:
        (wanted,) = task.wanted.values()
        if wanted.frame_index < 4:
            all_at_work.wait(30)
        yield frame(wanted.frame_index)
        assert is_planned.wait(30)

    @contextmanager
    def open_decoder(threads: int) -> Iterator[Decode]:
        opened.append(threads)
        yield decode

    found = []
    for given in decode_tasks(map(task, range(6)), open_decoder, Parallelism(4)):
        found.append(given.record.frame_index)
        is_planned.set()  # the first frame is given out when all tasks are planned
    assert found == list(range(6))
    assert opened[:4] == [1] * 4
    assert opened[4:]
    assert set(opened[4:]) <= {2, 4}


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_damage_is_found_by_decoders_of_several_threads(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers._Pool, "_share", Mock(return_value=3))
    options = B_FRAMES if codec == "libx264" else {"g": "12"}
    if codec == "libx265":
        options = {"x265-params": "log-level=none:keyint=12:min-keyint=12:bframes=3"}
    spec = VideoSpec(36, size=(192, 128), codec=codec, options=options)
    path = make_video(tmp_path / "video.mp4", spec)
    whole, clean = path.read_bytes(), compare(path)
    assert clean.reader.fallback is None
    pictures, end = whole.index(b"mdat") + 4, whole.rindex(b"moov") - 80
    fallbacks = 0
    for twentieth in range(5, 20, 2):
        content = bytearray(whole)
        start = pictures + (end - pictures) * twentieth // 20
        content[start : start + 60 : 7] = bytes(9)
        path.write_bytes(content)
        planned, sequential = read(path), read(path, plans=False)
        assert [f.record for f in planned.frames] == [f.record for f in sequential.frames]
        is_found = planned.reader.fallback is not None
        fallbacks += is_found
        whole_frames = {frame.record.pts: frame.pixels for frame in clean.frames}
        for mine, other in zip(planned.frames, sequential.frames, strict=True):
            undamaged = whole_frames.get(mine.record.pts)
            # How damage is concealed depends on how far other threads are.
            is_concealed = is_found and (
                undamaged is None or not np.array_equal(other.pixels, undamaged)
            )
            assert np.array_equal(mine.pixels, other.pixels) or is_concealed, mine.record
    assert fallbacks


@pytest.mark.parametrize("number", [0, 1])
def test_a_thread_that_cannot_be_started_ends_the_decoding(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def start_or_fail(thread: threading.Thread) -> None:
        if thread.name == f"decode-{number}":
            raise RuntimeError("can't start new thread")
        start(thread)

    @contextmanager
    def open_decoder(_threads: int) -> Iterator[Decode]:
        yield lambda task: (frame(wanted.frame_index) for wanted in task.wanted.values())

    def take() -> None:
        try:
            list(decode_tasks(map(task, range(6)), open_decoder, Parallelism(4)))
        except RuntimeError as error:
            raised.append(str(error))

    raised: list[str] = []
    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(10)
    assert raised == ["can't start new thread"]


def task(number: int) -> DecodeTask:
    picture = CodedPicture(0, True, True, True)
    packet = IndexedPacket(0, Packet(bytes(100)), picture, number, number, 1, 0, False)
    return DecodeTask((packet,), {0: WantedFrame(number, number, float(number), True)}, b"")


def frame(number: int) -> Frame:
    record = FrameRecord(
        frame_index=number,
        pts=number,
        time_base=Fraction(1),
        time_s=float(number),
        is_key_frame=True,
        width=4,
        height=2,
    )
    return Frame(record, np.zeros((2, 4, 3), np.uint8), stretch((4, 2), (4, 2)))
