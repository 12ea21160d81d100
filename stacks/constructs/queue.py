"""A queue of work, with a place for what cannot be done."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contracts.env import Names

RETENTION_DAYS = 14
"""SQS's longest: what fails on a Friday is still there after a holiday."""
MAX_RECEIVES = 5
"""AWS's advice for queues that feed Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""


def dead_letter_queue(scope: Construct, id_: str, *, name: str, key: kms.IKey) -> sqs.Queue:
    """A queue for what could not be done, kept as long as SQS can."""
    return sqs.Queue(
        scope,
        id_,
        queue_name=name,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=cdk.Duration.days(RETENTION_DAYS),
    )


class WorkQueue(Construct):
    """
    An encrypted queue that takes TLS only, and its dead-letter queue.

    Attributes:
        queue: The queue.
        dead_letters: What was received `MAX_RECEIVES` times, or could not be delivered at all.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        names: Names,
        key: kms.IKey,
        consumer_timeout: cdk.Duration,
    ) -> None:
        super().__init__(scope, id_)
        self.dead_letters = dead_letter_queue(
            self, "DeadLetters", name=names.dead_letter_queue(name), key=key
        )
        self.queue = sqs.Queue(
            self,
            "Resource",
            queue_name=name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(RETENTION_DAYS),
            # Six times the function's time-out, or a slow batch comes back while it still runs.
            visibility_timeout=cdk.Duration.seconds(6 * consumer_timeout.to_seconds()),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=MAX_RECEIVES
            ),
        )
