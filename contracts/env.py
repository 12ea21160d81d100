"""Names of all that a stage deploys, built from the stage: so stacks deploy independently."""

import re
from dataclasses import dataclass

STAGE_VARIABLE = "FRAMEWRIGHT_STAGE"
ACCOUNT_VARIABLE = "FRAMEWRIGHT_ACCOUNT_ID"
PARTITION_VARIABLE = "FRAMEWRIGHT_PARTITION"
JOB_TEMPLATE_VARIABLE = "FRAMEWRIGHT_JOB_TEMPLATE"
SETTINGS_VARIABLE = "FRAMEWRIGHT_SETTINGS"
RECONCILE_VARIABLE = "FRAMEWRIGHT_RECONCILE"

ML_ROOT_VARIABLE = "ML_ROOT"
"""Where a container finds SageMaker's tree; `/opt/ml` unless set, as it is on one machine."""
ML_ROOT_DEFAULT = "/opt/ml"

PROCESSING_REQUESTS = "processing/input/requests"
PROCESSING_VIDEOS = "processing/input/videos"
PROCESSING_MODEL = "processing/input/model"
PROCESSING_RESULTS = "processing/output/results"
"""Folders of a Processing container below the ML root."""

BY_STATE_INDEX = "by-state"
"""The jobs table's index by state and time."""
BY_SOURCE_INDEX = "by-source"
"""The jobs table's index by source: which versions of an object the ledger has jobs for."""
UNTOLD_INDEX = "untold"
"""The jobs table's index of jobs that have ended and whose outcome was not told yet."""
BOOKMARK_ITEM = "bookmark:uploads"
"""The jobs table's item that says where the sweep of the uploads goes on; no job has such an id."""

_STAGE = re.compile(r"[a-z][a-z0-9]{1,9}")
_JOB_NAME = re.compile(
    r"fw-(?P<stage>[a-z0-9]+)-(?P<job>[0-9a-f]{32})-a(?P<attempt>[1-9]\d*)(-s(?P<start>[1-9]\d*))?"
)


def check_stage(stage: str) -> str:
    """
    The stage's name, if it can be part of every resource's name.

    Raises:
        ValueError: It cannot.
    """
    if not _STAGE.fullmatch(stage):
        raise ValueError(f"stage {stage!r}: 2 to 10 lower-case letters and digits, a letter first")
    return stage


@dataclass(frozen=True, slots=True)
class Names:
    """
    The names of one stage in one account and region.

    Account and region may be CloudFormation tokens (at synthesis) or plain values (at run time).
    """

    stage: str
    account: str
    region: str
    partition: str = "aws"

    def __post_init__(self) -> None:
        check_stage(self.stage)

    @property
    def uploads_bucket(self) -> str:
        return self._bucket("uploads")

    @property
    def results_bucket(self) -> str:
        return self._bucket("results")

    @property
    def models_bucket(self) -> str:
        return self._bucket("models")

    @property
    def access_logs_bucket(self) -> str:
        return self._bucket("access-logs")

    @property
    def key_alias(self) -> str:
        return f"alias/{self.prefix}"

    @property
    def jobs_table(self) -> str:
        return f"{self.prefix}-jobs"

    @property
    def uploads_queue(self) -> str:
        return f"{self.prefix}-uploads"

    @property
    def completions_queue(self) -> str:
        return f"{self.prefix}-completions"

    @property
    def outcomes_topic(self) -> str:
        return f"{self.prefix}-outcomes"

    @property
    def outcomes_topic_arn(self) -> str:
        return self.arn("sns", self.outcomes_topic)

    @property
    def alarms_topic(self) -> str:
        return f"{self.prefix}-alarms"

    @property
    def reconcile_dead_letters(self) -> str:
        """Runs of reconcile that could not be started, or died; the next run does their work."""
        return self.dead_letter_queue(self.function("reconcile"))

    @property
    def prefix(self) -> str:
        """What every name of the stage starts with."""
        return f"framewright-{self.stage}"

    @property
    def processing_job_prefix(self) -> str:
        """What every Processing job of the stage starts with."""
        return f"fw-{self.stage}-"

    def processing_job(self, job_id: str, attempt: int, start: int = 1) -> str:
        """The name of a start's Processing job; being determined, it cannot start twice."""
        again = f"-s{start}" if start > 1 else ""
        return f"{self.processing_job_prefix}{job_id}-a{attempt}{again}"

    def function(self, role: str) -> str:
        """The name of a Lambda function by its role's folder."""
        return f"{self.prefix}-{role}"

    def role(self, part: str) -> str:
        """The name of a part's IAM role; the region is in it because IAM knows no regions."""
        return f"{self.prefix}-{part}-{self.region}"

    def role_arn(self, part: str) -> str:
        """The ARN of a part's IAM role."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.role(part)}"

    def dead_letter_queue(self, queue: str) -> str:
        """The name of a queue's dead-letter queue."""
        return f"{queue}-dlq"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def _bucket(self, purpose: str) -> str:
        return f"{self.prefix}-{purpose}-{self.account}-{self.region}"


def parse_processing_job(name: str) -> tuple[str, str, int, int]:
    """
    Stage, job id, attempt and start of a Processing job's name.

    Raises:
        ValueError: The job is not one of ours.
    """
    match = _JOB_NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"not a processing job of Framewright: {name!r}")
    return match["stage"], match["job"], int(match["attempt"]), int(match["start"] or 1)
