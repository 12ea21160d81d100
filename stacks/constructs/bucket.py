"""Buckets that nobody reaches without TLS, without a grant, or unseen."""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.constructs.removal import removal_policy

ACCESS_LOGS_DAYS = 90
UNFINISHED_UPLOAD_DAYS = 7
MIN_TLS_VERSION = 1.2


def _foreign_keys(key: kms.IKey) -> tuple[dict[str, dict[str, str]], ...]:
    """Objects under a key that is not the stage's could be stored, but never read by its roles."""
    customer = "s3:x-amz-server-side-encryption-customer-algorithm"
    named = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    asked = "s3:x-amz-server-side-encryption"
    return (
        {"Null": {customer: "false"}},
        {"Null": {named: "false"}, "StringNotEquals": {named: key.key_arn}},
        {"Null": {asked: "false", named: "true"}},  # S3's own key, or the account's aws/s3
    )


class AccessLogsBucket(Construct):
    """
    Where the other buckets' access is written down.

    Attributes:
        bucket: S3-managed encryption, because log delivery cannot use a customer-managed key:
            https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """

    def __init__(self, scope: Construct, id_: str, *, name: str, keep: bool) -> None:
        super().__init__(scope, id_)
        self.bucket = s3.Bucket(
            self,
            "Resource",
            bucket_name=name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=MIN_TLS_VERSION,
            lifecycle_rules=[
                s3.LifecycleRule(id="expire-logs", expiration=cdk.Duration.days(ACCESS_LOGS_DAYS))
            ],
            removal_policy=removal_policy(keep=keep),
        )


class PrivateBucket(Construct):
    """
    A versioned, encrypted bucket.

    Args:
        roles: The ARNs of the stage's roles, as a pattern: whatever a role of them is allowed one
            day, deleting is not among it. What is to go goes by the bucket's lifecycle.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        key: kms.IKey,
        access_logs: s3.IBucket,
        rules: Sequence[s3.LifecycleRule],
        notifies: bool,
        noncurrent_days: int,
        keep: bool,
        roles: str,
    ) -> None:
        super().__init__(scope, id_)
        bucket = s3.Bucket(
            self,
            "Resource",
            bucket_name=name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=MIN_TLS_VERSION,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=f"{id_.lower()}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="abort-unfinished-uploads",
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(
                        UNFINISHED_UPLOAD_DAYS
                    ),
                ),
                s3.LifecycleRule(
                    id="expire-noncurrent-versions",
                    noncurrent_version_expiration=cdk.Duration.days(noncurrent_days),
                ),
                *rules,
            ],
            removal_policy=removal_policy(keep=keep),
        )
        for condition in _foreign_keys(key):
            _deny(bucket, ["s3:PutObject"], condition)
        deleting = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
        _deny(bucket, deleting, {"ArnLike": {"aws:PrincipalArn": roles}})
        if notifies:
            # `event_bridge_enabled` would do it through a custom resource with a Lambda of its own.
            resource = bucket.node.default_child
            assert isinstance(resource, s3.CfnBucket)  # noqa: S101  # narrows the type
            resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
                event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                    event_bridge_enabled=True
                )
            )


def _deny(bucket: s3.Bucket, actions: Sequence[str], condition: Mapping[str, Any]) -> None:
    bucket.add_to_resource_policy(
        iam.PolicyStatement(
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=list(actions),
            resources=[bucket.arn_for_objects("*")],
            conditions=condition,
        )
    )
