"""What is stored is stored under the stage's key, and what runs jobs runs them closed off."""

import re
from collections.abc import Iterator
from typing import Any

from contracts.env import JOB_TEMPLATE_VARIABLE
from stacks.rules.template import Finding, Template

KEYS = {
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::SNS::Topic": ("KmsMasterKeyId",),
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::Lambda::Function": ("KmsKeyArn",),
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::SageMaker::EndpointConfig": ("KmsKeyId",),
}
"""Where each kind of resource names the key that encrypts what it stores."""
_NO_KEY = re.compile(r'"kms_key_arn": ?(""|null)')


def stores_have_a_key(template: Template) -> Iterator[Finding]:
    """The pack of AWS asks for encryption; this asks for the stage's own key."""
    for kind, path in KEYS.items():
        for id_, properties in template.of(kind):
            if not _at(properties, path):
                yield Finding(
                    "key",
                    id_,
                    f"{kind} has no {'.'.join(path)}: what it stores is not under the stage's key.",
                    "Hand it the stage's key.",
                )


def answers_of_endpoints_have_a_key(template: Template) -> Iterator[Finding]:
    """An asynchronous endpoint writes its answers itself."""
    path = ("AsyncInferenceConfig", "OutputConfig")
    for id_, config in template.of("AWS::SageMaker::EndpointConfig"):
        output = _at(config, path)
        if output and not output.get("KmsKeyId"):
            yield Finding(
                "key",
                id_,
                "The endpoint's answers are not under the stage's key.",
                f"Set {'.'.join(path)}.KmsKeyId to the stage's key.",
            )


def jobs_have_a_key(template: Template) -> Iterator[Finding]:
    """Jobs are made at run time, from a form that a function is given at deployment."""
    for id_, function in template.of("AWS::Lambda::Function"):
        form = _at(function, ("Environment", "Variables", JOB_TEMPLATE_VARIABLE))
        if form and ("kms_key_arn" not in str(form) or _NO_KEY.search(str(form))):
            yield Finding(
                "key",
                id_,
                f"{JOB_TEMPLATE_VARIABLE} names no key: volumes and results of jobs would not "
                "be under the stage's.",
                "Set kms_key_arn of the job template to the stage's key.",
            )


def models_are_closed_off(template: Template) -> Iterator[Finding]:
    """A model needs its input and no network; one that does needs a VPC that says which."""
    for id_, model in template.of("AWS::SageMaker::Model"):
        if not model.get("EnableNetworkIsolation") and not model.get("VpcConfig"):
            yield Finding(
                "network",
                id_,
                "The model's container reaches the internet.",
                "Set EnableNetworkIsolation, or a VpcConfig whose security groups say what it may.",
            )


def logs_expire(template: Template) -> Iterator[Finding]:
    """Logs name keys of videos: they go when they have served."""
    for id_, group in template.of("AWS::Logs::LogGroup"):
        if not group.get("RetentionInDays"):
            yield Finding(
                "retention",
                id_,
                "The log group keeps logs for ever.",
                "Set its retention to the stage's log_retention_days.",
            )


def _at(properties: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        properties = (properties or {}).get(name)
    return properties


ENCRYPTION = (
    stores_have_a_key,
    answers_of_endpoints_have_a_key,
    jobs_have_a_key,
    models_are_closed_off,
    logs_expire,
)
