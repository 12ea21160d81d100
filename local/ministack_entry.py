"""
MiniStack's process: runs in MiniStack's own environment, so it imports nothing of ours but what
runs there too.

EventBridge refuses events whose source starts with `aws.` from everyone but AWS services, and so
does MiniStack. The local SageMaker is such a service here; it names itself in a header that no SDK
sends, and only its own source is let through.

S3's events carry the version of the object, which tells two uploads under one key apart; MiniStack
leaves it out of those it sends to EventBridge, so it is put in here:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html

Whoever may call MiniStack may run code, as a Lambda function, and it lets every web page call it.
So what a browser sends is refused here: it names the page's origin, which no SDK does, and a name
that was rebound to loopback stands in the Host header.
"""

import contextvars
import functools
import json
import sys
from pathlib import Path
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.services import eventbridge, s3  # type: ignore[import-not-found]

SERVICE_HEADER = "x-framewright-service"
SERVICES = {"sagemaker.amazonaws.com": "aws.sagemaker"}

LOOPBACK_NAMES = (b"127.0.0.1", b"localhost")

sys.path.append(str(Path(__file__).parent.parent))
if app.PERSIST_STATE:
    from local import ministack_durability
if app.AUTH:
    from local import ministack_conditions, ministack_iam, ministack_services

_application = app.app
_handle_request = eventbridge.handle_request
_put_events = eventbridge._put_events
_dispatch_event = eventbridge._dispatch_event
_fire_s3_event = s3._fire_s3_event
_version_id = contextvars.ContextVar[str | None]("version_id", default=None)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """MiniStack as before, but closed to web pages."""
    headers = dict(scope.get("headers", ()))
    host = headers.get(b"host", b"").rpartition(b":")[0] or headers.get(b"host", b"")
    is_foreign = b"origin" in headers or host not in LOOPBACK_NAMES
    if app.AUTH and not is_foreign and scope.get("path", "").startswith("/_framewright/"):
        await ministack_services.serve(scope, receive, send)
    elif scope["type"] == "lifespan" or not is_foreign:
        await _application(scope, receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"The embedded cloud is for SDKs."})
    else:
        await send({"type": "websocket.close"})


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any
) -> Any:
    """EventBridge as before, but for events that a service of the embedded cloud puts."""
    source = SERVICES.get(headers.get(SERVICE_HEADER, ""))
    if source is None:
        return await _handle_request(method, path, headers, body, query_params)
    eventbridge._ensure_default_bus()
    data = json.loads(body)
    own = all(entry.get("Source") == source for entry in data["Entries"])
    return _put_events(data, allow_aws_source=own)


def fire_s3_event(*arguments: Any, version_id: str | None = None, **options: Any) -> None:
    """S3's notification as before, its version kept for the event that follows from it."""
    token = _version_id.set(version_id)
    try:
        _fire_s3_event(*arguments, version_id=version_id, **options)
    finally:
        _version_id.reset(token)


def dispatch_event(event: dict[str, Any], *arguments: Any, **options: Any) -> Any:
    """EventBridge's delivery as before, the object's version added to S3's own events."""
    if event["Source"] == "aws.s3" and (version_id := _version_id.get()):
        detail = json.loads(event["Detail"])
        detail["object"]["version-id"] = version_id
        event = event | {"Detail": json.dumps(detail)}
    return _dispatch_event(event, *arguments, **options)


if __name__ == "__main__":
    eventbridge._dispatch_event = functools.wraps(_dispatch_event)(dispatch_event)
    s3._fire_s3_event = functools.wraps(_fire_s3_event)(fire_s3_event)
    eventbridge.handle_request = functools.wraps(_handle_request)(handle_request)
    if app.AUTH:
        ministack_iam.install()
        ministack_conditions.install()
        # With TLS it would take port 443 too, where clients of Cognito look for it.
        app._port_is_bindable = lambda *_: False
    if app.PERSIST_STATE:
        ministack_durability.install()
    app.app = application
    app.main()
