"""One stage with real clients of an emulated AWS, and hands to move a job through it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3

from contracts.documents import to_json
from contracts.env import BY_SOURCE_INDEX, BY_STATE_INDEX, UNTOLD_INDEX, Names
from contracts.keys import ATTEMPT_DOCUMENT, DETECTIONS_FILE, attempt_prefix
from contracts.outcomes import Outcome
from contracts.pipeline import JobTemplate, PipelineSettings, ReconcileSettings
from contracts.results import AttemptDocument, Counts, ResultFile, VideoFacts
from lambdas.common.backends.processing import ProcessingBackend
from lambdas.common.ledger import JobRecord, Ledger
from lambdas.common.queues import Queue
from lambdas.dispatch.core import Dispatcher, Step
from lambdas.reconcile.bookmark import Bookmark
from lambdas.reconcile.core import Reconciler
from lambdas.reconcile.sweep import Sweep
from lambdas.settle.core import Settler
from tests.lambdas.sagemaker import FakeSageMaker

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

EVENTS = Path(__file__).parent.parent / "events"
ACCOUNT, REGION = "123456789012", "eu-west-1"
NAMES = Names("dev", ACCOUNT, REGION)
BUNDLE = "ab" * 32
SETTINGS = PipelineSettings(
    default_model="builtin:people",
    default_selection="every_seconds=1",
    allowed_models=("builtin:people", "bundle:*"),
    allowed_selections=("every_seconds=*", "key_frames"),
    max_size_bytes=1000,
    max_attempts=3,
    retry_base_s=60,
    model_aliases={"cars": f"bundle:{BUNDLE}"},
)
RECONCILE = ReconcileSettings(
    every_minutes=5,
    received_after_s=600,
    dispatched_after_s=900,
    uploaded_after_s=300,
    max_jobs=100,
    max_versions=100,
)
TEMPLATE = JobTemplate(
    image_uri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/images:tag",
    role_arn=NAMES.role_arn("processing"),
    kms_key_arn=NAMES.arn("kms", "key/11111111-2222-3333-4444-555555555555"),
    instance_type="ml.c6i.xlarge",
    volume_size_gb=30,
    max_runtime_s=3600,
    arguments=("--image-width", "640"),
)
MP4 = b"\x00\x00\x00\x18ftypisom" + b"\x00" * 30
DETECTIONS = b"one line of detections, gzipped"


def event(name: str) -> dict[str, Any]:
    """An event as AWS sends it, from tests/events."""
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


class Stage:
    """The stage `dev`."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3", region_name=REGION)
        self.sqs = boto3.client("sqs", region_name=REGION)
        self.sns = boto3.client("sns", region_name=REGION)
        self.dynamodb = boto3.client("dynamodb", region_name=REGION)
        self.sagemaker = FakeSageMaker()
        for bucket in (NAMES.uploads_bucket, NAMES.results_bucket, NAMES.models_bucket):
            place: Any = {"LocationConstraint": REGION}
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
            self.s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        queues = (NAMES.uploads_queue, NAMES.completions_queue, "outcomes")
        self.urls = {
            queue: self.sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "0"})[
                "QueueUrl"
            ]
            for queue in queues
        }
        topic = self.sns.create_topic(Name=NAMES.outcomes_topic)["TopicArn"]
        outcomes = f"arn:aws:sqs:{REGION}:{ACCOUNT}:outcomes"
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=outcomes)
        create_table(self.dynamodb)

    def ledger(self, client: Any = None) -> Ledger:
        return Ledger(client=client or self.dynamodb, table=NAMES.jobs_table)

    def dispatcher(
        self, *, s3: Any = None, dynamodb: Any = None, sagemaker: Any = None, sqs: Any = None
    ) -> Dispatcher:
        backend = ProcessingBackend(
            sagemaker=cast("SageMakerClient", sagemaker or self.sagemaker),
            s3=s3 or self.s3,
            names=NAMES,
            template=TEMPLATE,
        )
        return Dispatcher(
            s3=s3 or self.s3,
            names=NAMES,
            settings=SETTINGS,
            ledger=self.ledger(dynamodb),
            backend=backend,
            uploads=self._queue(NAMES.uploads_queue, sqs or self.sqs),
            completions=self._queue(NAMES.completions_queue, sqs or self.sqs),
        )

    def settler(
        self,
        *,
        s3: Any = None,
        dynamodb: Any = None,
        sns: Any = None,
        sqs: Any = None,
        sagemaker: Any = None,
    ) -> Settler:
        return Settler.of(
            s3=s3 or self.s3,
            sagemaker=cast("SageMakerClient", sagemaker or self.sagemaker),
            sns=sns or self.sns,
            names=NAMES,
            settings=SETTINGS,
            ledger=self.ledger(dynamodb),
            uploads=self._queue(NAMES.uploads_queue, sqs or self.sqs),
        )

    def reconciler(
        self,
        *,
        s3: Any = None,
        dynamodb: Any = None,
        sqs: Any = None,
        after: timedelta = timedelta(0),
        settings: ReconcileSettings = RECONCILE,
    ) -> Reconciler:
        """Reconcile as it runs so long after now."""
        uploads = self._queue(NAMES.uploads_queue, sqs or self.sqs)
        ledger = self.ledger(dynamodb)
        table = dynamodb or self.dynamodb
        return Reconciler(
            ledger=ledger,
            uploads=uploads,
            completions=self._queue(NAMES.completions_queue, sqs or self.sqs),
            sweep=Sweep(
                s3=s3 or self.s3,
                bucket=NAMES.uploads_bucket,
                ledger=ledger,
                bookmark=Bookmark(client=table, table=NAMES.jobs_table),
                uploads=uploads,
                settings=settings,
            ),
            settings=settings,
            now=lambda: datetime.now(UTC) + after,
        )

    def upload(
        self, key: str = "street.mp4", body: bytes = MP4, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Upload an object; the event that EventBridge sends for it."""
        put = self.s3.put_object(
            Bucket=NAMES.uploads_bucket, Key=key, Body=body, Metadata=dict(metadata or {})
        )
        created = event("object_created")
        created["detail"]["object"] |= {
            "key": key,
            "size": len(body),
            "etag": put["ETag"].strip('"'),
            "version-id": put["VersionId"],
        }
        return json.dumps(created)

    def dispatch(self, body: str) -> Step:
        return self.dispatcher().handle(body)

    def started(
        self, key: str = "street.mp4", metadata: Mapping[str, str] | None = None
    ) -> JobRecord:
        """A job whose first attempt runs."""
        step = self.dispatch(self.upload(key, metadata=metadata))
        assert step.job_id is not None
        return self.job(step.job_id)

    def job(self, job_id: str) -> JobRecord:
        record = self.ledger().get(job_id)
        assert record is not None
        return record

    def jobs(self) -> list[JobRecord]:
        items = self.dynamodb.scan(TableName=NAMES.jobs_table)["Items"]
        return [self.job(item["job_id"]["S"]) for item in items if "source" in item]

    def write_attempt(
        self, job: JobRecord, *, alter: Callable[[AttemptDocument], AttemptDocument] | None = None
    ) -> str:
        """Leave what a container leaves after a success; the attempt's folder."""
        digest = hashlib.sha256(DETECTIONS).hexdigest()
        file = ResultFile(DETECTIONS_FILE, len(DETECTIONS), digest)
        document = attempt_document(job, files=(file,))
        prefix = attempt_prefix(job.source.key, job.job_id, job.attempt)
        self.put_result(prefix + DETECTIONS_FILE, DETECTIONS)
        altered = alter(document) if alter else document
        self.put_result(prefix + ATTEMPT_DOCUMENT, to_json(altered).encode())
        return prefix

    def put_result(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=NAMES.results_bucket, Key=key, Body=body)

    def ended(self, job: JobRecord, status: str = "Completed", **more: Any) -> str:
        """End a job's current attempt; the event that EventBridge sends for it."""
        name = NAMES.processing_job(job.job_id, job.attempt, job.start)
        self.sagemaker.end(name, status, **more)
        changed = event("processing_job_state_change")
        changed["detail"] |= {"ProcessingJobName": name, "ProcessingJobStatus": status}
        return json.dumps(changed)

    def settle(self, body: str) -> JobRecord:
        return self.settler().handle(body).job

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take every message that is visible out of a queue; their bodies."""
        bodies = []
        while found := self.sqs.receive_message(
            QueueUrl=self.urls[queue], MaxNumberOfMessages=10
        ).get("Messages"):
            for message in found:
                bodies.append(json.loads(message["Body"]))
                self.sqs.delete_message(
                    QueueUrl=self.urls[queue], ReceiptHandle=message["ReceiptHandle"]
                )
        return bodies

    def waiting(self, queue: str) -> int:
        """How many messages of a queue are delayed."""
        name: Any = "ApproximateNumberOfMessagesDelayed"
        found = self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=[name])
        return int(found["Attributes"][name])

    def results(self, suffix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=NAMES.results_bucket, Prefix="results/")
        return [o["Key"] for o in listed.get("Contents", []) if o["Key"].endswith(suffix)]

    def read_result(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=NAMES.results_bucket, Key=key)["Body"].read()

    def _queue(self, name: str, sqs: Any) -> Queue:
        return Queue(sqs=sqs, name=name, account=ACCOUNT)


def attempt_document(job: JobRecord, **changes: Any) -> AttemptDocument:
    """The attempt.json of a job's current attempt, a success unless changed."""
    facts = VideoFacts("mp4", "h264", "yuv420p", 64, 48, 0, Fraction(1, 25))
    given: dict[str, Any] = {
        "job_id": job.job_id,
        "attempt": job.attempt,
        "outcome": Outcome.SUCCEEDED,
        "source": job.source,
        "model": job.model,
        "selection": job.selection,
        "counts": Counts(25, 1, 2),
        "timings_s": {"total": 1.5},
        "peak_memory_bytes": 10**8,
        "video": facts,
    }
    return AttemptDocument(**given | changes)


def create_table(dynamodb: Any) -> None:
    """The jobs table with its indexes."""

    def key(**schema: str) -> list[dict[str, str]]:
        return [{"AttributeName": name, "KeyType": kind} for name, kind in schema.items()]

    names = (
        *("job_id", "state_shard", "updated_at"),
        *("source_uri", "source_version", "untold_shard"),
    )
    dynamodb.create_table(
        TableName=NAMES.jobs_table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        KeySchema=key(job_id="HASH"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": BY_STATE_INDEX,
                "KeySchema": key(state_shard="HASH", updated_at="RANGE"),
                "Projection": {"ProjectionType": "ALL"},
            },
            {
                "IndexName": BY_SOURCE_INDEX,
                "KeySchema": key(source_uri="HASH", source_version="RANGE"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
            {
                "IndexName": UNTOLD_INDEX,
                "KeySchema": key(untold_shard="HASH", updated_at="RANGE"),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            },
        ],
    )
