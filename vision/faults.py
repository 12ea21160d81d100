"""What ends an attempt: a video at fault, or somebody who wants no more of it."""

from contracts.outcomes import RejectionCode, RetryCode


class RejectedVideoError(Exception):
    """
    The video or what was asked of it is at fault: another attempt cannot help.

    Attributes:
        code: Why, for machines.
        message: Why and what to do about it, as a sentence for people.
    """

    def __init__(self, code: RejectionCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DecodeMemoryError(MemoryError):
    """Reading the video took more memory than there was; no model was at fault."""


class AttemptStoppedError(Exception):
    """
    The attempt was cancelled or ran out of time; it left no files, and another one may be made.

    Attributes:
        code: Which of the two, for machines.
    """

    def __init__(self, code: RetryCode, message: str) -> None:
        super().__init__(message)
        self.code = code
