"""What result files hold: frames, detections, the attempt's document and the committed result."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from contracts.messages import RESULT_SCHEMA, InferenceRequest, Model, Source, check_job
from contracts.outcomes import Outcome
from contracts.selection import Selection

Box = tuple[float, float, float, float]
"""`(x_min, y_min, x_max, y_max)` in source pixels, as displayed (rotation applied)."""


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """
    The identity of a frame, carried to every output.

    Attributes:
        frame_index: 0-based, in presentation order.
        pts: Presentation timestamp in units of `time_base`, as the stream has it.
        time_s: Seconds since the first presented frame of the stream.
        width: Of the picture as displayed, in pixels, like `height`.
    """

    frame_index: int
    pts: int
    time_base: Fraction
    time_s: float
    is_key_frame: bool
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.frame_index < 0:
            raise ValueError(f"frame_index must not be negative, got {self.frame_index}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a frame has pixels, got {self.width}×{self.height}")


@dataclass(frozen=True, slots=True)
class Mask:
    """
    A COCO run-length mask of the full frame, column-major, compressed counts.

    Attributes:
        size: `(height, width)`, the order COCO has.
    """

    size: tuple[int, int]
    counts: str


@dataclass(frozen=True, slots=True)
class Detection:
    """One object in one frame."""

    class_id: int
    class_name: str
    score: float
    box: Box
    mask: Mask | None = None

    def __post_init__(self) -> None:
        x_min, y_min, x_max, y_max = self.box
        if not (x_min <= x_max and y_min <= y_max):
            raise ValueError(f"a box is (x_min, y_min, x_max, y_max), got {self.box}")


@dataclass(frozen=True, slots=True)
class FrameResult:
    """
    One line of `detections.jsonl.gz`.

    Attributes:
        segmentation: The class map's file below the attempt's folder, for that task only.
    """

    frame: FrameRecord
    detections: tuple[Detection, ...]
    segmentation: str | None = None


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """
    What a video is.

    Attributes:
        container: The demuxer's name, such as `mov,mp4,m4a,3gp,3g2,mj2`.
        width: Of the picture as displayed, in pixels, like `height`.
        rotation_degrees: Clockwise turn that displaying it takes: 0, 90, 180 or 270.
        duration_s: As the file says; None where it does not.
        frame_count: Frames found by demuxing; None where the file was not read to its end.
        average_frame_rate: Frames a second, as the file says; None where it does not.
    """

    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    time_base: Fraction
    duration_s: float | None = None
    frame_count: int | None = None
    average_frame_rate: Fraction | None = None
    has_audio: bool = False


@dataclass(frozen=True, slots=True)
class ResultWarning:
    """Something a reader should know; `frame_index` where it concerns one frame."""

    code: str
    message: str
    frame_index: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much an attempt did."""

    frames_decoded: int
    frames_processed: int
    detections: int


@dataclass(frozen=True, slots=True)
class Engine:
    """
    What ran the model: the same bundle may differ in the last digits from engine to engine.

    Attributes:
        name: `onnxruntime`, or `opencv` for built-in models.
        provider: What computed: `cpu`, `cuda` or `openvino`.
        threads: As asked for; None where the engine took as many as there are cores.
    """

    name: str
    version: str
    provider: str
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of an attempt: its name below the attempt's folder, and how to know it whole."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AttemptDocument:
    """
    `attempt.json`, the last file an attempt writes: its outcome and what it left.

    Attributes:
        code: A machine code of `contracts.outcomes`; None on success. So is `message`.
        video: None where the video could not be opened.
        timings_s: Seconds by stage; `total` is the wall time of the attempt.
        peak_memory_bytes: Highest resident set of the process so far.
        shard: `i/n` where only that part of the video was processed; None for all of it.
        engine: None where no model ran.
    """

    SCHEMA: ClassVar[str] = "framewright/attempt/1"

    job_id: str
    attempt: int
    outcome: Outcome
    source: Source
    model: Model
    selection: Selection
    counts: Counts
    timings_s: dict[str, float]
    peak_memory_bytes: int
    code: str | None = None
    message: str | None = None
    video: VideoFacts | None = None
    engine: Engine | None = None
    warnings: tuple[ResultWarning, ...] = ()
    files: tuple[ResultFile, ...] = ()
    results_schema: str = RESULT_SCHEMA
    shard: str | None = None

    def __post_init__(self) -> None:
        check_job(self.job_id, self.attempt)
        if (self.outcome is Outcome.SUCCEEDED) == (self.code is not None):
            raise ValueError(
                f"outcome {self.outcome}: a code goes with failures, and only with them"
            )

    def answers(self, request: InferenceRequest) -> bool:
        """Whether this is the document of that very request."""
        return (self.job_id, self.attempt, self.model, self.selection) == (
            request.job_id,
            request.attempt,
            request.model,
            request.selection,
        )


@dataclass(frozen=True, slots=True)
class ResultDocument:
    """
    `result.json`, the commit: a reader that finds it finds every file it names, whole.

    Attributes:
        bucket: Where the files are, with `prefix`, the attempt's folder; file names follow it.
        committed_at: UTC, ISO 8601.
    """

    SCHEMA: ClassVar[str] = "framewright/result/1"

    job_id: str
    attempt: int
    source: Source
    model: Model
    selection: Selection
    video: VideoFacts
    counts: Counts
    timings_s: dict[str, float]
    peak_memory_bytes: int
    bucket: str
    prefix: str
    files: tuple[ResultFile, ...]
    committed_at: str
    engine: Engine | None = None
    warnings: tuple[ResultWarning, ...] = ()
    results_schema: str = RESULT_SCHEMA
