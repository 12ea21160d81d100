"""From upload to outcome: events into queues, queues into functions, outcomes to a topic."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contracts.documents import to_dict
from contracts.env import JOB_TEMPLATE_VARIABLE, RECONCILE_VARIABLE, SETTINGS_VARIABLE, Names
from contracts.pipeline import JobTemplate
from stacks.constructs.alarms import Alarms
from stacks.constructs.function import FunctionFrame, RoleFunction, Schedule
from stacks.constructs.grants import accept, allow
from stacks.constructs.queue import WorkQueue, dead_letter_queue
from stacks.permissions import Permissions
from stacks.settings import Settings

DISPATCH_TIMEOUT = cdk.Duration.seconds(60)
SETTLE_TIMEOUT = cdk.Duration.minutes(15)
"""Settle reads every file of a result to compare checksums; Lambda gives no more."""

_IS_DEAD_LETTERS = (
    "It is the dead-letter queue of a schedule and of a function; the rule knows those of queues."
)


class Orchestration(cdk.Stack):
    """The queues, the functions that work through them or look after them, topics and alarms."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        names: Names,
        settings: Settings,
        key_arn: str,
        job_template: JobTemplate,
        **kwargs: Any,
    ) -> None:
        super().__init__(scope, id_, **kwargs)
        self._names, self._settings = names, settings
        self._key = kms.Key.from_key_arn(self, "Key", key_arn)
        self._pipeline = {SETTINGS_VARIABLE: self.to_json_string(to_dict(settings.pipeline))}
        self._frame = FunctionFrame(
            names, settings.functions, settings.log_retention_days, self._key
        )
        uploads = self._queue("Uploads", names.uploads_queue, DISPATCH_TIMEOUT)
        completions = self._queue("Completions", names.completions_queue, SETTLE_TIMEOUT)
        _deliver(self, "ObjectCreated", uploads, _object_created(names))
        _deliver(self, "ProcessingEnded", completions, _processing_ended(names))
        topic = OutcomesTopic(self, "Outcomes", name=names.outcomes_topic, key=self._key).topic
        dispatch = self._dispatch(uploads, job_template)
        settle = self._settle(completions)
        reconcile, lost_runs = self._reconcile()

        permissions = Permissions(names, self._key.key_arn)
        permissions.permit_dispatch(dispatch, job_template)
        permissions.permit_settle(settle)
        permissions.permit_reconcile(reconcile)
        permissions.permit_sending(dispatch, uploads, completions)
        permissions.permit_sending(settle, uploads)
        permissions.permit_sending(reconcile, uploads, completions)
        allow(settle.role, ["sns:Publish"], topic.topic_arn)

        alarms = Alarms(self, "Alarms", names=names, key=self._key)
        for name, queue in (("Uploads", uploads), ("Completions", completions)):
            alarms.watch_queue(name, queue.queue)
            alarms.watch_dead_letters(name, queue.dead_letters)
        alarms.watch_dead_letters("Reconcile", lost_runs)
        for name, function in (
            ("Dispatch", dispatch),
            ("Settle", settle),
            ("Reconcile", reconcile),
        ):
            alarms.watch_function(name, function.function)
        every = cdk.Duration.minutes(settings.reconcile.every_minutes)
        alarms.watch_schedule("Reconcile", reconcile.function, every=every)
        alarms.watch_failed_jobs(settle.function)

    def _dispatch(self, uploads: WorkQueue, job_template: JobTemplate) -> RoleFunction:
        template = {JOB_TEMPLATE_VARIABLE: self.to_json_string(to_dict(job_template))}
        dispatch = RoleFunction(
            self,
            "Dispatch",
            role_name="dispatch",
            frame=self._frame,
            timeout=DISPATCH_TIMEOUT,
            memory_mib=512,
            environment={**self._pipeline, **template},
            feeds_itself=True,  # what finds the backend busy waits in the queue
        )
        self._feed(dispatch, uploads, batch_size=10)
        return dispatch

    def _settle(self, completions: WorkQueue) -> RoleFunction:
        settle = RoleFunction(
            self,
            "Settle",
            role_name="settle",
            frame=self._frame,
            timeout=SETTLE_TIMEOUT,
            memory_mib=1769,  # one whole core, which comparing checksums takes
            environment=self._pipeline,
        )
        # One result at a time: reading all files of a large one may take the whole time-out.
        self._feed(settle, completions, batch_size=1)
        return settle

    def _reconcile(self) -> tuple[RoleFunction, sqs.Queue]:
        names, reconcile = self._names, self._settings.reconcile
        lost_runs = dead_letter_queue(
            self, "ReconcileDeadLetters", name=names.reconcile_dead_letters, key=self._key
        )
        accept(lost_runs, "AwsSolutions::AwsSolutions-SQS3", _IS_DEAD_LETTERS)
        function = RoleFunction(
            self,
            "Reconcile",
            role_name="reconcile",
            frame=self._frame,
            # Shorter than the interval: so runs do not overlap.
            timeout=cdk.Duration.seconds(min(300, 60 * reconcile.every_minutes) - 10),
            memory_mib=512,
            environment={RECONCILE_VARIABLE: self.to_json_string(to_dict(reconcile))},
        )
        Schedule(
            self,
            "ReconcileSchedule",
            name=names.function("reconcile"),
            role_name=names.role("reconcile-schedule"),
            target=function,
            every_minutes=reconcile.every_minutes,
            dead_letters=lost_runs,
            key=self._key,
        )
        return function, lost_runs

    def _feed(self, function: RoleFunction, queue: WorkQueue, *, batch_size: int) -> None:
        limit = self._settings.functions.max_concurrency
        function.work_through(queue.queue, batch_size=batch_size, max_concurrency=limit)

    def _queue(self, id_: str, name: str, timeout: cdk.Duration) -> WorkQueue:
        return WorkQueue(
            self, id_, name=name, names=self._names, key=self._key, consumer_timeout=timeout
        )


class OutcomesTopic(Construct):
    """
    Tells how each job ended; filter on the attributes `state`, `stage`, `model` and `code`.

    Attributes:
        topic: Encrypted, TLS only.
    """

    def __init__(self, scope: Construct, id_: str, *, name: str, key: kms.IKey) -> None:
        super().__init__(scope, id_)
        self.topic = sns.Topic(self, "Resource", topic_name=name, master_key=key, enforce_ssl=True)


def _deliver(scope: Construct, id_: str, queue: WorkQueue, pattern: events.EventPattern) -> None:
    target = targets.SqsQueue(queue.queue, dead_letter_queue=queue.dead_letters)
    events.Rule(scope, id_, event_pattern=pattern, targets=[target])


def _object_created(names: Names) -> events.EventPattern:
    return events.EventPattern(
        source=["aws.s3"],
        detail_type=["Object Created"],
        detail={"bucket": {"name": [names.uploads_bucket]}},
    )


def _processing_ended(names: Names) -> events.EventPattern:
    return events.EventPattern(
        source=["aws.sagemaker"],
        detail_type=["SageMaker Processing Job State Change"],
        detail={
            "ProcessingJobName": [{"prefix": names.processing_job_prefix}],
            "ProcessingJobStatus": ["Completed", "Failed", "Stopped"],
        },
    )
