"""What one pass over a video found out about it, and what a reader should know of that."""

from dataclasses import dataclass, field
from typing import Protocol

from av.container import InputContainer
from av.video.stream import VideoStream

from contracts.outcomes import WarningCode
from contracts.results import ResultWarning
from vision.pictures import PacketStream
from vision.selection import Selector, missing_warning
from vision.video import video_duration_s

_CUT_TOLERANCE_S = 0.5
"""Files promise their end to within rounding and the length of a last frame or two."""
_MAX_LISTED = 20
"""Lost frames that a warning names."""


@dataclass(slots=True)
class DecodeReport:
    """
    What one pass over a video found; filled while its frames are taken.

    Attributes:
        frame_count: Frames of the video up to where it was read, decoded or not.
        frames_decoded: Pictures that left a decoder.
        frames_lost: Frames that were to be decoded and could not be.
        lost: Index and time of the first of them, in seconds since the first frame.
        is_numbered: Whether all that were lost are known; else later indices may be too low.
        guessed_times: Frames whose timestamp was missing or went backwards.
        changes: Index, and a description of the pictures, where their form changed.
        reached_end: Whether the stream was read to its end, and not only to the last wanted frame.
        end_s: When the last decoded frame ends, in the file's own time.
    """

    frame_count: int = 0
    frames_decoded: int = 0
    frames_lost: int = 0
    lost: list[tuple[int, float]] = field(default_factory=list)
    is_numbered: bool = True
    guessed_times: int = 0
    changes: list[tuple[int, str]] = field(default_factory=list)
    reached_end: bool = False
    end_s: float = 0.0

    def lose(self, time_s: float) -> None:
        """Count the next frame as one that was lost."""
        if self.frames_lost < _MAX_LISTED:
            self.lost.append((self.frame_count, time_s))
        self.frames_lost += 1
        self.frame_count += 1


class ReadVideo(Protocol):
    """A video after its last frame was taken."""

    @property
    def container(self) -> InputContainer:
        """Its container, open."""

    @property
    def stream(self) -> VideoStream:
        """Its video stream."""

    @property
    def pictures(self) -> PacketStream:
        """How reading went."""

    @property
    def file_size_bytes(self) -> int:
        """Of the whole file."""


def decode_warnings(
    video: ReadVideo, selector: Selector, report: DecodeReport, *, reorders: bool | None = None
) -> tuple[ResultWarning, ...]:
    """
    What a reader should know, after the last frame was taken.

    Args:
        reorders: Whether pictures are not stored in the order they are shown in; the stream's own
            decoder says so unless given.
    """
    warnings = []
    if count := video.pictures.damaged_count:
        packets = "1 damaged packet" if count == 1 else f"{count} damaged packets"
        text = f"{packets}; the frames near may be wrong or missing."
        if not report.is_numbered:
            text += " Which are missing cannot be told: later frames may be numbered too low."
        warnings.append(ResultWarning(WarningCode.DAMAGED_PACKETS, text))
    if (cut := _cut_short(video, report)) is not None:
        warnings.append(ResultWarning(WarningCode.STREAM_CUT_SHORT, cut))
    if reorders is None:
        reorders = video.stream.codec_context.has_b_frames
    order_is_time = video.pictures.order_is_time and reorders
    return (*warnings, *frame_warnings(selector, report, order_is_time=order_is_time))


def frame_warnings(
    selector: Selector, report: DecodeReport, *, order_is_time: bool = False
) -> tuple[ResultWarning, ...]:
    """What a reader should know of the frames themselves."""
    warnings = []
    if order_is_time:
        text = "The file keeps no presentation timestamps; times follow the order of the frames."
        warnings.append(ResultWarning(WarningCode.MISSING_TIMESTAMPS, text))
    elif report.guessed_times:
        text = (
            f"{report.guessed_times} of {report.frame_count} frames had no timestamp, or one "
            "that went backwards; their times follow from the frame rate."
        )
        warnings.append(ResultWarning(WarningCode.MISSING_TIMESTAMPS, text))
    if report.frames_lost:
        warnings.append(_lost_warning(report))
    for index, form in report.changes:
        text = f"The pictures change to {form} at frame {index}."
        warnings.append(ResultWarning(WarningCode.FORMAT_CHANGED, text, index))
    if missing := selector.missing():
        warnings.append(missing_warning(missing, report.frame_count))
    return tuple(warnings)


def _lost_warning(report: DecodeReport) -> ResultWarning:
    listed = ", ".join(f"{index} ({time_s:.3f} s)" for index, time_s in report.lost)
    more = report.frames_lost - len(report.lost)
    return ResultWarning(
        WarningCode.FRAMES_LOST,
        f"{report.frames_lost} of {report.frame_count} frames could not be decoded: {listed}"
        f"{f' and {more} more' if more else ''}. The others have the indices and times that the "
        "file gives them.",
        report.lost[0][0] if report.frames_lost == 1 else None,
    )


def _cut_short(video: ReadVideo, report: DecodeReport) -> str | None:
    """How the file breaks its own promise of what it holds, or None."""
    if not report.reached_end:
        return None
    if video.pictures.read_error is not None:
        return f"Reading ended early: {video.pictures.read_error}."
    packets = video.pictures.packet_count
    kind = video.container.format.name
    index = video.stream.index_entries
    if "mp4" in kind and len(index):
        last = index[len(index) - 1]
        if last.pos + last.size > video.file_size_bytes:
            return f"The file ends before the frames its index names; {packets} packets are left."
    if kind == "avi" and packets < video.stream.frames:
        return f"The file promises {video.stream.frames} frames and holds {packets}."
    promised_s = video_duration_s(video.container, video.stream)
    keeps_duration = "matroska" in kind or kind == "flv"
    if keeps_duration and promised_s and report.end_s + _CUT_TOLERANCE_S < promised_s:
        return f"The file promises {promised_s:.2f} s and ends after {report.end_s:.2f} s."
    return None
