"""What outlives everything else: the key, the buckets, and the ledger's table."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from contracts.env import BY_SOURCE_INDEX, BY_STATE_INDEX, UNTOLD_INDEX, Names
from contracts.keys import JOBS_PREFIX, LEFTOVER_TAG
from stacks.constructs.bucket import AccessLogsBucket, PrivateBucket
from stacks.constructs.key import StageKey
from stacks.constructs.removal import removal_policy
from stacks.settings import Settings

JOB_FILES_DAYS = 14
"""Requests and manifests are of use while their attempt runs, which takes nine days at most."""
LEFTOVER_DAYS = 14
"""What an attempt left that no result names is of use while somebody looks into why."""
NONCURRENT_DAYS = 30


class Storage(cdk.Stack):
    """
    Buckets, table and key of one stage.

    Attributes:
        key: Encrypts everything of the stage; other stacks name it by its ARN.
    """

    def __init__(
        self, scope: Construct, id_: str, *, names: Names, settings: Settings, **kwargs: Any
    ) -> None:
        super().__init__(scope, id_, **kwargs)
        self.key = StageKey(
            self, "Key", names=names, access=settings.access, keep=settings.keep_data
        ).key
        logs = AccessLogsBucket(
            self, "AccessLogs", name=names.access_logs_bucket, keep=settings.keep_data
        )
        for id_, name, rules, notifies in (
            ("Uploads", names.uploads_bucket, [], True),
            ("Results", names.results_bucket, [_expire_job_files(), _expire_leftovers()], True),
            ("Models", names.models_bucket, [], False),
        ):
            PrivateBucket(
                self,
                id_,
                name=name,
                key=self.key,
                access_logs=logs.bucket,
                rules=rules,
                notifies=notifies,
                noncurrent_days=NONCURRENT_DAYS,
                keep=settings.keep_data,
                roles=names.role_arn("*"),
            )
        JobsTable(self, "Jobs", name=names.jobs_table, key=self.key, keep=settings.keep_data)


class JobsTable(Construct):
    """The ledger's table."""

    def __init__(self, scope: Construct, id_: str, *, name: str, key: kms.IKey, keep: bool) -> None:
        super().__init__(scope, id_)
        # Not TableV2: its replicas cannot have a customer-managed key in a stack without a region.
        table = dynamodb.Table(
            self,
            "Resource",
            table_name=name,
            partition_key=_string("job_id"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=keep,
            removal_policy=removal_policy(keep=keep),
        )
        table.add_global_secondary_index(
            index_name=BY_STATE_INDEX,
            partition_key=_string("state_shard"),
            sort_key=_string("updated_at"),
        )
        table.add_global_secondary_index(
            index_name=BY_SOURCE_INDEX,
            partition_key=_string("source_uri"),
            sort_key=_string("source_version"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        table.add_global_secondary_index(
            index_name=UNTOLD_INDEX,
            partition_key=_string("untold_shard"),
            sort_key=_string("updated_at"),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )


def _string(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _expire_leftovers() -> s3.LifecycleRule:
    name, value = LEFTOVER_TAG
    return s3.LifecycleRule(
        id="expire-leftovers",
        tag_filters={name: value},
        expiration=cdk.Duration.days(LEFTOVER_DAYS),
    )


def _expire_job_files() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="expire-job-files", prefix=JOBS_PREFIX, expiration=cdk.Duration.days(JOB_FILES_DAYS)
    )
