"""
The wanted frames of a video: by a plan where that is certain to be right, else sequentially.

Both give the same frames, facts and warnings, but for the one that says that there was no plan.
Where decoding itself shows that a plan was wrong, the video is decoded again from its beginning;
the frames that were given out already are checked and left out.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from contracts.outcomes import WarningCode
from contracts.results import FrameRecord, ResultWarning, VideoFacts
from contracts.selection import Selection
from vision.annexb import is_raw_h264, open_raw_video
from vision.bitstreams.base import PictureParser, UncertainStreamError
from vision.canvas import Frame
from vision.clock import PresentationClock
from vision.containers import open_container_video
from vision.decode import decode_frames
from vision.decoders import PlannedDecoding
from vision.faults import RejectedVideoError
from vision.index import IndexedPacket, Timing, read_gops
from vision.limits import Limits
from vision.models.base import ModelInput
from vision.pictures import Picture
from vision.plan import Planner
from vision.report import DecodeReport, decode_warnings
from vision.selection import Selector, make_selector
from vision.shards import Part, Partition, Shard
from vision.video import file_duration_s, open_video
from vision.workers import Decode, Parallelism, decode_tasks


class PlanDeviationError(Exception):
    """What was given out by a plan is not what sequential decoding gives: read without plans."""


class PlannableVideo(Protocol):
    """A video that was opened and of which nothing was decoded."""

    @property
    def parser(self) -> PictureParser:
        """Reads its packets' headers."""

    @property
    def timing(self) -> Timing:
        """Where its times come from."""

    @property
    def frame_rate(self) -> Fraction | None:
        """As in its facts."""

    @property
    def duration_s(self) -> float | None:
        """As in its facts."""

    @property
    def promised_frames(self) -> int:
        """As its file says; 0 where it does not."""

    @property
    def file_size_bytes(self) -> int:
        """Of the whole file."""

    def packets(self) -> Iterator[IndexedPacket]:
        """Every packet with what it says, in decoding order."""

    def decoder(self, shared: PlannedDecoding, threads: int) -> AbstractContextManager[Decode]:
        """A decoder for its tasks."""

    def facts(self, first: Picture) -> VideoFacts:
        """What it is, by its header and one of its pictures."""

    def warnings(self, selector: Selector, report: DecodeReport) -> tuple[ResultWarning, ...]:
        """What a reader should know, after the last frame was taken."""


