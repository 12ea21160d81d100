"""How a whole stage stands: jobs by state, queues, dead letters, what rests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from cli.dead_letters import dead_letter_queues
from cli.errors import UserError
from cli.stage import Stage
from cli.switches import Switches
from contracts.outcomes import JobState
from lambdas.common.ledger import JobRecord, Ledger, utc_now

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MAX_COUNTED = 1000
"""Jobs of a state that are counted in each of the index's eight partitions."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Depth:
    """
    How many messages a queue holds, about.

    Attributes:
        delayed: Waiting for their time.
        in_work: With a function.
    """

    waiting: int
    delayed: int
    in_work: int


@dataclass(frozen=True, slots=True)
class Overview:
    """
    How a stage stands.

    Attributes:
        counts: Jobs by state, and whether these are all.
        oldest_open: The open job to which nothing has happened for longest.
        depths: Queues and dead-letter queues by name, or why they could not be looked at.
        running: Whether each part runs, or likewise.
    """

    counts: dict[JobState, tuple[int, bool]]
    oldest_open: JobRecord | None
    depths: dict[str, Depth | str]
    running: dict[str, bool] | str

    def plain(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "counts": {state: count for state, (count, _) in self.counts.items()},
            "counts_are_complete": all(is_all for _, is_all in self.counts.values()),
            "oldest_open": self.oldest_open and self.oldest_open.job_id,
            "queues": {
                name: None if isinstance(depth, str) else asdict(depth)
                for name, depth in self.depths.items()
            },
            "running": None if isinstance(self.running, str) else self.running,
        }


def look_over(stage: Stage) -> Overview:
    """Ask everything that an overview takes, at once."""
    ledger, switches = stage.ledger, Switches(stage)
    pairs = [(it.home, it.name) for it in dead_letter_queues(stage.names).values()]
    names = [name for pair in pairs for name in pair if name]
    read = partial(_depth, sqs=stage.sqs, account=stage.names.account)
    with ThreadPoolExecutor(len(JobState) + len(names) + 2) as askers:
        oldest = askers.submit(_oldest_open, ledger)
        running = askers.submit(_or_why_not, switches.read)
        depths = askers.map(lambda name: _or_why_not(partial(read, name)), names)
        counts = askers.map(lambda state: ledger.count(state, most=MAX_COUNTED), JobState)
        return Overview(
            counts={
                state: count for state, count in zip(JobState, counts, strict=True) if count[0]
            },
            oldest_open=oldest.result(),
            depths=dict(zip(names, depths, strict=True)),
            running=running.result(),
        )


def _oldest_open(ledger: Ledger) -> JobRecord | None:
    now = utc_now()
    oldest = [
        job
        for state in JobState
        if not state.is_terminal
        for job in ledger.older_than(state, before=now, limit=1)
    ]
    return min(oldest, key=lambda job: job.updated_at, default=None)


def _depth(queue: str, *, sqs: "SQSClient", account: str) -> Depth:
    url = sqs.get_queue_url(QueueName=queue, QueueOwnerAWSAccountId=account)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return Depth(
        waiting=int(found["ApproximateNumberOfMessages"]),
        delayed=int(found["ApproximateNumberOfMessagesDelayed"]),
        in_work=int(found["ApproximateNumberOfMessagesNotVisible"]),
    )


def _or_why_not(ask: Callable[[], T]) -> T | str:
    """Whoever may only read jobs is shown those, and so is whose stage lacks a part."""
    try:
        return ask()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return "(these credentials may not look)" if "AccessDenied" in code else f"({code})"
    except UserError as error:
        return f"({error.what})"
