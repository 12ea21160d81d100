"""Lambda functions, each under a role of its own: fed by a queue, or run on a schedule."""

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contracts.env import ACCOUNT_VARIABLE, PARTITION_VARIABLE, STAGE_VARIABLE, Names
from stacks.constructs.grants import USE_OF_KEY, WILDCARD, accept, allow
from stacks.constructs.lambda_code import lambda_code
from stacks.constructs.logs import log_retention
from stacks.settings import FunctionSettings


@dataclass(frozen=True, slots=True)
class FunctionFrame:
    """What all functions of a stage have in common."""

    names: Names
    settings: FunctionSettings
    log_retention_days: int
    key: kms.IKey


class RoleFunction(Construct):
    """
    The function of `lambdas/<role_name>/handler.py`.

    Args:
        feeds_itself: Whether it puts messages back into its own queue, to wait there.

    Attributes:
        function: Encrypted, and logging to a group that forgets.
        role: What the function may do; its own log group and the key are granted here.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        role_name: str,
        frame: FunctionFrame,
        timeout: cdk.Duration,
        memory_mib: int,
        environment: Mapping[str, str],
        feeds_itself: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        names, settings, key = frame.names, frame.settings, frame.key
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
            retention=log_retention(frame.log_retention_days),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        log_group.grant_write(self.role)
        self.function = lambda_.Function(
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
                "POWERTOOLS_SERVICE_NAME": name,  # the dimension of its metrics: one for each stage
                "POWERTOOLS_LOG_LEVEL": settings.log_level,
                "POWERTOOLS_TRACE_DISABLED": str(not settings.tracing).lower(),
                **environment,
            },
        )
        allow(self.role, USE_OF_KEY, key.key_arn)  # its environment and queue, for a start
        if settings.tracing:
            accept(self.role, f"{WILDCARD}[Resource::*]", "X-Ray's actions know no resources.")

    def work_through(self, queue: sqs.IQueue, *, batch_size: int, max_concurrency: int) -> None:
        """Feed the function by a queue, which learns which messages failed."""
        self.function.add_event_source(
            sources.SqsEventSource(
                queue,
                batch_size=batch_size,
                max_concurrency=max_concurrency,
                report_batch_item_failures=True,
            )
        )


class Schedule(Construct):
    """
    Runs a function every so many minutes, and tries no run again: the next makes good what this one
    did not. What could not be started, or died, is kept.

    A function whose time-out is shorter than the interval runs once at a time; capping its
    concurrency instead would take from an account what a new one does not have.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        role_name: str,
        target: RoleFunction,
        every_minutes: int,
        dead_letters: sqs.IQueue,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, id_)
        role = iam.Role(
            self, "Role", role_name=role_name, assumed_by=_scheduler(cdk.Stack.of(self))
        )
        allow(role, ["lambda:InvokeFunction"], target.function.function_arn)
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], key.key_arn)  # of its dead letters
        for sender in (role, target.role):
            allow(sender, ["sqs:SendMessage"], dead_letters.queue_arn)
        asynchronous = lambda_.CfnEventInvokeConfig(
            self,
            "Asynchronous",
            function_name=target.function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=0,
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=dead_letters.queue_arn
                )
            ),
        )
        schedule = scheduler.CfnSchedule(
            self,
            "Resource",
            name=name,
            schedule_expression=f"rate({every_minutes} minute{'s' if every_minutes > 1 else ''})",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target.function.function_arn,
                role_arn=role.role_arn,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(
                    arn=dead_letters.queue_arn
                ),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_retry_attempts=0),
            ),
        )
        for made in (asynchronous, schedule):  # both are refused until the roles may do all that
            made.node.add_dependency(role, target.role)


def _scheduler(stack: cdk.Stack) -> iam.ServicePrincipal:
    """
    EventBridge Scheduler, for schedules of this account alone.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    """
    group = stack.format_arn(service="scheduler", resource="schedule-group/default")
    return iam.ServicePrincipal(
        "scheduler.amazonaws.com",
        conditions={
            "StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group},
        },
    )