@dataclass(slots=True, eq=False)
class VideoReader:
    """
    Reads one video once.

    Args:
        plans: Whether a plan may be made; without, all is decoded sequentially.
        shard: The part of the video whose frames are given out.
        check: Called before every packet; what it raises ends the reading.

    Attributes:
        facts: What the video is; None before the first frame, whole after the last.
        warnings: What a reader of the results should know, after the last frame.
        report: What was found, after the last frame.
        fallback: Why there was no plan, or why it was given up; None where there was one.
        duration_s: As the file says, from the first frame on.
    """

    path: Path
    selection: Selection
    model_input: ModelInput
    limits: Limits
    parallelism: Parallelism
    plans: bool = True
    shard: Shard | None = None
    check: Callable[[], None] = lambda: None
    facts: VideoFacts | None = None
    warnings: tuple[ResultWarning, ...] = ()
    report: DecodeReport = field(default_factory=DecodeReport)
    fallback: str | None = None
    duration_s: float | None = None
    _part: Part | None = None
    _given_count: int = 0
    _given_digest: int = 0

    def frames(self) -> Generator[Frame, None, None]:
        """
        The wanted frames in presentation order; to be used once.

        Raises:
            RejectedVideoError: The video is at fault.
            PlanDeviationError: What was given out is worthless.
        """
        make_selector(self.selection)
        if self.plans:
            try:
                yield from self._planned()
            except UncertainStreamError as uncertain:
                self.fallback = str(uncertain)
            except RejectedVideoError as rejection:
                self.fallback = rejection.message  # for sequential decoding to confirm
            else:
                return
        yield from self._sequential()

    def _planned(self) -> Iterator[Frame]:
        if self.shard is not None and not self._find_part(self.shard):
            self._look()
            return
        with self._open() as video:
            self._check_promise(video.promised_frames, video.duration_s)
            selector = make_selector(self.selection)
            shared = PlannedDecoding(
                self.model_input, self.limits, video.timing.time_base, self.check
            )
            planner = self._planner(video, selector, DecodeReport())
            planner.part = self._part
            frames = decode_tasks(
                planner.tasks(read_gops(self._checked(video.packets()))),
                lambda threads: video.decoder(shared, threads),
                self.parallelism,
            )
            self.duration_s = video.duration_s
            with closing(frames):
                for frame in frames:
                    if self.facts is None and shared.first is not None:
                        self.facts = video.facts(shared.first)
                    self._given_count += 1
                    self._given_digest = hash((self._given_digest, frame.record))
                    yield frame
            if self.shard is None:
                self.report = planner.report
                self.warnings = video.warnings(selector, self.report)
            self.report.frames_decoded = shared.frames_decoded
        if self.facts is None:
            self._look()
        self._conclude()

    def _sequential(self) -> Iterator[Frame]:
        given_count, given_digest = self._given_count, self._given_digest
        count = digest = 0
        selector, self.report = make_selector(self.selection), DecodeReport()
        with open_video(self.path, self.limits, self.check) as video:
            self.facts = video.facts
            self.duration_s = file_duration_s(video.container, video.stream)
            self._check_promise(video.stream.frames, self.duration_s)
            frames = decode_frames(video, selector, self.model_input, self.report, self.check)
            for frame in frames:
                if not self._is_mine(frame.record):
                    continue
                count += 1
                if count > given_count:
                    yield frame
                    continue
                digest = hash((digest, frame.record))
                if count == given_count and digest != given_digest:
                    raise PlanDeviationError(f"frames up to {frame.record.frame_index} differ")
            self.warnings = video.warnings + decode_warnings(video, selector, self.report)
        if count < given_count or (
            self._part is not None and self._part.frame_count != self.report.frame_count
        ):
            raise PlanDeviationError(f"the video has {self.report.frame_count} frames")
        if self.fallback is not None:
            text = f"The whole video was decoded, because {self.fallback}."
            warning = ResultWarning(WarningCode.SEQUENTIAL_DECODING, text)
            self.warnings = (*self.warnings, warning)
        self._conclude()

    def _is_mine(self, record: FrameRecord) -> bool:
        if self._part is not None:
            return self._part.first <= record.frame_index <= self._part.last
        # Where no shard can plan, the first does it all.
        return self.shard is None or self.shard.index == 0

    def _find_part(self, shard: Shard) -> bool:
        """Read the whole index for this shard's part; False where it has no frames."""
        with self._open() as video:
            selector = make_selector(self.selection)
            partition = Partition(shard, self.model_input.max_batch, video.file_size_bytes)
            planner = self._planner(video, selector, self.report)
            planner.observe = partition.add
            for _ in planner.tasks(read_gops(self._checked(video.packets()))):
                pass
            self.warnings = video.warnings(selector, self.report)
        if partition.frames is None:
            return False
        self._part = Part(*partition.frames, self.report.frame_count)
        return True

    def _check_promise(self, frame_count: int, duration_s: float | None) -> None:
        self.limits.check_promised_frames(self.selection, frame_count, duration_s)

    def _checked(self, packets: Iterator[IndexedPacket]) -> Iterator[IndexedPacket]:
        for packet in packets:
            self.check()
            yield packet

    def _planner(self, video: PlannableVideo, selector: Selector, report: DecodeReport) -> Planner:
        clock = PresentationClock(video.timing.time_base, video.frame_rate)
        return Planner(video.parser, video.timing, clock, selector, self.limits, report)

    def _open(self) -> AbstractContextManager[PlannableVideo]:
        if is_raw_h264(self.path):
            return open_raw_video(self.path, self.limits)
        return open_container_video(self.path, self.limits)

    def _look(self) -> None:
        """Facts of a video of which no frame is decoded here."""
        with open_video(self.path, self.limits, self.check) as video:
            self.facts = video.facts
            self.duration_s = file_duration_s(video.container, video.stream)
        self._conclude()

    def _conclude(self) -> None:
        if self.report.reached_end and self.facts is not None:
            self.facts = replace(self.facts, frame_count=self.report.frame_count)
