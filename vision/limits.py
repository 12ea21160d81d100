"""Limits, and what is said of a video that goes beyond one."""

from dataclasses import dataclass, fields
from fractions import Fraction

from contracts.limits import VideoLimits
from contracts.outcomes import RejectionCode
from contracts.selection import Selection, SelectionKind
from vision.faults import RejectedVideoError

_PADDING_PIXELS = 1 << 22
"""More than any codec pads a picture with whose sides are at most 16,384 pixels."""


@dataclass(frozen=True, slots=True)
class Limits(VideoLimits):
    """
    As `contracts.limits.VideoLimits`, with the checks.

    Every `check_…` raises a RejectedVideoError that names the limit and the value.
    """

    @classmethod
    def of(cls, limits: VideoLimits) -> "Limits":
        """The same limits, with the checks."""
        return cls(**{field.name: getattr(limits, field.name) for field in fields(limits)})

    @property
    def decoder_pixels(self) -> int:
        """What a decoder, which counts its padding too, is told; pictures are checked again."""
        return self.max_pixels + _PADDING_PIXELS

    def check_pixels(self, width: int, height: int) -> None:
        """Check the size of a picture."""
        if width * height > self.max_pixels:
            raise _too_large(
                f"The picture is {width}×{height}; at most {self.max_pixels:,} pixels are "
                "processed. Scale the video down."
            )

    def check_duration(self, duration_s: float) -> None:
        """Check a length of time."""
        if duration_s > self.max_duration_s:
            raise _too_large(
                f"The video is {duration_s:.0f} s long; at most {self.max_duration_s:.0f} s are "
                "processed. Cut it into parts."
            )

    def check_streams(self, count: int) -> None:
        """Check how many streams a file has, of whatever kind."""
        if count > self.max_streams:
            raise _too_large(
                f"The file has {count:,} streams or more; at most {self.max_streams} are read. "
                "Export the one to be processed by itself."
            )

    def check_header(self, size_bytes: int) -> None:
        """Check the size of all that is read before the first picture."""
        if size_bytes > self.max_header_bytes:
            raise _too_large(
                f"The file's header is {size_bytes:,} bytes long; at most "
                f"{self.max_header_bytes:,} are read. Cut the video into parts."
            )

    def check_metadata(self, size_bytes: int) -> None:
        """Check the size of tags, covers and the like."""
        if size_bytes > self.max_metadata_bytes:
            raise _too_large(
                f"The file holds {size_bytes:,} bytes of metadata; at most "
                f"{self.max_metadata_bytes:,} are read. Copy the pictures into a new file, without "
                "metadata."
            )

    def check_samples(self, count: int) -> None:
        """Check how many samples a file's index claims."""
        if count > self.max_samples:
            raise _too_large(
                f"The file's index claims {count:,} samples; at most {self.max_samples:,} are "
                "read. Cut the video into parts."
            )

    def check_frames(self, count: int) -> None:
        """Check how many frames were chosen."""
        if count > self.max_frames:
            raise _too_large(
                f"The selection chooses {count:,} frames or more; at most {self.max_frames:,} are "
                "processed. Ask for fewer, or cut the video into parts."
            )

    def check_promised_frames(
        self, selection: Selection, frame_count: int, duration_s: float | None
    ) -> None:
        """Check how many frames are chosen of what a file promises; 0 and None promise nothing."""
        if selection.kind is SelectionKind.ALL and frame_count:
            self.check_frames(frame_count)
        elif selection.every_nth is not None and frame_count:
            self.check_frames(-(-frame_count // selection.every_nth))
        elif selection.every_seconds is not None and duration_s:
            ticks = int(Fraction(duration_s) / selection.every_seconds)
            self.check_frames(min(ticks, frame_count or ticks))

    def check_decode_time(self, seconds: float) -> None:
        """Check how long decoding has been waited for."""
        if seconds > self.max_decode_s:
            raise RejectedVideoError(
                RejectionCode.TOO_SLOW,
                f"Decoding took {seconds:.0f} s and was not done; at most {self.max_decode_s:.0f} "
                "s are spent on a video. Cut it into parts, scale it down, or ask for fewer "
                "frames.",
            )


def _too_large(message: str) -> RejectedVideoError:
    return RejectedVideoError(RejectionCode.TOO_LARGE, message)
