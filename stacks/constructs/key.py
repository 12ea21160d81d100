"""The one key of a stage, and who may use it."""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from contracts.env import Names
from stacks.constructs.grants import FOR_AWS_RESOURCES, USE_OF_KEY
from stacks.constructs.removal import removal_policy
from stacks.settings import AccessSettings

ROLES = ("dispatch", "settle", "reconcile", "reconcile-schedule", "processing")
"""The parts whose roles use the key. Their own policies must allow it too."""
STARTERS_OF_JOBS = ("dispatch", "processing")
"""The parts in whose name SageMaker attaches the key to the volume of a job."""

ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
"""All that rules the key; nothing that encrypts or decrypts, and no grants, which could."""

_READ = ("kms:Decrypt", "kms:DescribeKey")
_WRITE = (*_READ, "kms:GenerateDataKey")
"""Decrypt too: S3 puts the parts of a multipart upload together in its sender's name."""


class StageKey(Construct):
    """
    The one customer-managed key of a stage, whose policy names its users.

    The account rules the key and does not use it. Roles come in later stacks than the key, so they
    are named by `aws:PrincipalArn`, which may name what is not there yet.

    Attributes:
        key: The key.
    """

    def __init__(
        self, scope: Construct, id_: str, *, names: Names, access: AccessSettings, keep: bool
    ) -> None:
        super().__init__(scope, id_)
        self._names = names
        self._statements: list[iam.PolicyStatement] = []
        self._admit("AccountAdministers", ADMINISTRATION, {})
        self._admit_roles()
        self._admit_people(access)
        self._admit_services()
        self.key = kms.Key(
            self,
            "Resource",
            alias=names.key_alias,
            description=f"Encrypts all that the Framewright stage {names.stage} stores",
            enable_key_rotation=True,
            policy=iam.PolicyDocument(statements=self._statements),
            removal_policy=removal_policy(keep=keep),
        )

    def _admit_roles(self) -> None:
        roles = _principals([self._names.role_arn(part) for part in ROLES])
        starters = _principals([self._names.role_arn(part) for part in STARTERS_OF_JOBS])
        self._admit("RolesUse", USE_OF_KEY, roles)
        self._admit("VolumesOfJobs", ["kms:CreateGrant"], {**starters, **FOR_AWS_RESOURCES})

    def _admit_people(self, access: AccessSettings) -> None:
        # DynamoDB and Lambda take the key by a grant from whoever makes the table or the function.
        making = self._through(access.deployers, "dynamodb", "lambda")
        self._admit_some("DeploymentsUse", USE_OF_KEY, making)
        self._admit_some("DeploymentsGrant", ["kms:CreateGrant"], making, FOR_AWS_RESOURCES)
        operating = self._through(access.operators, "s3", "sqs", "dynamodb")
        self._admit_some("OperatorsUse", USE_OF_KEY, operating)
        uploads, results = self._names.uploads_bucket, self._names.results_bucket
        sending = self._through(access.uploaders, "s3")
        self._admit_some("UploadersWrite", _WRITE, sending, self._objects(uploads))
        reading = self._through(access.readers, "s3")
        self._admit_some("ReadersRead", _READ, reading, self._objects(uploads, results))

    def _admit_services(self) -> None:
        account = {"StringEquals": {"aws:SourceAccount": self._names.account}}
        using = ["kms:Decrypt", "kms:GenerateDataKey"]
        # Without SourceArn: EventBridge does not send it along for every encrypted target.
        self._admit("EventsToQueues", using, account, service="events.amazonaws.com")
        alarms = self._names.arn("cloudwatch", f"alarm:{self._names.prefix}-*")
        self._admit(
            "AlarmsToTopics",
            using,
            {**account, "ArnLike": {"aws:SourceArn": alarms}},
            service="cloudwatch.amazonaws.com",
        )
        logs = self._names.arn("logs", f"log-group:/aws/lambda/{self._names.prefix}-*")
        self._admit(
            "LogGroups",
            USE_OF_KEY,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": logs}},
            service=f"logs.{self._names.region}.amazonaws.com",
        )

    def _admit_some(
        self,
        sid: str,
        actions: Sequence[str],
        condition: dict[str, Any] | None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        if condition is not None:
            self._admit(sid, actions, {**condition, **(more or {})})

    def _admit(
        self,
        sid: str,
        actions: Sequence[str],
        condition: Mapping[str, Any],
        *,
        service: str | None = None,
    ) -> None:
        principal = iam.ServicePrincipal(service) if service else iam.AccountRootPrincipal()
        self._statements.append(
            iam.PolicyStatement(
                sid=sid,
                principals=[principal],
                actions=list(actions),
                resources=["*"],  # in a key policy, the key itself
                conditions=condition,
            )
        )

    def _through(self, principals: Sequence[str], *services: str) -> dict[str, Any] | None:
        """Principals of the account who come by a service; None where there are none."""
        if not principals:
            return None
        names = self._names
        account = f"arn:{names.partition}:iam::{names.account}:"
        via = [f"{service}.{names.region}.{cdk.Aws.URL_SUFFIX}" for service in services]
        return {
            **_principals([account + principal for principal in principals]),
            "StringEquals": {"kms:ViaService": via},
        }

    def _objects(self, *buckets: str) -> dict[str, Any]:
        """With a bucket key, S3 encrypts in the name of the bucket; without, of the object."""
        arns = [f"arn:{self._names.partition}:s3:::{bucket}" for bucket in buckets]
        both = [pattern for arn in arns for pattern in (arn, f"{arn}/*")]
        return {"StringLike": {"kms:EncryptionContext:aws:s3:arn": both}}


def _principals(arns: list[str]) -> dict[str, Any]:
    return {"ArnLike": {"aws:PrincipalArn": arns}}
