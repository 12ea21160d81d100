"""One stage, wherever it runs: its names, its clients, and what uploads may ask of it."""

import functools
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import Exit, UserError
from cli.output import program
from contracts.documents import from_dict
from contracts.env import Names, check_stage
from contracts.pipeline import PipelineSettings
from lambdas.common.ledger import Ledger
from lambdas.common.queues import Queue

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

LOCAL = "local"
CONFIG_FOLDER = Path(__file__).resolve().parent.parent / "config"


class Stage:
    """
    A stage that can be talked to.

    Args:
        client: Makes a client of an AWS service.
        settings: What uploads may ask for; None for a deployed stage, where dispatch decides.
    """

    def __init__(
        self, *, names: Names, client: Callable[[str], Any], settings: PipelineSettings | None
    ) -> None:
        self.names = names
        self.settings = settings
        self._client = client

    @functools.cached_property
    def s3(self) -> "S3Client":
        """A client for the stage's buckets."""
        client: S3Client = self._client("s3")
        return client

    @functools.cached_property
    def sqs(self) -> "SQSClient":
        """A client for the stage's queues."""
        client: SQSClient = self._client("sqs")
        return client

    def client(self, service: str) -> Any:
        """A client of another AWS service."""
        return self._client(service)

    def queue(self, name: str) -> Queue:
        """One of the stage's queues, to send to."""
        return Queue(sqs=self.sqs, name=name, account=self.names.account)

    @functools.cached_property
    def ledger(self) -> Ledger:
        """The stage's jobs."""
        return Ledger(client=self._client("dynamodb"), table=self.names.jobs_table)

    @property
    def is_local(self) -> bool:
        """Whether the embedded cloud runs it: polling is free and answers are quick."""
        return self.names.stage == LOCAL

    @property
    def option(self) -> str:
        """What a command takes after it to mean this stage; nothing for the local one."""
        return "" if self.is_local else f" --stage {self.names.stage}"

    @property
    def poll_interval_s(self) -> float:
        """How often to ask how jobs stand."""
        return 0.3 if self.is_local else 2.0


def open_stage(name: str) -> Stage:
    """
    The stage of that name.

    Raises:
        UserError: There is no such stage, or it cannot be reached.
    """
    known = sorted(path.stem for path in CONFIG_FOLDER.glob("*.toml"))
    try:
        check_stage(name)
    except ValueError as error:
        raise UserError(f"{error}.", remedy=_known(known), code=Exit.USAGE) from None
    if name not in known:
        raise UserError(
            f"There is no stage {name!r}: no config/{name}.toml.",
            remedy=_known(known),
            code=Exit.USAGE,
        )
    return _open_local() if name == LOCAL else _open_deployed(name)


def read_pipeline_settings(name: str) -> PipelineSettings:
    """What uploads may ask of a stage, as its file in `config/` says."""
    file = CONFIG_FOLDER / f"{name}.toml"
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    return from_dict(PipelineSettings, values["pipeline"], path=f"config/{name}.toml")


def _open_local() -> Stage:
    from local.cloud import EmbeddedCloud
    from local.config import ACCOUNT, REGION

    cloud = EmbeddedCloud()
    if not cloud.status().is_up:
        raise UserError(
            "The embedded cloud is not running, so there is no local stage.",
            remedy=f"Run `{program()} up`, or name a deployed stage with --stage.",
        )
    return Stage(
        names=Names(LOCAL, ACCOUNT, REGION),
        client=cloud.client,
        settings=read_pipeline_settings(LOCAL),
    )


def _open_deployed(name: str) -> Stage:
    import boto3
    from botocore.exceptions import NoRegionError

    # boto3 reads AWS_DEFAULT_REGION only; the AWS CLI and the CDK read AWS_REGION first.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    if session.region_name is None:
        raise NoRegionError
    account = session.client("sts").get_caller_identity()["Account"]
    partition = session.get_partition_for_region(session.region_name)
    return Stage(
        names=Names(name, account, session.region_name, partition),
        client=session.client,  # type: ignore[arg-type]  # overloaded by service name
        settings=None,
    )


def _known(stages: list[str]) -> str:
    return f"Known stages are: {', '.join(stages)}."
