"""One video, one model, one attempt: decode, predict, write, and say how it went."""

import resource
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from contracts.messages import InferenceRequest
from contracts.outcomes import Outcome, RejectionCode, RetryCode
from contracts.results import AttemptDocument, Counts, Engine, ResultFile
from vision.cores import available_cores
from vision.decode import batches
from vision.faults import AttemptStoppedError, DecodeMemoryError, RejectedVideoError
from vision.frames import FrameBatch
from vision.limits import Limits
from vision.models.base import ModelInput, Prediction, VisionModel
from vision.overlap import Line
from vision.reader import PlanDeviationError, VideoReader
from vision.results import AttemptWriter, write_attempt
from vision.shards import Shard
from vision.workers import Parallelism

Predicted = tuple[FrameBatch, list[Prediction]]

MAX_DECODED_BYTES = 32 << 20
MAX_PREDICTED_BYTES = 16 << 20
"""Of batches that wait for the model, and of those that wait to be written."""


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far an attempt has come.

    Attributes:
        time_s: Of the last processed frame, since the first.
        duration_s: Of the video, as its file says; None where it does not.
    """

    frames_processed: int
    time_s: float
    duration_s: float | None


def process_video(
    *,
    path: Path,
    request: InferenceRequest,
    model: VisionModel,
    folder: Path,
    image_size: tuple[int, int] | None = None,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] | None = None,
    scratch: Path | None = None,
    shard: Shard | None = None,
    cancel: Callable[[], bool] | None = None,
    alive: Callable[[], None] = lambda: None,
    parallelism: Parallelism | None = None,
) -> AttemptDocument:
    """
    Process one video and leave an attempt's files in `folder`, `attempt.json` last.

    A video at fault is an outcome: its document says so and is written too. Every other fault is
    raised, and then no file is left.

    Args:
        image_size: `(width, height)` of the canvas for a model that takes pictures as they are.
        scratch: Where files grow before they appear in `folder`.
        shard: Process a contiguous range of GOPs only; `vision.merge` joins the results.
        cancel: Asked often; the attempt ends when it answers true.
        alive: Called with every packet, in any thread: a decoder that hangs calls it no more.
        parallelism: Of decoding; on all the cores there are unless given.

    Raises:
        AttemptStoppedError: It was cancelled, or the request's deadline passed.
        DecodeMemoryError: Reading the video took more memory than there was.
        ValueError: The model wants another canvas than `image_size`.
    """
    start = time.perf_counter()
    model_input = sized_input(model.input, image_size)
    parallelism = parallelism or Parallelism(available_cores())
    for plans in (True, False):
        reader = VideoReader(
            path, request.selection, model_input, limits or Limits(), parallelism, plans, shard
        )
        run = _Run(request, reader, _checker(request, cancel), progress, alive)
        with AttemptWriter(folder, scratch) as writer:
            try:
                run.process(model, writer)
            except RejectedVideoError as error:
                run.rejection = error
                run.files = ()
                writer.discard()
            except PlanDeviationError:
                if not plans or shard is not None:
                    raise
                writer.discard()
                continue
        break
    run.timings_s["total"] = time.perf_counter() - start
    document = run.document()
    write_attempt(document, folder, scratch)
    return document


def write_rejection(
    *, request: InferenceRequest, rejection: RejectedVideoError, folder: Path
) -> AttemptDocument:
    """Leave the `attempt.json` of a video that was rejected before it could be opened."""
    document = AttemptDocument(
        job_id=request.job_id,
        attempt=request.attempt,
        outcome=Outcome.REJECTED,
        source=request.source,
        model=request.model,
        selection=request.selection,
        counts=Counts(0, 0, 0),
        timings_s={},
        peak_memory_bytes=peak_memory_bytes(),
        code=rejection.code,
        message=rejection.message,
    )
    write_attempt(document, folder)
    return document


def sized_input(model_input: ModelInput, image_size: tuple[int, int] | None) -> ModelInput:
    """
    The model's input with the canvas asked for.

    Raises:
        ValueError: The model has a canvas of its own, and it is another.
    """
    if image_size is None or image_size == model_input.size:
        return model_input
    if model_input.size is not None:
        width, height = model_input.size
        raise ValueError(
            f"the model takes pictures of {width}×{height}; "
            f"got an image size of {image_size[0]}×{image_size[1]}"
        )
    return replace(model_input, size=image_size)


def peak_memory_bytes() -> int:
    """The highest resident set of this process so far."""
    try:
        # getrusage keeps the parent's peak across fork and exec; VmHWM is this program's own.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def nothing_selected(request: InferenceRequest, frame_count: int) -> RejectedVideoError:
    """Says that none of a video's frames is wanted."""
    return RejectedVideoError(
        RejectionCode.NOTHING_SELECTED,
        f"The selection {str(request.selection)[:80]} chooses none of the video's "
        f"{frame_count} frames.",
    )


