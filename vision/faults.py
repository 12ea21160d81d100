"""The one error that says a video, not the machine, is at fault."""

from contracts.outcomes import RejectionCode


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
