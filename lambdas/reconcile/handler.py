"""Schedule → messages for what was lost. The adapter: environment, clients, one run."""

from dataclasses import asdict
from typing import Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from contracts.env import RECONCILE_VARIABLE
from contracts.pipeline import ReconcileSettings
from lambdas.common.environment import document_of, names_of
from lambdas.common.ledger import Ledger
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.queues import Queue
from lambdas.reconcile.bookmark import Bookmark
from lambdas.reconcile.core import Reconciler
from lambdas.reconcile.sweep import Sweep

RESERVE_MS = 20_000
"""Time for the step that is under way when time runs out."""

names = names_of()
settings = document_of(ReconcileSettings, RECONCILE_VARIABLE)
sqs = boto3.client("sqs")
dynamodb = boto3.client("dynamodb")
ledger = Ledger(client=dynamodb, table=names.jobs_table)
uploads = Queue(sqs=sqs, name=names.uploads_queue, account=names.account)
reconciler = Reconciler(
    ledger=ledger,
    uploads=uploads,
    completions=Queue(sqs=sqs, name=names.completions_queue, account=names.account),
    sweep=Sweep(
        s3=boto3.client("s3"),
        bucket=names.uploads_bucket,
        ledger=ledger,
        bookmark=Bookmark(client=dynamodb, table=names.jobs_table),
        uploads=uploads,
        settings=settings,
    ),
    settings=settings,
)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001  # no input
    """Run once."""
    found = reconciler.run(lambda: context.get_remaining_time_in_millis() > RESERVE_MS)
    logger.info("reconciled", extra=asdict(found))
    for name, count in (
        ("AttemptsAskedAgain", found.received),
        ("JobsChecked", found.dispatched),
        ("OutcomesAskedFor", found.untold),
        ("UploadsFound", found.swept.lost),
        ("RunsOutOfTime", int(found.out_of_time)),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
