"""The Processing backend: its image, what its jobs may do, and the form that dispatch fills in."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from contracts.env import Names
from contracts.keys import BUNDLES_PREFIX, JOBS_PREFIX, RESULT_DOCUMENT, RESULTS_PREFIX
from contracts.pipeline import JobTemplate
from stacks.constructs.grants import FOR_AWS_RESOURCES, USE_OF_KEY, accept, allow
from stacks.constructs.logs import log_retention
from stacks.settings import Settings

ROOT = Path(__file__).parent.parent
LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
"""Fixed by SageMaker, for every Processing job of the account."""


class Processing(cdk.Stack):
    """
    The image and the role of Processing jobs.

    Attributes:
        job_template: What every job has in common. The image's address is made of the account, the
            region and the image's digest, so a stack that uses it does not depend on this one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        settings: Settings,
        key_arn: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id_, **kwargs)
        image = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(ROOT),
            file="containers/Dockerfile",
            # SageMaker Processing has no Graviton instances.
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
        if settings.processing.owns_log_group:
            group = logs.LogGroup(
                self,
                "Logs",
                log_group_name=LOG_GROUP,
                retention=log_retention(settings.log_retention_days),
                # Other stages of the account write to it too.
                removal_policy=cdk.RemovalPolicy.RETAIN,
            )
            accept(
                group,
                "Framewright::key",
                "Jobs of every stage of the account log here: with the key of one, the others' "
                "logs would become unreadable when that stage goes. CloudWatch's own key is used.",
            )
        key = kms.Key.from_key_arn(self, "Key", key_arn)
        role = ProcessingRole(self, "Role", names=names, key=key).role
        image.repository.grant_pull(role)
        self.job_template = JobTemplate(
            image_uri=image.image_uri,
            role_arn=names.role_arn("processing"),
            kms_key_arn=key_arn,
            instance_type=settings.processing.instance_type,
            volume_size_gb=settings.processing.volume_size_gb,
            max_runtime_s=settings.processing.max_runtime_s,
            arguments=settings.limits.to_arguments(),
        )


class ProcessingRole(Construct):
    """
    What SageMaker may do on behalf of the stage's jobs: read their inputs, write their results.

    The container itself has no network and uses none of this.
    """

    def __init__(self, scope: Construct, id_: str, *, names: Names, key: kms.IKey) -> None:
        super().__init__(scope, id_)
        jobs = names.arn("sagemaker", f"processing-job/{names.processing_job_prefix}*")
        self.role = iam.Role(
            self,
            "Resource",
            role_name=names.role("processing"),
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": names.account},
                    "ArnLike": {"aws:SourceArn": jobs},
                },
            ),
        )
        uploads, results, models = (
            f"arn:{names.partition}:s3:::{bucket}"
            for bucket in (names.uploads_bucket, names.results_bucket, names.models_bucket)
        )
        allow(self.role, ["s3:ListBucket"], uploads, results, models)
        allow(
            self.role,
            ["s3:GetObject"],
            f"{uploads}/*",
            f"{results}/{JOBS_PREFIX}*",
            f"{models}/{BUNDLES_PREFIX}*",
            because="Jobs of every video, request and bundle of the stage share this role.",
        )
        allow(
            self.role,
            ["s3:PutObject", "s3:AbortMultipartUpload"],
            f"{results}/{RESULTS_PREFIX}*",
            because="The path of a result holds its video's key and its job's id.",
        )
        self.role.add_to_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,  # a container never commits
                actions=["s3:PutObject"],
                resources=[f"{results}/{RESULTS_PREFIX}*/{RESULT_DOCUMENT}"],
            )
        )
        allow(self.role, USE_OF_KEY, key.key_arn)
        allow(self.role, ["kms:CreateGrant"], key.key_arn, conditions=FOR_AWS_RESOURCES)
        self._allow_telling(names)

    def _allow_telling(self, names: Names) -> None:
        """Let SageMaker write a job's logs and metrics."""
        allow(
            self.role,
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            names.arn("logs", f"log-group:{LOG_GROUP}:*"),
            because="SageMaker names a stream after the job and its instance.",
        )
        allow(
            self.role,
            ["cloudwatch:PutMetricData"],
            "*",
            because="The action knows no resources; its condition names the namespace. "
            "A token of the registry, which is for pulling the image, knows none either.",
            conditions={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/ProcessingJobs"}},
        )
