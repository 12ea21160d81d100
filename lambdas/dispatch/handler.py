"""Uploads queue → ledger and backend. The adapter: environment, clients, one call per record."""

import boto3
from botocore.config import Config

from contracts.env import JOB_TEMPLATE_VARIABLE, SETTINGS_VARIABLE
from contracts.pipeline import JobTemplate, PipelineSettings
from lambdas.common.backends.processing import ProcessingBackend
from lambdas.common.batch import queue_handler
from lambdas.common.environment import document_of, names_of
from lambdas.common.ledger import Ledger
from lambdas.common.queues import Queue
from lambdas.dispatch.core import Dispatcher

names = names_of()
s3 = boto3.client("s3")
sqs = boto3.client("sqs")
dispatcher = Dispatcher(
    s3=s3,
    names=names,
    settings=document_of(PipelineSettings, SETTINGS_VARIABLE),
    ledger=Ledger(client=boto3.client("dynamodb"), table=names.jobs_table),
    backend=ProcessingBackend(
        # A start that is refused waits in the queue; waiting here would hold up the whole batch.
        sagemaker=boto3.client("sagemaker", config=Config(retries={"total_max_attempts": 2})),
        s3=s3,
        names=names,
        template=document_of(JobTemplate, JOB_TEMPLATE_VARIABLE),
    ),
    uploads=Queue(sqs=sqs, name=names.uploads_queue, account=names.account),
    completions=Queue(sqs=sqs, name=names.completions_queue, account=names.account),
)


def handle_message(body: str) -> tuple[str, dict[str, object]]:
    """Handle one message of the uploads queue."""
    step = dispatcher.handle(body)
    return step.done, {"done": step.done, "job_id": step.job_id, "detail": step.detail}


handler = queue_handler(handle_message, queue=dispatcher.uploads)
