"""
How an attempt at a video can end, and the machine codes that say why.

Imports nothing of ours and nothing beyond the standard library: stacks, Lambdas, containers and the
command line all read it, and the containers' exit codes are defined here too.
"""

from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """How one attempt at a video ended."""

    SUCCEEDED = "succeeded"
    RETRYABLE = "retryable"
    """Infrastructure is at fault (throttling, reclaim, memory, time): another attempt may do it."""
    REJECTED = "rejected"
    """The video or its request is at fault: retrying cannot help."""


class JobState(StrEnum):
    """Where a job stands in the ledger."""

    RECEIVED = "RECEIVED"
    DEFERRED = "DEFERRED"
    """Held by the spend guard."""
    DISPATCHED = "DISPATCHED"
    SUCCEEDED = "SUCCEEDED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    """Attempts are exhausted; the job can be redriven."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will happen to the job by itself any more."""
        return self in (JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED)


class ExitCode(IntEnum):
    """Exit codes of the containers and of `framewright run`, after sysexits(3)."""

    SUCCEEDED = 0
    USAGE = 64
    REJECTED = 65
    CRASHED = 70
    RETRYABLE = 75
    MODEL_FAULT = 78

    @property
    def outcome(self) -> Outcome:
        """The outcome that this exit code reports; whatever is unexpected may be tried again."""
        if self is ExitCode.SUCCEEDED:
            return Outcome.SUCCEEDED
        return Outcome.REJECTED if self is ExitCode.REJECTED else Outcome.RETRYABLE


class RejectionCode(StrEnum):
    """Why a video was rejected."""

    EMPTY_FILE = "empty_file"
    NOT_A_VIDEO = "not_a_video"
    TRUNCATED = "truncated"
    """The file ends before what is needed to read it at all (an MP4 without its moov box)."""
    NO_VIDEO_STREAM = "no_video_stream"
    NO_FRAMES = "no_frames"
    UNREADABLE = "unreadable"
    """A container or codec that cannot be decoded here."""
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    """Decoding takes longer than the stage spends on one video, or does not end."""
    NOTHING_SELECTED = "nothing_selected"
    KEY_NOT_STORABLE = "key_not_storable"
    """The object key cannot be a file name, so no backend that reads files can take it."""
    BAD_REQUEST = "bad_request"
    """The upload's metadata ask for a model or a selection that the stage does not offer."""
    SOURCE_MISSING = "source_missing"
    SOURCE_UNREADABLE = "source_unreadable"
    """S3 holds the object but does not give it out: archived, or under a key of the sender's."""
    SOURCE_REPLACED = "source_replaced"
    """A newer version took the key before this one could be read; the newer one has its own job."""
    CANCELLED = "cancelled"
    """An operator ended the job; nothing was wrong with the video."""


class RetryCode(StrEnum):
    """Why an attempt may be made again; for `MODEL_FAULT` only a person has it made."""

    ATTEMPT_INCOMPLETE = "attempt_incomplete"
    """The attempt's files are missing or differ from what attempt.json says of them."""
    JOB_FAILED = "job_failed"
    JOB_STOPPED = "job_stopped"
    JOB_LOST = "job_lost"
    """The backend knows nothing of the attempt that the ledger says it took."""
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    CRASHED = "crashed"
    MODEL_FAULT = "model_fault"
    """The model cannot be loaded, or answers what cannot be read: the next attempt would too."""


class WarningCode(StrEnum):
    """What a reader of a committed result should know."""

    DAMAGED_PACKETS = "damaged_packets"
    FRAMES_LOST = "frames_lost"
    """Frames that could not be decoded; they are counted, so the others keep their indices."""
    STREAM_CUT_SHORT = "stream_cut_short"
    MISSING_TIMESTAMPS = "missing_timestamps"
    FRAME_NOT_FOUND = "frame_not_found"
    FORMAT_CHANGED = "format_changed"
    SEVERAL_VIDEO_STREAMS = "several_video_streams"
    SEQUENTIAL_DECODING = "sequential_decoding"
    """The frames are exact, but all were decoded: the stream's form allows no plan."""
