"""
What AWS asks of a principal beyond the call it makes; runs inside MiniStack when it enforces IAM.

MiniStack checks each call that reaches it: signature, identity policies, resource policies. It does
not check what AWS's services do in a principal's name, or in their own. That is added here:

* A bucket, queue, topic or table under a customer-managed key: its callers use that key.
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
* Lambda polls a queue, and writes its log, in the function's role.
  https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
* EventBridge delivers if the target's own policy, and its key's, lets it; a schedule in its role.

Each refusal becomes a line in the file that `FRAMEWRIGHT_REFUSALS` names.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator as iam  # type: ignore[import-not-found]
from ministack.core.responses import get_account_id, get_region  # type: ignore[import-not-found]
from ministack.services import (  # type: ignore[import-not-found]
    dynamodb,
    eventbridge,
    kms,
    lambda_svc,
    s3,
    sns,
    sqs,
)

REFUSALS_VARIABLE = "FRAMEWRIGHT_REFUSALS"
Use = tuple[str, str]
"""An action and what it is done to."""

_READ = ("kms:Decrypt",)
_WRITE = ("kms:GenerateDataKey",)
_KEY_ACTIONS = {
    "s3:GetObject": _READ,
    "s3:GetObjectVersion": _READ,
    "s3:PutObject": _WRITE,
    "sqs:ReceiveMessage": _READ,
    "sqs:SendMessage": _WRITE + _READ,
    "sns:Publish": _WRITE + _READ,
    **{
        f"dynamodb:{name}": _READ
        for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan")
    },
}
_POLL = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_TARGET_ACTIONS = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
}
_VERDICT_S = 0.2
"""Lambda's poller asks hundreds of times a second."""

_enforce = iam.enforce
_concurrency = lambda_svc._sqs_esm_concurrency
_emit_logs = lambda_svc._emit_lambda_logs
_invoke_target = eventbridge._invoke_target
_verdicts: dict[str, tuple[float, bool]] = {}


def install() -> None:
    """Put the checks where MiniStack has none."""
    iam.enforce = enforce
    lambda_svc._sqs_esm_concurrency = concurrency
    lambda_svc._emit_lambda_logs = emit_logs
    eventbridge._invoke_target = invoke_target


