"""SageMaker's wire protocol, AWS JSON 1.1, over HTTP."""

import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.authority import Call
from local.config import LOOPBACK
from local.sagemaker.errors import ServiceError
from local.sagemaker.operations import Operations

HEALTH_PATH = "/_health"
_CONTENT_TYPE = "application/x-amz-json-1.1"
_TARGET_PREFIX = "SageMaker."
_MAX_BODY_BYTES = 1 << 20

logger = logging.getLogger(__name__)


def web_application(operations: Operations, *, on_shutdown: Callable[[], None]) -> Starlette:
    """The service as an ASGI application; `on_shutdown` is called before it goes down."""

    async def control_plane(request: Request) -> Response:
        body = await request.body()
        target = request.headers.get("x-amz-target", "")
        request_id = str(uuid.uuid4())
        try:
            call = Call(
                request.url.path, request.headers.items(), body, request.url.scheme == "https"
            )
            answer, status = await run_in_threadpool(_answer, operations, target, call), 200
        except ServiceError as error:
            answer = {"__type": error.code, "message": error.message}
            status = error.http_status
        return Response(
            json.dumps(answer),
            status_code=status,
            media_type=_CONTENT_TYPE,
            headers={"x-amzn-RequestId": request_id},
        )

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        on_shutdown()

    routes = [
        Route("/", control_plane, methods=["POST"]),
        Route(HEALTH_PATH, health, methods=["GET"]),
    ]
    # A web page whose name was rebound to loopback must not start processes here.
    own_names = Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    return Starlette(routes=routes, lifespan=lifespan, middleware=[own_names])


def _answer(operations: Operations, target: str, call: Call) -> dict[str, object]:
    if not target.startswith(_TARGET_PREFIX):
        raise ServiceError("UnknownOperationException", f"expected X-Amz-Target, got {target!r}")
    if len(call.body) > _MAX_BODY_BYTES:
        raise ServiceError("RequestEntityTooLarge", f"the request is {len(call.body)} bytes long")
    try:
        parameters = json.loads(call.body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise ServiceError("SerializationException", "expected a JSON object")
    try:
        return operations.call(target.removeprefix(_TARGET_PREFIX), parameters, call)
    except ServiceError:
        raise
    except Exception as error:
        logger.exception("%s failed", target)
        raise ServiceError("InternalFailure", f"{type(error).__name__}: {error}") from error
