"""What one pass over a video found out about it, and what a reader should know of that."""

from dataclasses import dataclass, field

from contracts.outcomes import WarningCode
from contracts.results import ResultWarning
from vision.selection import Selector, missing_warning
from vision.video import Video, video_duration_s

_CUT_TOLERANCE_S = 0.5
"""Files promise their end to within rounding and the length of a last frame or two."""


@dataclass(slots=True)
class DecodeReport:
    """
    What one pass over a video found; filled while its frames are taken.

    Attributes:
        guessed_times: Frames whose timestamp was missing or went backwards.
        changes: Index, and a description of the pictures, where their form changed.
        reached_end: Whether the stream was read to its end, and not only to the last wanted frame.
        end_s: When the last decoded frame ends, in the file's own time.
    """

    frames_decoded: int = 0
    guessed_times: int = 0
    changes: list[tuple[int, str]] = field(default_factory=list)
    reached_end: bool = False
    end_s: float = 0.0


def decode_warnings(
    video: Video, selector: Selector, report: DecodeReport
) -> tuple[ResultWarning, ...]:
    """What a reader should know, after the last frame was taken."""
    warnings = []
    if count := video.pictures.damaged_count:
        text = f"{count} damaged packets; the frames near them may be wrong or missing."
        warnings.append(ResultWarning(WarningCode.DAMAGED_PACKETS, text))
    if (cut := _cut_short(video, report)) is not None:
        warnings.append(ResultWarning(WarningCode.STREAM_CUT_SHORT, cut))
    if video.pictures.order_is_time and video.stream.codec_context.has_b_frames:
        text = "The file keeps no presentation timestamps; times follow the order of the frames."
        warnings.append(ResultWarning(WarningCode.MISSING_TIMESTAMPS, text))
    elif report.guessed_times:
        text = (
            f"{report.guessed_times} of {report.frames_decoded} frames had no timestamp, or one "
            "that went backwards; their times follow from the frame rate."
        )
        warnings.append(ResultWarning(WarningCode.MISSING_TIMESTAMPS, text))
    for index, form in report.changes:
        text = f"The pictures change to {form} at frame {index}."
        warnings.append(ResultWarning(WarningCode.FORMAT_CHANGED, text, index))
    if missing := selector.missing():
        warnings.append(missing_warning(missing, report.frames_decoded))
    return tuple(warnings)


def _cut_short(video: Video, report: DecodeReport) -> str | None:
    """How the file breaks its own promise of what it holds, or None."""
    if not report.reached_end:
        return None
    if video.pictures.read_error is not None:
        return f"Reading ended early: {video.pictures.read_error}."
    packets = video.pictures.packet_count
    kind = video.facts.container
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