def enforce(
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    """MiniStack's check of a call, and then of the key under which lies what the call is about."""
    denied = _enforce(access_key, action, service, region, resource_arn, service_context)
    if denied is None:
        via = {"kms:ViaService": f"{service}.{region}.amazonaws.com"}
        for key_action, key_arn in _key_uses(action, resource_arn, service_context or {}):
            denied = _enforce(access_key, key_action, "kms", region, key_arn, via)
            if denied:
                action, resource_arn = key_action, key_arn
                break
    if denied:
        record(getattr(denied, "principal_arn", "") or denied.code, action, resource_arn)
    return denied


def _key_uses(action: str, resource_arn: str, context: dict[str, Any]) -> Iterator[Use]:
    if actions := _KEY_ACTIONS.get(action):
        named = context.get("s3:x-amz-server-side-encryption-aws-kms-key-id")
        if key := _key_arn(named or _key_of(resource_arn)):
            yield from ((key_action, key) for key_action in actions)


def _key_of(resource_arn: str) -> str | None:
    """The key, as it was configured, of what an ARN names."""
    service = resource_arn.split(":")[2] if resource_arn.startswith("arn:") else ""
    found: str | None = None
    if service == "s3":
        headers = s3._bucket_default_sse_headers(resource_arn.split(":::")[1].split("/")[0])
        found = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    elif service == "sqs" and (queue := sqs._queue_by_arn(resource_arn)):
        found = queue["attributes"].get("KmsMasterKeyId")
    elif service == "sns" and (topic := sns._topics.get(resource_arn)):
        found = topic["attributes"].get("KmsMasterKeyId")
    elif service == "dynamodb":
        table = dynamodb._tables.get(resource_arn.split("/")[1]) or {}
        found = (table.get("SSEDescription") or {}).get("KMSMasterKeyArn")
    return found


def _key_arn(key: str | None) -> str | None:
    """A key's ARN; None for the keys that AWS manages, which anyone may use through the service."""
    record = kms._resolve_key(key) if key else None
    return record["Arn"] if record else None


def role_uses(role_arn: str, uses: "Iterator[Use] | list[Use]", principal: str) -> bool:
    """Whether a role may do all that; `principal` is the session of it that asks."""
    name = role_arn.rpartition("/")[2]
    policies = iam._gather_role_policies(name, get_account_id())
    for action, resource in uses:
        for used, target in [(action, resource), *_key_uses(action, resource, {})]:
            context = _context(principal, "AssumedRole", used, target)
            result = iam.evaluate(context, policies)
            service = used.partition(":")[0]
            if found := iam._resource_policy(service, target):
                required = service in iam._POLICY_REQUIRED
                result = iam.combine_resource_policy(result, context, *found, required=required)
            if result.decision != "Allow":
                record(principal, used, target)
                return False
    return True


def concurrency(esm: Any, func: Any, config: Any, queue: Any = None) -> int:
    """How many batches Lambda may take from a queue: none when the function's role forbids it."""
    arn, function = esm["EventSourceArn"], config["FunctionName"]
    made_s, verdict = _verdicts.get(esm["UUID"], (0.0, False))
    if time.monotonic() - made_s > _VERDICT_S:
        principal = session_arn(config["Role"], function)
        verdict = _runs(config) and role_uses(
            config["Role"], [(action, arn) for action in _POLL], principal
        )
        _verdicts[esm["UUID"]] = time.monotonic(), verdict
    return _concurrency(esm, func, config, queue) if verdict else 0


def _runs(config: Any) -> bool:
    """Whether Lambda may take the role of a function."""
    source = {"aws:sourcearn": config["FunctionArn"], "aws:sourceaccount": get_account_id()}
    return service_assumes("lambda.amazonaws.com", config["Role"], source)


def emit_logs(func: Any, *arguments: Any, **options: Any) -> None:
    """A function's log, if its role may write one."""
    config = func.get("config") or func
    group = (config.get("LoggingConfig") or {}).get("LogGroup")
    group = group or f"/aws/lambda/{config['FunctionName']}"
    arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:one"
    uses = [("logs:CreateLogStream", arn), ("logs:PutLogEvents", arn)]
    if role_uses(config["Role"], uses, session_arn(config["Role"], config["FunctionName"])):
        _emit_logs(func, *arguments, **options)


def invoke_target(target: Any, event: Any, rule: Any, view: Any = None) -> Any:
    """EventBridge's delivery, if the target lets EventBridge, or the schedule's role, deliver."""
    arn, action = target["Arn"], _TARGET_ACTIONS.get(target["Arn"].split(":")[2])
    if action is None:
        return _invoke_target(target, event, rule, view)
    if role_arn := target.get("RoleArn"):
        # Scheduler names the schedule's group:
        # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
        group = f":schedule-group/{rule.get('GroupName', 'default')}"
        source = {
            "aws:sourcearn": rule["Arn"].partition(":schedule/")[0] + group,
            "aws:sourceaccount": get_account_id(),
        }
        may = service_assumes("scheduler.amazonaws.com", role_arn, source) and role_uses(
            role_arn, [(action, arn)], session_arn(role_arn, "scheduler")
        )
    else:
        may = _service_may("events.amazonaws.com", action, arn, rule["Arn"])
    if may and action == "lambda:InvokeFunction":
        may = _runs(lambda_svc._get_func_record_for_ref(arn)[1])
    return _invoke_target(target, event, rule, view) if may else None


def _service_may(service: str, action: str, arn: str, source_arn: str) -> bool:
    source = {"aws:sourcearn": source_arn, "aws:sourceaccount": get_account_id()}
    for used, target in [(action, arn), *_key_uses(action, arn, {})]:
        found = iam._resource_policy(used.partition(":")[0], target)
        context = _context("*", "Service", used, target, source)
        policy = found[0] if found else None
        decided = iam.evaluate_resource_policy(policy, context, service=service)
        if decided.decision != "Allow":
            record(service, used, target)
            return False
    return True


def service_assumes(service: str, role_arn: str, source: dict[str, str]) -> bool:
    """Whether a role's trust policy lets a service take it for the resource in `source`."""
    role = iam_roles().get(role_arn.rpartition("/")[2])
    document = role["AssumeRolePolicyDocument"] if role else "{}"
    statements = (json.loads(document) if isinstance(document, str) else document).get("Statement")
    context = _context(service, "Service", "sts:AssumeRole", role_arn, source)
    for statement in statements or []:
        if (
            statement["Effect"] == "Allow"
            and iam._service_principal_matches(statement.get("Principal"), service)
            and iam._conditions_met(statement.get("Condition", {}), context)
        ):
            return True
    record(service, "sts:AssumeRole", role_arn)
    return False


def session_arn(role_arn: str, session: str) -> str:
    """The session of a role as policies and refusals name it."""
    name = role_arn.rpartition("/")[2]
    return f"arn:aws:sts::{get_account_id()}:assumed-role/{name}/{session}"


def iam_roles() -> Any:
    """The account's roles by name."""
    from ministack.services import iam as service

    return service._roles


def record(principal: str, action: str, resource: str) -> None:
    """Note a refusal."""
    line = {"principal": principal, "action": action, "resource": resource, "at_s": time.time()}
    if path := os.environ.get(REFUSALS_VARIABLE):
        with Path(path).open("a") as file:
            file.write(json.dumps(line) + "\n")


def _context(
    principal: str, kind: str, action: str, resource: str, more: dict[str, str] | None = None
) -> Any:
    return iam.EvalContext(
        principal_arn=principal,
        principal_type=kind,
        principal_account="" if kind == "Service" else get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
        secure_transport=True,
        service_context=dict(more or {}),
    )
