"""Completions queue → commit, ledger and outcomes topic. The adapter."""

import boto3
from botocore.config import Config

from contracts.env import SETTINGS_VARIABLE
from contracts.pipeline import PipelineSettings
from lambdas.common.batch import queue_handler
from lambdas.common.environment import document_of, names_of
from lambdas.common.ledger import Ledger
from lambdas.common.queues import Queue
from lambdas.settle.commit import READERS
from lambdas.settle.core import Settler

names = names_of()
sqs = boto3.client("sqs")
settler = Settler.of(
    s3=boto3.client("s3", config=Config(max_pool_connections=READERS)),
    sagemaker=boto3.client("sagemaker"),
    sns=boto3.client("sns"),
    names=names,
    settings=document_of(PipelineSettings, SETTINGS_VARIABLE),
    ledger=Ledger(client=boto3.client("dynamodb"), table=names.jobs_table),
    uploads=Queue(sqs=sqs, name=names.uploads_queue, account=names.account),
)


def handle_message(body: str) -> tuple[str, dict[str, object]]:
    """Handle one message of the completions queue."""
    settled = settler.handle(body)
    job = settled.job
    facts = {"job_id": job.job_id, "state": job.state, "attempt": job.attempt, "code": job.code}
    return f"Jobs{job.state.title()}" if settled.ended else "CompletionsHandled", facts


handler = queue_handler(
    handle_message,
    queue=Queue(sqs=sqs, name=names.completions_queue, account=names.account),
)
