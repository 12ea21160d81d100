"""
Decode tasks in parallel: one decoder per worker, results in order, a bounded number of bytes held.

Threads suffice, since decoding and scaling run without the interpreter's lock. A worker that is
ahead waits when the frames held exceed the budget; the worker whose frames are next may always add
one, so nothing can wait for ever. The last tasks are shared out by threads within a decoder, as no
further task would use the cores that others leave.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from queue import SimpleQueue

from vision.canvas import Frame
from vision.plan import DecodeTask

Decode = Callable[[DecodeTask], Iterator[Frame]]
"""Decodes one task with one worker's decoder; frames come in order, on the canvas."""
OpenDecoder = Callable[[int], AbstractContextManager[Decode]]
"""Makes a worker's decoder with so many threads of its own; called in the thread that uses it."""

_TASKS_AHEAD = 3
"""Planned beyond those being decoded: no worker waits for the planner, and the end is seen."""
_MAX_PACKET_BYTES = 64 << 20
_MIN_SHARED_PACKETS = 16
"""A shorter task is not worth a decoder with threads of its own."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """
    How the cores are used for decoding.

    Attributes:
        workers: Decoders at work at once.
        max_frame_bytes: Of decoded frames that wait to be taken, all workers together.
    """

    workers: int
    max_frame_bytes: int = 48 << 20

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"at least one decode worker is needed, got {self.workers}")


@dataclass(slots=True, eq=False)
class _Job:
    task: DecodeTask
    frames: deque[Frame] = field(default_factory=deque)
    frames_decoded: int = 0
    is_done: bool = False
    error: BaseException | None = None

    @property
    def bytes_left(self) -> int:
        """Roughly, of what is to be decoded."""
        wanted = len(self.task.wanted)
        return self.task.size_bytes * (wanted - min(wanted, self.frames_decoded)) // wanted


def decode_tasks(
    tasks: Iterable[DecodeTask], open_decoder: OpenDecoder, parallelism: Parallelism
) -> Generator[Frame, None, None]:
    """
    The frames of all tasks, in order; closing the generator stops the workers and waits for them.

    Raises:
        Exception: Whatever planning or decoding raised first, in the order of the tasks.
    """
    planned = iter(tasks)
    first = list(islice(planned, 2))
    if parallelism.workers == 1 or len(first) < 2:
        # One GOP cannot be shared out among decoders, but a decoder may use threads itself.
        with ExitStack() as stack:
            decode = None
            for task in chain(first, planned):
                decode = decode or stack.enter_context(open_decoder(parallelism.workers))
                yield from decode(task)
        return
    pool = _Pool(open_decoder, parallelism)
    try:
        yield from pool.frames(chain(first, planned))
    finally:
        pool.close()


class _Pool:
    def __init__(self, open_decoder: OpenDecoder, parallelism: Parallelism) -> None:
        self._open_decoder = open_decoder
        self._parallelism = parallelism
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._held_bytes = 0
        self._is_closed = False
        self._is_planned = False

    def frames(self, tasks: Iterator[DecodeTask]) -> Iterator[Frame]:
        planning: BaseException | None = None
        while True:
            while planning is None and self._has_room():
                try:
                    self._submit(next(tasks))
                except StopIteration:
                    planning = StopIteration()
                    self._is_planned = True
                except Exception as error:  # noqa: BLE001 - raised below, in its turn
                    planning = error
            if not self._jobs:
                break
            yield from self._head_frames()
        if planning is not None and not isinstance(planning, StopIteration):
            raise planning

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _has_room(self) -> bool:
        packet_bytes = sum(job.task.size_bytes for job in self._jobs)
        count = len(self._jobs)
        return not count or (
            count < self._parallelism.workers + _TASKS_AHEAD and packet_bytes < _MAX_PACKET_BYTES
        )

    def _submit(self, task: DecodeTask) -> None:
        if len(self._threads) < self._parallelism.workers:
            name = f"decode-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()  # may fail, and then nobody may wait for it or for the job
            self._threads.append(thread)
        job = _Job(task)
        with self._changed:
            self._jobs.append(job)
        self._queue.put(job)

    def _head_frames(self) -> Iterator[Frame]:
        """The first job's frames until it has none ready; the job goes when it is done."""
        job = self._jobs[0]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: job.frames or job.is_done)
                if not job.frames:
                    self._jobs.popleft()
                    self._changed.notify_all()
                    break
                frame = job.frames.popleft()
                self._held_bytes -= frame.pixels.nbytes
                self._changed.notify_all()
            yield frame
            if self._has_room():
                return
        if job.error is not None:
            raise job.error

    def _work(self) -> None:
        with ExitStack() as stack:
            decode, threads = None, 0
            while (job := self._queue.get()) is not None:
                try:
                    if not self._is_closed:
                        if (share := self._share(job)) != threads:
                            stack.close()
                            decode, threads = None, share
                        decode = decode or stack.enter_context(self._open_decoder(threads))
                        self._decode(job, decode)
                except BaseException as error:  # noqa: BLE001 - raised where the frames are taken
                    job.error = error
                with self._changed:
                    job.is_done = True
                    self._changed.notify_all()

    def _share(self, job: _Job) -> int:
        """A job's part of the cores, for as many threads: more than one near the end only."""
        if not self._is_planned or len(job.task.packets) < _MIN_SHARED_PACKETS:
            return 1
        with self._changed:
            left = sum(other.bytes_left for other in self._jobs if not other.is_done)
        return -(-self._parallelism.workers * job.bytes_left // left) if left else 1

    def _decode(self, job: _Job, decode: Decode) -> None:
        for frame in decode(job.task):
            if not self._add(job, frame):
                return

    def _add(self, job: _Job, frame: Frame) -> bool:
        """Hand a frame over as soon as there is room; False when nobody wants any more."""
        size_bytes = frame.pixels.nbytes
        with self._changed:
            self._changed.wait_for(lambda: self._may_add(job, size_bytes))
            if self._is_closed:
                return False
            job.frames.append(frame)
            job.frames_decoded += 1
            self._held_bytes += size_bytes
            self._changed.notify_all()
        return True

    def _may_add(self, job: _Job, size_bytes: int) -> bool:
        fits = self._held_bytes + size_bytes <= self._parallelism.max_frame_bytes
        is_awaited = bool(self._jobs) and self._jobs[0] is job and not job.frames
        return self._is_closed or fits or is_awaited
