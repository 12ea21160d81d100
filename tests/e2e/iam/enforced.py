"""The stage of a cloud that enforces IAM, and hands to move its jobs."""

import json
import time
from pathlib import Path

from contracts.documents import from_json
from contracts.env import RECONCILE_VARIABLE, SETTINGS_VARIABLE
from contracts.keys import bundle_key
from contracts.messages import (
    Source,
    job_id,
    pipeline_digest,
)
from contracts.pipeline import PipelineSettings
from local.authority import Authority
from local.cloud import EmbeddedCloud
from local.state import read_state
from tests.e2e.iam.policies import functions
from tests.e2e.stage import LocalStage
from tests.vision.bad_videos import after_moov
from tests.vision.models.graphs import a_bundle, a_spec, constant_graph, plain_outputs
from tests.vision.videos import VideoSpec, make_video
from vision.models.bundle import bundle_digest

_OUTCOMES = "iam-outcomes"


class EnforcedStage(LocalStage):
    """The stage of a cloud that enforces IAM, with an ear at its topic and an eye on refusals."""

    def __init__(self, cloud: EmbeddedCloud, folder: Path) -> None:
        super().__init__(cloud)
        self.cloud = cloud
        self.sagemaker = cloud.client("sagemaker")
        self.logs = cloud.client("logs")
        self.functions = functions(cloud)
        kms = cloud.client("kms")
        self.key = kms.describe_key(KeyId=self.names.key_alias)["KeyMetadata"]["Arn"]
        self.settings = self._settings()
        long = VideoSpec(size=(640, 360), frame_count=600)  # half a minute to look at all of it
        self.long_video = make_video(folder / "long.mp4", long).read_bytes()
        self.video = make_video(folder / "video.mp4", VideoSpec(frame_count=12)).read_bytes()
        after_moov(folder / "broken.mp4")
        self.broken = (folder / "broken.mp4").read_bytes()
        self.bundle = self._push_bundle(folder)
        self.ear = self._subscribe()
        self.authority = Authority(read_state(cloud.config.state_file).endpoints)
        self._hurry_reconcile()
        self.idle_role = self._idle_role()

    def refusals(self) -> list[dict[str, str]]:
        """Everything that was refused to anyone since the cloud came up."""
        file = self.cloud.config.refusals
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def source(self, key: str, body: bytes, **metadata: str) -> Source:
        """Upload a file; the version that came of it."""
        put = self.s3.put_object(
            Bucket=self.names.uploads_bucket, Key=key, Body=body, Metadata=metadata
        )
        etag, version = put["ETag"].strip('"'), put["VersionId"]
        return Source(self.names.uploads_bucket, key, etag, len(body), version)

    def job_of(self, source: Source, model: str | None = None, select: str | None = None) -> str:
        """The job that a version becomes."""
        pipeline = pipeline_digest(self.settings.model(model), self.settings.selection(select))
        return job_id(source, pipeline)

    def quieten(self) -> None:
        """Forget whatever a run left in queues and jobs."""
        for queue in (self.names.uploads_queue, self.names.completions_queue, _OUTCOMES):
            self.sqs.purge_queue(QueueUrl=self.sqs.get_queue_url(QueueName=queue)["QueueUrl"])
        running = self.sagemaker.list_processing_jobs(StatusEquals="InProgress", MaxResults=100)
        for job in running["ProcessingJobSummaries"]:
            self.stop(job["ProcessingJobName"])
        pages = self.s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.names.uploads_bucket):
            for version in page.get("Versions", []):
                self.s3.delete_object(
                    Bucket=self.names.uploads_bucket,
                    Key=version["Key"],
                    VersionId=version["VersionId"],
                )

    def has_job(self, name: str) -> bool:
        """Whether SageMaker knows a Processing job."""
        try:
            self.sagemaker.describe_processing_job(ProcessingJobName=name)
        except self.sagemaker.exceptions.ClientError:
            return False
        return True

    def stop(self, name: str) -> bool:
        """Stop a Processing job; False where there is none that runs."""
        try:
            self.sagemaker.stop_processing_job(ProcessingJobName=name)
        except self.sagemaker.exceptions.ClientError:
            return False
        return True

    def heard(self) -> set[str]:
        """The ids of jobs whose outcome the topic told since the last time."""
        found: set[str] = set()
        while messages := self.sqs.receive_message(QueueUrl=self.ear, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.add(json.loads(json.loads(message["Body"])["Message"])["job_id"])
                self.sqs.delete_message(QueueUrl=self.ear, ReceiptHandle=message["ReceiptHandle"])
        return found

    def logged_since(self, function: str, at_s: float) -> bool:
        """Whether a function wrote a log since then."""
        streams = self.logs.describe_log_streams(logGroupName=f"/aws/lambda/{function}")
        return any(s["creationTime"] >= at_s * 1000 for s in streams["logStreams"])

    def reconcile(self) -> None:
        """Let the schedule of reconcile come, which finds what is a second old."""
        self.authority.run_schedules()

    def restart_functions(self) -> None:
        """Let the functions start anew: what they have looked up is forgotten."""
        functions = self.cloud.client("lambda")
        for name in self.functions:
            found = functions.get_function_configuration(FunctionName=name)
            variables = found["Environment"]["Variables"] | {"STARTED": str(time.time())}
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )

    def _hurry_reconcile(self) -> None:
        functions = self.cloud.client("lambda")
        name = self.names.function("reconcile")
        variables = functions.get_function_configuration(FunctionName=name)["Environment"][
            "Variables"
        ]
        ages = {f"{what}_after_s": 1 for what in ("received", "dispatched", "uploaded")}
        hurried = json.loads(variables[RECONCILE_VARIABLE]) | ages
        variables[RECONCILE_VARIABLE] = json.dumps(hurried)
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )

    def _settings(self) -> PipelineSettings:
        function = self.cloud.client("lambda").get_function_configuration(
            FunctionName=self.names.function("dispatch")
        )
        return from_json(PipelineSettings, function["Environment"]["Variables"][SETTINGS_VARIABLE])

    def _idle_role(self) -> str:
        """A role of another's jobs, which need no permissions."""
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        made = self.cloud.client("iam").create_role(
            RoleName=f"idle-{time.time_ns()}",
            AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}),
        )
        arn: str = made["Role"]["Arn"]
        return arn

    def _push_bundle(self, folder: Path) -> str:
        path = a_bundle(folder, constant_graph(plain_outputs([], [], [])), a_spec())
        digest = bundle_digest(path)
        self.s3.put_object(
            Bucket=self.names.models_bucket, Key=bundle_key(digest), Body=path.read_bytes()
        )
        return f"bundle:{digest}"

    def _subscribe(self) -> str:
        arn = self.names.arn("sqs", _OUTCOMES)
        policy = {
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        }
        url: str = self.sqs.create_queue(
            QueueName=_OUTCOMES, Attributes={"Policy": json.dumps(policy)}
        )["QueueUrl"]
        self.sns.subscribe(TopicArn=self.names.outcomes_topic_arn, Protocol="sqs", Endpoint=arn)
        return url
