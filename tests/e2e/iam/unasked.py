"""
Grants whose absence cannot be seen in the embedded cloud, each with the reason.

What stands here is checked by its form alone, in `tests/stacks`: exact resources and conditions.
"""

from fnmatch import fnmatchcase

from tests.e2e.iam.policies import Grant

_CRYPTO = "DynamoDB's documentation asks it of whoever uses a table; nothing here does"
_ADMINISTRATION = "the account's root deploys and operates here, and needs no policy"
_LOGS = "MiniStack encrypts no log group"
_ALARMS = "MiniStack's alarms tell nobody"
_TLS_VERSION = "the services here speak TLS 1.2 or later, and do not tell which"
_EVENTS = "EventBridge only sends; the CDK adds it for every queue that is a target"
_DEAD_SCHEDULES = "MiniStack's schedules have no dead letters"
_DEAD_EVENTS = "MiniStack's EventBridge loses what it cannot deliver; it has no dead letters"

# Holder, action, and whom or what it is about; the first row that fits tells the reason.
_UNASKED: tuple[tuple[str, str, str, str], ...] = (
    ("*", "ecr:*", "*", "containers run the checkout: no image is pulled"),
    ("*-processing-*", "logs:*", "*", "containers' logs are files here"),
    ("*-processing-*", "cloudwatch:*", "*", "jobs send no metrics here"),
    ("*-processing-*", "kms:CreateGrant", "*", "volumes are folders; the caller's grant is asked"),
    ("*-processing-*", "s3:AbortMultipartUpload", "*", "outputs go up in one part here"),
    ("*-processing-*", "s3:ListBucket", "*uploads*", "a manifest's keys are not listed here"),
    ("*", "xray:*", "*", "tracing is off in this stage"),
    ("key", "kms:DescribeKey", "*", "the account's statement admits whoever's role allows it"),
    ("*-settle-*", "kms:DescribeKey", "*", _CRYPTO),  # dispatch needs it to start a job
    ("*-reconcile-*", "kms:DescribeKey", "*", _CRYPTO),
    ("*-processing-*", "kms:DescribeKey", "*", _CRYPTO),
    ("*", "kms:Encrypt*", "*", _CRYPTO),
    ("*", "kms:GenerateDataKeyWithoutPlaintext", "*", _CRYPTO),
    ("*", "kms:ReEncrypt*", "*", _CRYPTO),
    ("key", "*", "logs.*", _LOGS),
    ("key", "*", "cloudwatch.*", _ALARMS),
    ("*", "s3:PutObject", "logging.s3.amazonaws.com", "MiniStack writes no access logs"),
    ("*", "sns:Publish", "cloudwatch.amazonaws.com", _ALARMS),
    ("*", "s3:[*]", "s3:TlsVersion", _TLS_VERSION),
    ("*-reconcile-schedule-*", "kms:*", "*", _DEAD_SCHEDULES),
    ("*-reconcile-schedule-*", "sqs:*", "*-dlq", _DEAD_SCHEDULES),
    ("*-reconcile-*", "sqs:SendMessage", "*-dlq", "no invocation fails that nobody waits for"),
    ("*-dlq", "sqs:SendMessage", "events.amazonaws.com", _DEAD_EVENTS),
    ("*", "sqs:GetQueue*", "events.amazonaws.com", _EVENTS),
)


def reason_unasked(grant: Grant) -> str | None:
    """Why nothing here fails without a grant; None where something must."""
    if grant.policy.holder == "key" and not grant.principals and not _names_roles(grant):
        return _ADMINISTRATION
    for holder, action, about, reason in _UNASKED:
        if (
            fnmatchcase(grant.policy.holder, holder)
            and all(fnmatchcase(found, action) for found in grant.actions)
            and _is_about(grant, about)
        ):
            return reason
    return None


def _is_about(grant: Grant, pattern: str) -> bool:
    """Whether it lets such a service in, speaks of such a condition, or of such resources only."""
    conditions = [key for block in grant.text.get("Condition", {}).values() for key in block]
    named = [*grant.principals, *conditions]
    return (
        pattern == "*"
        or any(fnmatchcase(found, pattern) for found in named)
        or all(fnmatchcase(found, pattern) for found in grant.resources)
    )


def _names_roles(grant: Grant) -> bool:
    return ":role/framewright-" in str(grant.text.get("Condition", ""))
