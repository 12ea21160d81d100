"""Every grant in one form: exact, or with the reason why it cannot be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

FOR_AWS_RESOURCES = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
"""SageMaker hands a job's volume its key by a grant; nobody else gets one."""

WILDCARD = "AwsSolutions::AwsSolutions-IAM5"
"""The finding that a policy has a wildcard, which follows in brackets."""

USE_OF_KEY = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""
What S3, SQS, SNS and DynamoDB ask of a caller whose data a key encrypts.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
"""


def allow(
    role: iam.Role,
    actions: Sequence[str],
    *resources: str,
    because: str | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> None:
    """
    Let a role do something.

    Args:
        because: Why a wildcard among actions or resources is right; reviews and checks read it.

    Raises:
        ValueError: There is a wildcard without a reason.
    """
    role.add_to_policy(
        iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=conditions)
    )
    for wildcard in _wildcards(role, actions, resources):
        if because is None:
            raise ValueError(
                f"{role.node.path}: {wildcard} is a wildcard; name what is meant, or say why not"
            )
        accept(role, f"{WILDCARD}[{wildcard}]", because)


def accept(construct: cdk.Resource, finding: str, reason: str) -> None:
    """Record why a finding of the checks on a construct is right as it is."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))


def _wildcards(role: iam.Role, actions: Sequence[str], resources: Sequence[str]) -> Iterator[str]:
    """In the form in which the rules report them: a reference is its name in angle brackets."""
    for action in actions:
        if "*" in action:
            yield f"Action::{action}"
    for resource in resources:
        shown = _shown(cdk.Stack.of(role).resolve(resource))
        if "*" in shown:
            yield f"Resource::{shown}"


def _shown(value: Any) -> str:
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_shown, parts))
        case {"Fn::ImportValue": name}:
            return _shown(name)
    raise TypeError(f"not the text of a resource: {value!r}")
