"""From upload to outcome: events into queues, queues into functions, outcomes to a topic."""

from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from contracts.documents import to_dict
from contracts.env import JOB_TEMPLATE_VARIABLE, SETTINGS_VARIABLE, Names
from contracts.keys import BUNDLES_PREFIX, JOBS_PREFIX, RESULT_DOCUMENT, RESULTS_PREFIX
from contracts.pipeline import JobTemplate
from stacks.constructs.function import QueueFunction
from stacks.constructs.grants import FOR_AWS_RESOURCES, allow
from stacks.constructs.queue import WorkQueue
from stacks.settings import Settings

DISPATCH_TIMEOUT = cdk.Duration.seconds(60)
SETTLE_TIMEOUT = cdk.Duration.minutes(5)
"""Settle reads every file of a result to compare checksums."""

_ANY_UPLOAD = "Whoever uploads chooses the key, and every key may hold a video."
_ANY_JOB = "A job's id stands in the name, and is known when the video is."
_ANY_BUNDLE = "A bundle's key is its digest; which are on offer is in the stage's settings."


class Orchestration(cdk.Stack):
    """The two queues, the two functions that work through them, and the outcomes topic."""

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
        uploads = self._queue("Uploads", names.uploads_queue, DISPATCH_TIMEOUT)
        completions = self._queue("Completions", names.completions_queue, SETTLE_TIMEOUT)
        _deliver(self, "ObjectCreated", uploads, _object_created(names))
        _deliver(self, "ProcessingEnded", completions, _processing_ended(names))
        topic = OutcomesTopic(self, "Outcomes", name=names.outcomes_topic, key=self._key).topic

        template = {JOB_TEMPLATE_VARIABLE: self.to_json_string(to_dict(job_template))}
        dispatch = self._function(
            "Dispatch", uploads, DISPATCH_TIMEOUT, batch_size=10, memory_mib=512, more=template
        )
        # One result at a time: reading all files of a large one may take the whole time-out.
        settle = self._function(
            "Settle", completions, SETTLE_TIMEOUT, batch_size=1, memory_mib=1024, more={}
        )
        self._permit_dispatch(dispatch, job_template)
        self._permit_settle(settle)
        for function, queue in ((dispatch, uploads), (dispatch, completions), (settle, uploads)):
            allow(function.role, ["sqs:GetQueueUrl", "sqs:SendMessage"], queue.queue.queue_arn)
        allow(settle.role, ["sns:Publish"], topic.topic_arn)

    def _permit_dispatch(self, dispatch: QueueFunction, template: JobTemplate) -> None:
        names, role = self._names, dispatch.role
        self._permit_reading_uploads(role)
        models = _bucket_arn(names, names.models_bucket)
        allow(role, ["s3:ListBucket"], models)
        allow(role, ["s3:GetObject"], f"{models}/{BUNDLES_PREFIX}*", because=_ANY_BUNDLE)
        results = _bucket_arn(names, names.results_bucket)
        allow(role, ["s3:PutObject"], f"{results}/{JOBS_PREFIX}*", because=_ANY_JOB)
        self._permit_ledger(role, "dynamodb:PutItem")
        starting = ["sagemaker:CreateProcessingJob", "sagemaker:AddTags"]
        allow(role, starting, _jobs_arn(names), because=_ANY_JOB)
        allow(
            role,
            ["iam:PassRole"],
            template.role_arn,
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        # SageMaker attaches the key to the job's volume in the caller's name.
        allow(role, ["kms:CreateGrant"], self._key.key_arn, conditions=FOR_AWS_RESOURCES)

    def _permit_settle(self, settle: QueueFunction) -> None:
        names, role = self._names, settle.role
        self._permit_reading_uploads(role)
        results = _bucket_arn(names, names.results_bucket)
        allow(role, ["s3:ListBucket"], results)
        allow(role, ["s3:GetObject"], f"{results}/{RESULTS_PREFIX}*", because=_ANY_JOB)
        committed = f"{results}/{RESULTS_PREFIX}*/{RESULT_DOCUMENT}"
        allow(role, ["s3:PutObject"], committed, because=_ANY_JOB)
        self._permit_ledger(role)
        describing = ["sagemaker:DescribeProcessingJob"]
        allow(role, describing, _jobs_arn(names), because=_ANY_JOB)

    def _permit_reading_uploads(self, role: iam.Role) -> None:
        uploads = _bucket_arn(self._names, self._names.uploads_bucket)
        reading = ["s3:GetObject", "s3:GetObjectVersion"]
        allow(role, reading, f"{uploads}/*", because=_ANY_UPLOAD)
        # Without them, S3 answers 403 for a missing object or version instead of 404.
        allow(role, ["s3:ListBucket", "s3:ListBucketVersions"], uploads)

    def _permit_ledger(self, role: iam.Role, *more: str) -> None:
        table = self._names.arn("dynamodb", f"table/{self._names.jobs_table}")
        allow(role, ["dynamodb:GetItem", "dynamodb:UpdateItem", *more], table)

    def _queue(self, id_: str, name: str, timeout: cdk.Duration) -> WorkQueue:
        return WorkQueue(
            self, id_, name=name, names=self._names, key=self._key, consumer_timeout=timeout
        )

    def _function(
        self,
        id_: str,
        queue: WorkQueue,
        timeout: cdk.Duration,
        *,
        batch_size: int,
        memory_mib: int,
        more: Mapping[str, str],
    ) -> QueueFunction:
        return QueueFunction(
            self,
            id_,
            role_name=id_.lower(),
            names=self._names,
            settings=self._settings.functions,
            log_retention_days=self._settings.log_retention_days,
            key=self._key,
            queue=queue.queue,
            batch_size=batch_size,
            timeout=timeout,
            memory_mib=memory_mib,
            environment={**self._pipeline, **more},
            feeds_itself=id_ == "Dispatch",  # what finds the backend busy waits in the queue
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


def _bucket_arn(names: Names, bucket: str) -> str:
    return f"arn:{names.partition}:s3:::{bucket}"


def _jobs_arn(names: Names) -> str:
    return names.arn("sagemaker", f"processing-job/{names.processing_job_prefix}*")
