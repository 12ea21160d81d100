"""
Every policy of the synthesised templates, where it is deployed, and each grant in it.

Nothing here names a role or a queue: what a template brings is covered as soon as it is there.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from local.cloud import EmbeddedCloud

Document = dict[str, Any]
Statement = dict[str, Any]


class Store(Protocol):
    """Reads and writes one deployed policy."""

    def read(self) -> Document:
        """The policy as it is deployed."""

    def write(self, document: Document) -> None:
        """Put another in its place."""


@dataclass(frozen=True, slots=True)
class Policy:
    """
    One policy of a template.

    Attributes:
        holder: Whose it is: a role's or a resource's name.
        kind: The type of the template's resource.
        trusts: Whether it says who may take the role, not what the role may do.
    """

    holder: str
    kind: str
    store: Store
    trusts: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether it grants to the role that holds it."""
        return self.kind == "AWS::IAM::Policy"


@dataclass(frozen=True, slots=True)
class Grant:
    """
    One action, or one resource of several, of one statement.

    Attributes:
        part: `Action`, `Resource` or, for a Deny or a trust, `Statement`.
    """

    policy: Policy
    statement: int
    part: str
    value: str
    text: Statement

    @property
    def actions(self) -> list[str]:
        return [self.value] if self.part == "Action" else many(self.text["Action"])

    @property
    def resources(self) -> list[str]:
        return [self.value] if self.part == "Resource" else many(self.text.get("Resource", []))

    @property
    def principals(self) -> list[str]:
        """The services that a resource's policy lets in."""
        principal = self.text.get("Principal", {})
        return many(principal.get("Service", [])) if isinstance(principal, dict) else []

    def without(self, document: Document) -> Document:
        """The policy with this grant taken out of it."""
        changed = copy.deepcopy(document)
        statements = changed["Statement"] = many(changed["Statement"])
        statement = statements[self.statement]
        if self.part != "Statement":
            rest = [value for value in many(statement[self.part]) if value != self.value]
            if rest:
                statement[self.part] = rest
                return changed
        del statements[self.statement]
        return changed


def policies(cloud: EmbeddedCloud) -> list[Policy]:
    """Every policy that the deployed templates hold."""
    return [policy for id_, kind, name in _resources(cloud) for policy in _held(cloud, kind, name)]


def functions(cloud: EmbeddedCloud) -> list[str]:
    """The names of the functions that the deployed templates hold."""
    return [name for _, kind, name in _resources(cloud) if kind == "AWS::Lambda::Function"]


def grants(policy: Policy) -> Iterator[Grant]:
    """What can be taken out of a policy, one thing at a time."""
    for number, statement in enumerate(many(policy.store.read()["Statement"])):
        if policy.trusts or statement["Effect"] == "Deny":
            shown = ", ".join(many(statement["Action"]))
            yield Grant(policy, number, "Statement", shown, statement)
            continue
        for action in many(statement["Action"]):
            yield Grant(policy, number, "Action", action, statement)
        resources = many(statement["Resource"])
        for resource in resources if len(resources) > 1 else ():
            yield Grant(policy, number, "Resource", resource, statement)


def many(value: Any) -> list[Any]:
    """A policy's value, of which there may be one or several."""
    return value if isinstance(value, list) else [value]


@dataclass(frozen=True, slots=True)
class _Calls:
    """A policy behind two calls of one client: which, with what arguments, and where it stands."""

    client: Any
    get: str
    put: str
    target: Mapping[str, Any]
    answer: str
    argument: str

    def read(self) -> Document:
        found: Any = getattr(self.client, self.get)(**self.target)
        for part in self.answer.split("."):
            found = found[part]
        document: Document = found if isinstance(found, dict) else json.loads(found)
        return document

    def write(self, document: Document) -> None:
        getattr(self.client, self.put)(**self.target, **{self.argument: json.dumps(document)})


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A policy that is an attribute of a queue or topic."""

    client: Any
    noun: str
    target: Mapping[str, str]

    def read(self) -> Document:
        more = {"AttributeNames": ["Policy"]} if self.noun == "queue" else {}
        found = getattr(self.client, f"get_{self.noun}_attributes")(**self.target, **more)
        document: Document = json.loads(found["Attributes"]["Policy"])
        return document

    def write(self, document: Document) -> None:
        put = getattr(self.client, f"set_{self.noun}_attributes")
        if self.noun == "queue":
            put(**self.target, Attributes={"Policy": json.dumps(document)})
        else:
            put(**self.target, AttributeName="Policy", AttributeValue=json.dumps(document))


def _held(cloud: EmbeddedCloud, kind: str, name: str) -> Iterator[Policy]:
    if kind == "AWS::IAM::Role":
        yield from _of_role(cloud.client("iam"), name)
    elif kind == "AWS::S3::Bucket":
        where = {"Bucket": name}
        s3 = cloud.client("s3")
        store = _Calls(s3, "get_bucket_policy", "put_bucket_policy", where, "Policy", "Policy")
        yield Policy(name, kind, store)
    elif kind == "AWS::KMS::Key":
        where = {"KeyId": name, "PolicyName": "default"}
        kms = cloud.client("kms")
        yield Policy(
            "key", kind, _Calls(kms, "get_key_policy", "put_key_policy", where, "Policy", "Policy")
        )
    elif kind == "AWS::SQS::Queue":
        yield Policy(
            name.rpartition("/")[2],
            kind,
            _Attribute(cloud.client("sqs"), "queue", {"QueueUrl": name}),
        )
    elif kind == "AWS::SNS::Topic":
        yield Policy(
            name.rpartition(":")[2],
            kind,
            _Attribute(cloud.client("sns"), "topic", {"TopicArn": name}),
        )


def _of_role(iam: Any, role: str) -> Iterator[Policy]:
    trust = _Calls(
        iam,
        "get_role",
        "update_assume_role_policy",
        {"RoleName": role},
        "Role.AssumeRolePolicyDocument",
        "PolicyDocument",
    )
    yield Policy(role, "AWS::IAM::Role", trust, trusts=True)
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        where = {"RoleName": role, "PolicyName": name}
        store = _Calls(
            iam, "get_role_policy", "put_role_policy", where, "PolicyDocument", "PolicyDocument"
        )
        yield Policy(role, "AWS::IAM::Policy", store)


def _resources(cloud: EmbeddedCloud) -> Iterator[tuple[str, str, str]]:
    """Logical id, type and physical name of all that the stage's stacks deployed."""
    cloudformation = cloud.client("cloudformation")
    for stack in cloudformation.list_stacks()["StackSummaries"]:
        if not stack["StackName"].startswith("framewright-"):
            continue
        found = cloudformation.list_stack_resources(StackName=stack["StackName"])
        for resource in found["StackResourceSummaries"]:
            yield (
                resource["LogicalResourceId"],
                resource["ResourceType"],
                resource["PhysicalResourceId"],
            )
