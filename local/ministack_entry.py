"""
MiniStack's process: runs in MiniStack's own environment, so it imports nothing of ours.

EventBridge refuses events whose source starts with `aws.` from everyone but AWS services, and so
does MiniStack. The local SageMaker is such a service here; it names itself in a header that no SDK
sends, and only its own source is let through.
"""

import functools
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.services import eventbridge  # type: ignore[import-not-found]

SERVICE_HEADER = "x-framewright-service"
SERVICES = {"sagemaker.amazonaws.com": "aws.sagemaker"}

_handle_request = eventbridge.handle_request
_put_events = eventbridge._put_events


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any
) -> Any:
    """EventBridge as before, but for events that a service of the embedded cloud puts."""
    source = SERVICES.get(headers.get(SERVICE_HEADER, ""))
    if source is None:
        return await _handle_request(method, path, headers, body, query_params)
    eventbridge._ensure_default_bus()
    data = eventbridge.json.loads(body)
    own = all(entry.get("Source") == source for entry in data["Entries"])
    return _put_events(data, allow_aws_source=own)


if __name__ == "__main__":
    eventbridge.handle_request = functools.wraps(_handle_request)(handle_request)
    app.main()
