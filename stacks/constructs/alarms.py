"""A topic that tells what needs a person, and the alarms that speak on it."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contracts.env import Names

PERIOD = cdk.Duration.minutes(5)
OLDEST_MESSAGE_S = 3600
"""A message that fails comes to the dead-letter queue after forty minutes; one that is older waits
for a function that does not keep up, or does not run."""


class Alarms(Construct):
    """
    The alarms of a stage.

    Attributes:
        topic: Encrypted, TLS only; CloudWatch speaks on it, and nobody else.
    """

    def __init__(self, scope: Construct, id_: str, *, names: Names, key: kms.IKey) -> None:
        super().__init__(scope, id_)
        self._names = names
        self.topic = sns.Topic(
            self, "Topic", topic_name=names.alarms_topic, master_key=key, enforce_ssl=True
        )
        alarms = names.arn("cloudwatch", f"alarm:{names.prefix}-*")
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": names.account},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )

    def watch_queue(self, id_: str, queue: sqs.IQueue) -> None:
        """Tell of a queue whose messages grow old."""
        self._add(
            f"{id_}Waits",
            queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum"),
            above=OLDEST_MESSAGE_S,
            says=f"A message of {id_} is older than an hour: its function does not keep up.",
        )

    def watch_dead_letters(self, id_: str, queue: sqs.IQueue) -> None:
        """Tell of anything in a dead-letter queue."""
        self._add(
            f"{id_}DeadLetters",
            queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum"),
            above=0,
            says=f"{id_} has dead letters: look at why, and redrive them.",
        )

    def watch_function(self, id_: str, function: lambda_.IFunction) -> None:
        """Tell of a function that dies or runs out of time."""
        self._add(
            f"{id_}Errors",
            function.metric_errors(period=PERIOD, statistic="Sum"),
            above=0,
            says=f"The function {id_} died or ran out of time.",
        )

    def watch_schedule(self, id_: str, function: lambda_.IFunction, *, every: cdk.Duration) -> None:
        """Tell of a function that has missed three runs."""
        period = cdk.Duration.minutes(max(5, 3 * every.to_minutes()))
        alarm = cloudwatch.Alarm(
            self,
            f"{id_}Missed",
            alarm_name=f"{self._names.prefix}-{id_}Missed",
            alarm_description=f"The function {id_} does not run: what is lost is not found.",
            metric=function.metric_invocations(period=period, statistic="Sum"),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        self._speak(alarm)

    def watch_failed_jobs(self, settle: lambda_.IFunction) -> None:
        """Tell of jobs whose attempts are exhausted."""
        self._add(
            "JobsFailed",
            cloudwatch.Metric(
                namespace="Framewright",
                metric_name="JobsFailed",
                dimensions_map={"service": settle.function_name},
                period=PERIOD,
                statistic="Sum",
            ),
            above=0,
            says="Jobs have failed for good: look at why, and redrive them.",
        )

    def _add(self, id_: str, metric: cloudwatch.IMetric, *, above: int, says: str) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=f"{self._names.prefix}-{id_}",
            alarm_description=says,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self._speak(alarm)

    def _speak(self, alarm: cloudwatch.Alarm) -> None:
        alarm.add_alarm_action(actions.SnsAction(self.topic))
