"""Telling the outcomes topic how a job ended."""

from typing import TYPE_CHECKING

from contracts.documents import to_json
from contracts.env import Names
from contracts.messages import JobOutcome, ObjectLocation
from lambdas.common.ledger import JobRecord

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


def publish_outcome(record: JobRecord, *, sns: "SNSClient", names: Names) -> None:
    """Tell how a job ended; subscribers filter on the attributes."""
    result = ObjectLocation(names.results_bucket, record.result_key) if record.result_key else None
    outcome = JobOutcome(
        job_id=record.job_id,
        state=record.state,
        attempt=record.attempt,
        source=record.source,
        model=record.model,
        selection=record.selection,
        code=record.code,
        message=record.message,
        result=result,
    )
    attributes = {"state": record.state, "stage": names.stage, "model": record.model.name}
    if record.code:
        attributes["code"] = record.code
    sns.publish(
        TopicArn=names.outcomes_topic_arn,
        Message=to_json(outcome),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": str(value)}
            for name, value in attributes.items()
        },
    )
