"""One video, one model, one attempt: decode, predict, write, and say how it went."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from contracts.messages import InferenceRequest
from contracts.outcomes import Outcome, RejectionCode
from contracts.results import AttemptDocument, Counts, ResultFile, ResultWarning, VideoFacts
from vision.decode import batches, decode_frames
from vision.faults import RejectedVideoError
from vision.models.base import ModelInput, VisionModel
from vision.report import DecodeReport, decode_warnings
from vision.results import AttemptWriter, write_attempt
from vision.selection import Selector, make_selector
from vision.video import Limits, Video, open_video

T = TypeVar("T")


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
) -> AttemptDocument:
    """
    Process one video and leave an attempt's files in `folder`, `attempt.json` last.

    A video at fault is an outcome: its document says so and is written too. Every other fault is
    raised, and then no file is left.

    Args:
        image_size: `(width, height)` of the canvas for a model that takes pictures as they are.
        scratch: Where files grow before they appear in `folder`.

    Raises:
        ValueError: The model wants another canvas than `image_size`.
    """
    run = _Run(request, sized_input(model.input, image_size))
    with run.stage("total"), AttemptWriter(folder, scratch) as writer:
        try:
            run.process(path, model, writer, limits, progress)
        except RejectedVideoError as error:
            run.rejection = error
            run.files = ()
            writer.discard()
    document = run.document()
    write_attempt(document, folder, scratch)
    return document


def write_rejection(
    *, request: InferenceRequest, rejection: RejectedVideoError, folder: Path
) -> AttemptDocument:
    """Leave the `attempt.json` of a video that was rejected before it could be opened."""
    document = _Run(request, ModelInput(None), rejection=rejection).document()
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


@dataclass(slots=True)
class _Run:
    """What is known of an attempt while it runs."""

    request: InferenceRequest
    model_input: ModelInput
    report: DecodeReport = field(default_factory=DecodeReport)
    facts: VideoFacts | None = None
    warnings: tuple[ResultWarning, ...] = ()
    files: tuple[ResultFile, ...] = ()
    frames_processed: int = 0
    detections: int = 0
    rejection: RejectedVideoError | None = None
    timings_s: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(
            ("open", "decode", "inference", "write", "total"), 0.0
        )
    )

    def process(
        self,
        path: Path,
        model: VisionModel,
        writer: AttemptWriter,
        limits: Limits | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        selector = make_selector(self.request.selection)
        with ExitStack() as resources:
            with self.stage("open"):
                video = resources.enter_context(open_video(path, limits))
            self.facts = video.facts
            self._frames(video, selector, model, writer, progress)
            self._conclude(video, selector)
        with self.stage("write"):
            self.files = writer.finish()

    def _frames(
        self,
        video: Video,
        selector: Selector,
        model: VisionModel,
        writer: AttemptWriter,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        frames = decode_frames(video, selector, self.model_input, self.report)
        for batch in self.timed("decode", batches(frames, self.model_input.max_batch)):
            with self.stage("inference"):
                predictions = model.predict(batch)
            with self.stage("write"):
                for record, prediction in zip(batch.frames, predictions, strict=True):
                    writer.write(record, prediction)
                    self.detections += len(prediction.detections)
            self.frames_processed += len(batch.frames)
            if progress is not None:
                last = batch.frames[-1]
                progress(Progress(self.frames_processed, last.time_s, video.facts.duration_s))

    def _conclude(self, video: Video, selector: Selector) -> None:
        self.warnings = video.warnings + decode_warnings(video, selector, self.report)
        if self.report.reached_end:
            self.facts = replace(video.facts, frame_count=self.report.frame_count)
        if self.frames_processed == 0:
            raise RejectedVideoError(
                RejectionCode.NOTHING_SELECTED,
                f"The selection {str(self.request.selection)[:80]} chooses none of the video's "
                f"{self.report.frame_count} frames.",
            )

    def document(self) -> AttemptDocument:
        rejection = self.rejection
        return AttemptDocument(
            job_id=self.request.job_id,
            attempt=self.request.attempt,
            outcome=Outcome.REJECTED if rejection else Outcome.SUCCEEDED,
            source=self.request.source,
            model=self.request.model,
            selection=self.request.selection,
            counts=Counts(self.report.frames_decoded, self.frames_processed, self.detections),
            timings_s={name: round(seconds, 6) for name, seconds in self.timings_s.items()},
            peak_memory_bytes=peak_memory_bytes(),
            code=rejection.code if rejection else None,
            message=rejection.message if rejection else None,
            video=self.facts,
            warnings=self.warnings,
            files=self.files,
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings_s[name] += time.perf_counter() - start

    def timed(self, name: str, items: Iterator[T]) -> Iterator[T]:
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
