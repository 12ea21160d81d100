"""What AWS's error codes mean to us."""

from botocore.exceptions import ClientError

_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed"})
_BUSY = frozenset(
    {
        "ResourceLimitExceeded",
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
    }
)


def code_of(error: ClientError) -> str:
    """The error's code, such as `NoSuchKey`."""
    return error.response["Error"]["Code"]


def is_absent(error: ClientError) -> bool:
    """Whether an object or version is not there; a delete marker answers MethodNotAllowed."""
    return code_of(error) in _ABSENT


def is_busy(error: ClientError) -> bool:
    """Whether the service will take the same call later: a quota or a rate was reached."""
    return code_of(error) in _BUSY


def is_conflict(error: ClientError) -> bool:
    """Whether a conditional write found that somebody was first, or is at it right now."""
    return code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
