"""The Lambda functions as the stack sets them up, each made anew for every invocation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.pipeline import ReconcileSettings
from lambdas.common.backends.processing import ProcessingBackend
from lambdas.common.batch import queue_handler
from lambdas.common.ledger import Ledger
from lambdas.common.queues import Queue
from lambdas.dispatch.core import Dispatcher
from lambdas.reconcile.bookmark import Bookmark
from lambdas.reconcile.core import Reconciler
from lambdas.reconcile.sweep import Sweep
from lambdas.settle.core import Settler
from tests.e2e.faults.simulation.clock import Clock
from tests.e2e.faults.simulation.seam import Execution
from tests.lambdas.stage import NAMES, SETTINGS, TEMPLATE

RECONCILE = ReconcileSettings(
    every_minutes=5,
    received_after_s=1200,
    dispatched_after_s=1800,
    uploaded_after_s=900,
    max_jobs=1000,
    max_versions=2000,
)
"""As `config/dev.toml` has them."""


@dataclass(frozen=True, slots=True)
class Clients:
    """What an invocation has of AWS."""

    s3: Any
    sqs: Any
    sns: Any
    sagemaker: Any
    dynamodb: Any
    clock: Clock

    def queue(self, name: str) -> Queue:
        return Queue(sqs=self.sqs, name=name, account=NAMES.account)

    @property
    def ledger(self) -> Ledger:
        return Ledger(client=self.dynamodb, table=NAMES.jobs_table, now=self.clock.ledger_now)


@dataclass(frozen=True, slots=True)
class Function:
    """
    A function as `stacks.orchestration` deploys it.

    Attributes:
        handle: Does what one message asks.
        queue: What feeds it; None where a schedule does, `every_s`.
    """

    role: str
    handle: Callable[[Clients, str], tuple[str, Mapping[str, object]]]
    timeout_s: float
    queue: str | None = None
    batch_size: int = 1
    every_s: float | None = None

    def invoke(self, clients: Clients, event: dict[str, Any], execution: Execution) -> Any:
        """One invocation, through the adapter that Lambda calls."""
        if self.queue is None:
            return self.handle(clients, "")

        def handle_message(body: str) -> tuple[str, Mapping[str, object]]:
            execution.trail.clear()  # what led to a call is what its own message did before
            return self.handle(clients, body)

        handler = queue_handler(handle_message, queue=clients.queue(self.queue))
        return handler(event, Context(execution, clients.clock))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Context:
    """What Powertools reads of Lambda's context."""

    execution: Execution
    clock: Clock
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = NAMES.arn("lambda", "function:f")
    aws_request_id: str = "request"

    @property
    def function_name(self) -> str:
        return NAMES.function(self.execution.role)

    def get_remaining_time_in_millis(self) -> int:
        return round(1000 * (self.execution.deadline_s - self.clock.now_s))


def _dispatch(clients: Clients, body: str) -> tuple[str, Mapping[str, object]]:
    backend = ProcessingBackend(
        sagemaker=clients.sagemaker, s3=clients.s3, names=NAMES, template=TEMPLATE
    )
    dispatcher = Dispatcher(
        s3=clients.s3,
        names=NAMES,
        settings=SETTINGS,
        ledger=clients.ledger,
        backend=backend,
        uploads=clients.queue(NAMES.uploads_queue),
        completions=clients.queue(NAMES.completions_queue),
    )
    step = dispatcher.handle(body)
    return step.done, {"job_id": step.job_id}


def _settle(clients: Clients, body: str) -> tuple[str, Mapping[str, object]]:
    settler = Settler.of(
        s3=clients.s3,
        sagemaker=clients.sagemaker,
        sns=clients.sns,
        names=NAMES,
        settings=SETTINGS,
        ledger=clients.ledger,
        uploads=clients.queue(NAMES.uploads_queue),
    )
    return "CompletionsHandled", {"job_id": settler.handle(body).job.job_id}


def _reconcile(clients: Clients, _: str) -> tuple[str, Mapping[str, object]]:
    ledger, uploads = clients.ledger, clients.queue(NAMES.uploads_queue)
    bookmark = Bookmark(client=clients.dynamodb, table=NAMES.jobs_table)
    reconciler = Reconciler(
        ledger=ledger,
        uploads=uploads,
        completions=clients.queue(NAMES.completions_queue),
        sweep=Sweep(
            s3=clients.s3,
            bucket=NAMES.uploads_bucket,
            ledger=ledger,
            bookmark=bookmark,
            uploads=uploads,
            settings=RECONCILE,
        ),
        settings=RECONCILE,
        now=lambda: clients.clock.now,
    )
    reconciler.run(lambda: True)
    return "Reconciled", {}


FUNCTIONS = {
    function.role: function
    for function in (
        Function("dispatch", _dispatch, 60, queue=NAMES.uploads_queue, batch_size=10),
        Function("settle", _settle, 900, queue=NAMES.completions_queue),
        Function("reconcile", _reconcile, 240, every_s=60.0 * RECONCILE.every_minutes),
    )
}
