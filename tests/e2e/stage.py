"""The embedded cloud's stage as a test sees it: uploads go in, ledger records come out."""

import gzip
import hashlib
import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from contracts.documents import from_json
from contracts.env import Names
from contracts.keys import result_key
from contracts.messages import Source
from contracts.outcomes import JobState
from contracts.results import FrameResult, ResultDocument
from lambdas.common.ledger import JobRecord, Ledger
from local.cloud import EmbeddedCloud
from local.config import ACCOUNT, REGION, STAGE

PATIENCE_S = 240.0
"""Far beyond what anything here takes; a job that is not settled by then never will be."""
_ALL = 1000


class UnsettledError(AssertionError):
    """Jobs did not end in time."""


class LocalStage:
    """Talks to the stage only as its users do: buckets, queues, topic, ledger."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.names = Names(stage=STAGE, account=ACCOUNT, region=REGION)
        self.s3 = cloud.client("s3")
        self.sqs = cloud.client("sqs")
        self.sns = cloud.client("sns")
        self.ledger = Ledger(client=cloud.client("dynamodb"), table=self.names.jobs_table)

    def upload(self, key: str, body: bytes, *, metadata: Mapping[str, str] | None = None) -> str:
        """Put an object; its version id."""
        response = self.s3.put_object(
            Bucket=self.names.uploads_bucket, Key=key, Body=body, Metadata=dict(metadata or {})
        )
        version: str = response["VersionId"]
        return version

    def jobs(self, prefix: str) -> list[JobRecord]:
        """All jobs whose source key starts so."""
        return [
            record
            for state in JobState
            for record in self.ledger.in_state(state, limit=_ALL)
            if record.source.key.startswith(prefix)
        ]

    def settled(self, prefix: str, *, count: int) -> list[JobRecord]:
        """
        Wait until so many jobs of a prefix have ended.

        Raises:
            UnsettledError: They have not; the message counts them by state.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            jobs = self.jobs(prefix)
            if len(jobs) >= count and all(job.state.is_terminal for job in jobs):
                return jobs
            if time.monotonic() > deadline:
                states = [str(job.state) for job in jobs]
                found = {state: states.count(state) for state in sorted(set(states))}
                raise UnsettledError(f"{prefix}: expected {count} settled jobs, found {found}")
            time.sleep(0.5)

    def result(self, job: JobRecord) -> ResultDocument:
        """What was committed for a job."""
        return from_json(ResultDocument, self._read(result_key(job.source.key, job.job_id)))

    def verified_files(self, result: ResultDocument) -> dict[str, bytes]:
        """The files that a result names, each compared with its size and checksum."""
        files = {}
        for file in result.files:
            body = self._read(result.prefix + file.name)
            assert len(body) == file.size_bytes
            assert hashlib.sha256(body).hexdigest() == file.sha256
            files[file.name] = body
        return files

    def frames(self, result: ResultDocument) -> list[FrameResult]:
        """The lines of a result's detections."""
        lines = gzip.decompress(self.verified_files(result)["detections.jsonl.gz"]).splitlines()
        return [from_json(FrameResult, line) for line in lines]

    def dead_letters(self) -> int:
        """Messages in the dead-letter queues."""
        queues = (self.names.uploads_queue, self.names.completions_queue)
        return sum(self.waiting(self.names.dead_letter_queue(queue)) for queue in queues)

    def waiting(self, queue: str) -> int:
        """Messages in a queue, in flight or not."""
        url = self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in found.values())

    def send_event(self, job: JobRecord) -> None:
        """Let the upload's event come once more."""
        url = self.sqs.get_queue_url(QueueName=self.names.uploads_queue)["QueueUrl"]
        self.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(object_created(job.source)))

    def result_keys(self, jobs: Collection[JobRecord]) -> list[str]:
        """The `result.json` objects below the jobs' prefixes, every version of them."""
        found: list[str] = []
        for job in jobs:
            key = result_key(job.source.key, job.job_id)
            listed = self.s3.list_object_versions(Bucket=self.names.results_bucket, Prefix=key)
            found.extend(version["Key"] for version in listed.get("Versions", []))
        return found

    def _read(self, key: str) -> bytes:
        response = self.s3.get_object(Bucket=self.names.results_bucket, Key=key)
        body: bytes = response["Body"].read()
        return body


def object_created(source: Source) -> dict[str, Any]:
    """The event that S3 sent for an object version."""
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "bucket": {"name": source.bucket},
            "object": {
                "key": source.key,
                "etag": source.etag,
                "size": source.size_bytes,
                "version-id": source.version_id,
            },
        },
    }
