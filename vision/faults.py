"""What ends an attempt: a video at fault, or somebody who wants no more of it."""

import errno
from pathlib import Path

from contracts.outcomes import RejectionCode, RetryCode

_MACHINE_ERRORS = {errno.ENOMEM, errno.EACCES, errno.ENOENT, errno.EMFILE, errno.ENFILE}
_CHUNK_BYTES = 1 << 20


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


def is_machine_fault(code: int | None, path: Path) -> bool:
    """
    Whether FFmpeg failed on a file, with this error number, for a reason that lies outside of it.

    Demuxers say EIO of damage too, so the file is read to see whether it can be.
    """
    if code != errno.EIO:
        return code in _MACHINE_ERRORS
    try:
        with path.open("rb") as file:
            while file.read(_CHUNK_BYTES):
                pass
    except OSError:
        return True
    return False
