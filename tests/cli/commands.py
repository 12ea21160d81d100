"""Runs commands, and makes the jobs they tell of."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cli.main import app
from cli.stage import Stage
from contracts.messages import Source, job_id, pipeline_digest
from contracts.models import resolve_model
from contracts.selection import Selection
from lambdas.common.ledger import JobRecord, new_record, utc_now
from lambdas.settle.commit import commit
from tests.vision.attempts import NumberModel, any_request
from vision.pipeline import process_video


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left."""

    exit_code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """Its standard output, which must be one JSON value and nothing else."""
        return json.loads(self.output)


class Commands:
    """The `framewright` command, without a process of its own."""

    def __call__(self, *arguments: str | Path) -> Done:
        result = CliRunner().invoke(app, [str(it) for it in arguments], env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)


def received_job(
    stage: Stage, key: str = "street.mp4", version: str = "v1", *, body: bytes = b"a video"
) -> JobRecord:
    """A job that the ledger knows of and nobody has begun."""
    model, selection = resolve_model("builtin:people"), Selection.parse("every_seconds=1")
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    source = Source(stage.names.uploads_bucket, key, etag, len(body), version)
    record = new_record(
        job_id=job_id(source, pipeline_digest(model, selection)),
        source=source,
        model=model,
        selection=selection,
        now=utc_now(),
    )
    assert stage.ledger.create(record)
    return record


def succeeded_job(stage: Stage, video: Path, scratch: Path) -> JobRecord:
    """A job whose results are committed."""
    request = any_request(video)
    document = process_video(path=video, request=request, model=NumberModel(), folder=scratch)
    bucket = stage.names.results_bucket
    for file in scratch.iterdir():
        stage.s3.upload_file(str(file), bucket, request.output.prefix + file.name)
    result = commit(document, s3=stage.s3, bucket=bucket, now=utc_now())
    stage.ledger.create(
        new_record(
            job_id=request.job_id,
            source=request.source,
            model=request.model,
            selection=request.selection,
            now=utc_now(),
        )
    )
    stage.ledger.dispatched(request.job_id, 1, route="processing", reason="Only.", backend_ref="x")
    stage.ledger.succeed(request.job_id, 1, result_key=result.prefix)
    record = stage.ledger.get(request.job_id)
    assert record is not None
    return record


def failed_job(stage: Stage, key: str = "street.mp4", version: str = "v1") -> JobRecord:
    """A job whose attempts are exhausted."""
    job = received_job(stage, key, version)
    assert stage.ledger.fail(job.job_id, 1, code="job_failed", message="No such bucket.")
    return known_job(stage, job)


def known_job(stage: Stage, job: JobRecord) -> JobRecord:
    """The job as the ledger has it now."""
    record = stage.ledger.get(job.job_id)
    assert record is not None
    return record


def put(stage: Stage, queue: str, body: str, **attributes: str) -> str:
    """A message in a queue; its id."""
    url = stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    return stage.sqs.send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )["MessageId"]


def bodies(stage: Stage, queue: str) -> list[str]:
    """What can be received from a queue right now."""
    url = stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[str] = []
    while answer := stage.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += (message["Body"] for message in answer)
    return found
