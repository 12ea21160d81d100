"""A Lambda function that works through a queue under a role of its own."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contracts.env import ACCOUNT_VARIABLE, PARTITION_VARIABLE, STAGE_VARIABLE, Names
from stacks.constructs.grants import USE_OF_KEY, WILDCARD, accept, allow
from stacks.constructs.lambda_code import lambda_code
from stacks.constructs.logs import log_retention
from stacks.settings import FunctionSettings


class QueueFunction(Construct):
    """
    The function of `lambdas/<role_name>/handler.py`, fed by a queue.

    Args:
        feeds_itself: Whether it puts messages back into its own queue, to wait there.

    Attributes:
        role: What the function may do; its own log group and its queue are granted here.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        role_name: str,
        names: Names,
        settings: FunctionSettings,
        log_retention_days: int,
        key: kms.IKey,
        queue: sqs.IQueue,
        batch_size: int,
        timeout: cdk.Duration,
        memory_mib: int,
        environment: Mapping[str, str],
        feeds_itself: bool,
    ) -> None:
        super().__init__(scope, id_)
        name = names.function(role_name)
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.role(role_name),
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{name}",
            encryption_key=key,
            retention=log_retention(log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        log_group.grant_write(self.role)
        function = lambda_.Function(
            self,
            "Resource",
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"lambdas.{role_name}.handler.handler",
            code=lambda_code(role_name),
            role=self.role,
            log_group=log_group,
            timeout=timeout,
            memory_size=memory_mib,
            # Lambda takes a message that a function sends to its own queue again and again for a
            # mistake, and drops it after 16 rounds:
            # https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
            recursive_loop=lambda_.RecursiveLoop.ALLOW
            if feeds_itself
            else lambda_.RecursiveLoop.TERMINATE,
            environment_encryption=key,
            tracing=lambda_.Tracing.ACTIVE if settings.tracing else lambda_.Tracing.DISABLED,
            environment={
                STAGE_VARIABLE: names.stage,
                ACCOUNT_VARIABLE: names.account,
                PARTITION_VARIABLE: names.partition,
                "POWERTOOLS_SERVICE_NAME": role_name,
                "POWERTOOLS_LOG_LEVEL": settings.log_level,
                "POWERTOOLS_TRACE_DISABLED": str(not settings.tracing).lower(),
                **environment,
            },
        )
        allow(self.role, USE_OF_KEY, key.key_arn)  # its environment and queue, for a start
        if settings.tracing:
            accept(self.role, f"{WILDCARD}[Resource::*]", "X-Ray's actions know no resources.")
        function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_concurrency=settings.max_concurrency,
                report_batch_item_failures=True,
            )
        )
