"""
How the local SageMaker asks MiniStack, as AWS's services ask IAM; runs inside MiniStack.

* `authorize`: may whoever signed this request do that? The signature is verified as MiniStack
  verifies those of its own requests.
* `run-schedules`: every schedule's time has come, whatever it says.
* `assume-role`: credentials of a role for a service, if the role's trust policy lets the service
  take it for the resource that it works on.
"""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator as iam  # type: ignore[import-not-found]
from ministack.core.responses import (  # type: ignore[import-not-found]
    get_account_id,
    set_request_account_id,
    set_request_region,
)
from ministack.core.router import extract_access_key_id  # type: ignore[import-not-found]
from ministack.services import scheduler, sts  # type: ignore[import-not-found]

from local.ministack_iam import service_assumes, session_arn

PATH_PREFIX = "/_framewright/"
_SESSION_S = 43_200


async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One question, JSON in and JSON out."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    question = json.loads(body)
    set_request_account_id(question["account"])
    set_request_region(question["region"])
    answer = _ANSWERS[scope["path"].removeprefix(PATH_PREFIX)](question)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def authorize(question: dict[str, Any]) -> dict[str, Any]:
    """The first of the checks that fails, as an error code and a sentence; empty when none does."""
    headers = question["headers"]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    iam.pin_request_origin("127.0.0.1", question["secure"])
    iam.pin_signed_request("POST", question["path"], {}, raw)
    iam.pin_signed_body(base64.b64decode(question["body"]))
    access_key = extract_access_key_id(dict(headers), {})
    for check in question["checks"]:
        action, resource = check["action"], check["resource"]
        service = "kms" if action.startswith("kms:") else "sagemaker"
        denied = iam.enforce(
            access_key, action, service, question["region"], resource, check["context"]
        )
        if isinstance(denied, iam.AuthError):
            return {"code": denied.code, "message": denied.message}
        if denied is not None:
            sentence = f"User: {denied.principal_arn} is not authorized to perform: {action} on "
            return {"code": "AccessDeniedException", "message": f"{sentence}resource: {resource}"}
    return {}


def assume_role(question: dict[str, Any]) -> dict[str, Any]:
    """Credentials of the role, or nothing where the service may not take it."""
    role_arn, session = question["role_arn"], question["session"]
    source = {"aws:sourcearn": question["source_arn"], "aws:sourceaccount": question["account"]}
    if not service_assumes(question["service"], role_arn, source):
        return {}
    key, secret, token = (
        sts._gen_session_access_key(),
        sts._gen_secret(),
        sts._gen_session_token(),
    )
    facts = {
        "Arn": session_arn(role_arn, session),
        "UserId": f"{sts._role_id(role_arn)}:{session}",
        "AccountId": get_account_id(),
        "PrincipalType": "AssumedRole",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": time.time() + _SESSION_S,
    }
    sts.register_session(key, facts)
    return {
        "access_key_id": key,
        "secret_access_key": secret,
        "session_token": token,
    }


def run_schedules(_: dict[str, Any]) -> dict[str, Any]:
    """Invoke the target of every schedule now."""
    for key in scheduler._schedules._data:
        scheduler._schedule_last_fired[key] = 0.0
    scheduler._tick_schedules()
    return {}


_ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "authorize": authorize,
    "assume-role": assume_role,
    "run-schedules": run_schedules,
}
