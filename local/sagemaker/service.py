"""The local SageMaker put together."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from local.sagemaker.events import EventSender
from local.sagemaker.identity import Identity
from local.sagemaker.jobs import JobStore
from local.sagemaker.operations import Operations
from local.sagemaker.run import RunSettings
from local.sagemaker.scheduler import Scheduler
from local.sagemaker.wire import web_application

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_events.client import EventBridgeClient


@dataclass(frozen=True, slots=True)
class ServiceLimits:
    """
    How much the service takes on.

    Attributes:
        max_running_instances: Instances that run at once.
        instance_quota: Instances of unfinished jobs beyond which a job is refused.
    """

    max_running_instances: int
    instance_quota: int


def build_service(
    *,
    journal: "Path",
    identity: Identity,
    events: "EventBridgeClient",
    settings: RunSettings,
    limits: ServiceLimits,
) -> Starlette:
    """The service with its jobs as the journal has them; ends its containers when it goes down."""
    sender = EventSender(events)
    store = JobStore(journal, on_status=sender.send, instance_quota=limits.instance_quota)
    scheduler = Scheduler(
        store, identity, settings, max_running_instances=limits.max_running_instances
    )

    def shut_down() -> None:
        scheduler.shutdown()
        sender.close()
        store.close()

    return web_application(Operations(store, scheduler, identity), on_shutdown=shut_down)