def _predicted_bytes(predicted: Predicted) -> int:
    batch, predictions = predicted
    maps = [found.class_map.nbytes for found in predictions if found.class_map is not None]
    return batch.pixels.nbytes + sum(maps)


def _checker(request: InferenceRequest, cancel: Callable[[], bool] | None) -> Callable[[], None]:
    def check() -> None:
        if cancel is not None and cancel():
            raise AttemptStoppedError(RetryCode.JOB_STOPPED, "the attempt was cancelled")
        deadline = request.deadline_epoch_s
        if deadline is not None and time.time() >= deadline:
            raise AttemptStoppedError(RetryCode.TIME_LIMIT, f"the deadline {deadline} has passed")

    return check


@dataclass(slots=True)
class _Run:
    """What is known of an attempt while it runs."""

    request: InferenceRequest
    reader: VideoReader
    check: Callable[[], None]
    progress: Callable[[Progress], None] | None
    alive: Callable[[], None] = lambda: None
    files: tuple[ResultFile, ...] = ()
    frames_processed: int = 0
    detections: int = 0
    rejection: RejectedVideoError | None = None
    engine: Engine | None = None
    decoding_since: float | None = None
    timings_s: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("decode", "inference", "write", "total"), 0.0)
    )

    def process(self, model: VisionModel, writer: AttemptWriter) -> None:
        """
        Decode, predict and write at the same time, each in its own thread, in order.

        The model has a thread of its own, so that this one can watch over the others.
        """
        reader = self.reader
        self.engine = model.engine
        self.check()
        with Line(self.check) as line:
            reader.check = self._decode_checker(line)
            decoded = line.ahead(
                self._decoded(batches(reader.frames(), reader.model_input.max_batch)),
                size_bytes=lambda batch: batch.pixels.nbytes,
                max_bytes=MAX_DECODED_BYTES,
                name="decode",
            )
            predicted = line.ahead(
                self._predicted(decoded, model),
                size_bytes=_predicted_bytes,
                max_bytes=MAX_PREDICTED_BYTES,
                name="inference",
            )
            for batch, predictions in predicted:
                with self.stage("write"):
                    for record, prediction in zip(batch.frames, predictions, strict=True):
                        writer.write(record, prediction)
                        self.detections += len(prediction.detections)
                self.frames_processed += len(batch.frames)
                reader.limits.check_frames(self.frames_processed)
                if self.progress is not None:
                    time_s = batch.frames[-1].time_s
                    self.progress(Progress(self.frames_processed, time_s, reader.duration_s))
        if self.frames_processed == 0 and reader.shard is None:
            raise nothing_selected(self.request, reader.report.frame_count)
        with self.stage("write"):
            self.files = writer.finish()

    def _decode_checker(self, line: Line) -> Callable[[], None]:
        def check() -> None:
            line.raise_if_stopped()
            self.alive()
            waited_s = self.timings_s["decode"]
            if (since := self.decoding_since) is not None:
                waited_s += time.perf_counter() - since
            self.reader.limits.check_decode_time(waited_s)

        return check

    def _predicted(
        self, decoded: Iterator[FrameBatch], model: VisionModel
    ) -> Generator[Predicted, None, None]:
        for batch in decoded:
            with self.stage("inference"):
                predictions = model.predict(batch)
            yield batch, predictions

    def document(self) -> AttemptDocument:
        rejection, reader = self.rejection, self.reader
        return AttemptDocument(
            job_id=self.request.job_id,
            attempt=self.request.attempt,
            outcome=Outcome.REJECTED if rejection else Outcome.SUCCEEDED,
            source=self.request.source,
            model=self.request.model,
            selection=self.request.selection,
            counts=Counts(reader.report.frames_decoded, self.frames_processed, self.detections),
            timings_s={name: round(seconds, 6) for name, seconds in self.timings_s.items()},
            peak_memory_bytes=peak_memory_bytes(),
            code=rejection.code if rejection else None,
            message=rejection.message if rejection else None,
            video=reader.facts,
            warnings=reader.warnings,
            files=self.files,
            shard=str(reader.shard) if reader.shard else None,
            engine=self.engine,
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings_s[name] += time.perf_counter() - start

    def _decoded(self, found: Iterator[FrameBatch]) -> Generator[FrameBatch, None, None]:
        while True:
            self.decoding_since = time.perf_counter()
            with self.stage("decode"):
                try:
                    batch = next(found)
                except StopIteration:
                    return
                except MemoryError as error:
                    raise DecodeMemoryError(str(error)) from error
                finally:
                    self.decoding_since = None
            yield batch
