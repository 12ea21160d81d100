"""One JSON object a line on stdout: a constant message, and the facts under their own keys."""

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("framewright.processing")


def set_up_logs() -> None:
    """Send this container's log lines to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def log(level: int, message: str, *, error: BaseException | None = None, **facts: object) -> None:
    """Write one line; `error` adds its traceback."""
    LOGGER.log(level, message, exc_info=error, extra={"facts": facts})


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
