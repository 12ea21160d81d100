"""Which objects `framewright reprocess` asks for again, and the asking."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from cli.errors import Exit, UserError
from cli.jobs import find_job, named_jobs
from cli.output import program
from cli.stage import Stage
from cli.uploads import Asked, ask
from contracts.messages import Source, job_id
from contracts.outcomes import JobState
from contracts.requests import ReprocessRequest
from lambdas.common.ledger import JobRecord

_SENDERS = 8


@dataclass(frozen=True, slots=True)
class Again:
    """
    An object version to be taken in again.

    Attributes:
        job_id: None where the upload's own metadata, or the stage, decide on the pipeline.
    """

    request: ReprocessRequest
    job_id: str | None

    @property
    def source(self) -> Source:
        """The object version."""
        return self.request.source


def find_again(stage: Stage, what: str, asked: Asked) -> Iterator[Again]:
    """
    The objects that a text names: those below a prefix, or the video of a job or under a key.

    Raises:
        UserError: There are none, or the new job would be the old one.
    """
    base = f"s3://{stage.names.uploads_bucket}/"
    name = what.removeprefix(base)
    if name.startswith("s3://"):
        raise UserError(
            f"{what} is not in the stage's uploads bucket.",
            remedy=f"Only what lies below {base} can be processed.",
            code=Exit.USAGE,
        )
    if not (name == "" or name.endswith("/")):
        yield _one(stage, what, name, asked)
        return
    prefix = "" if name == "/" else name
    found = False
    for source in _latest(stage, prefix):
        found = True
        yield _again(source, asked)
    if not found:
        raise UserError(f"There is nothing below {base}{prefix}.", remedy="Check the prefix.")


def send_all(stage: Stage, found: Sequence[Again]) -> Iterator[int]:
    """Ask for all of them, in the uploads queue; how many it was so far, again and again."""
    queue = stage.queue(stage.names.uploads_queue)
    with ThreadPoolExecutor(_SENDERS) as senders:
        sent = [senders.submit(queue.send, one.request) for one in found]
        try:
            for count, future in enumerate(as_completed(sent), 1):
                future.result()
                yield count
        finally:
            for future in sent:
                future.cancel()


def known_states(stage: Stage, found: Sequence[Again]) -> dict[str | None, JobState]:
    """How the jobs stand that the ledger has already, by id: asking for them changes nothing."""
    ids = [one.job_id for one in found if one.job_id]
    return {job.job_id: job.state for job in named_jobs(stage.ledger, ids)}


def _one(stage: Stage, what: str, key: str, asked: Asked) -> Again:
    try:
        job = find_job(stage.ledger, what)
    except UserError as error:
        if error.code is not Exit.UNAVAILABLE:
            raise
        source = next((it for it in _latest(stage, key) if it.key == key), None)
        if source is None:
            raise
        return _again(source, asked)
    return _again(job.source, _completed(stage, asked, job))


def _completed(stage: Stage, asked: Asked, job: JobRecord) -> Asked:
    """What is not asked for anew stays as the job has it."""
    if asked.model is None and asked.selection is None:
        raise UserError(
            f"Job {job.job_id} was made with {job.model.name} and {job.selection}; the same again "
            "is the same job.",
            remedy=f"Give --model or --select; a FAILED job is for `{program()} redrive`.",
            code=Exit.USAGE,
        )
    model = asked.model or job.model.name
    return ask(model, asked.selection or str(job.selection), stage.settings)


def _again(source: Source, asked: Asked) -> Again:
    decided = asked.model and asked.selection and asked.pipeline
    known = job_id(source, asked.pipeline) if decided and asked.pipeline else None
    return Again(ReprocessRequest(source, asked.model, asked.selection), known)


def _latest(stage: Stage, prefix: str) -> Iterator[Source]:
    """The latest version of each object below a prefix, but for folders and what was deleted."""
    bucket = stage.names.uploads_bucket
    pages = stage.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for version in page.get("Versions", []):
            if version["IsLatest"] and not version["Key"].endswith("/"):
                yield Source(
                    bucket=bucket,
                    key=version["Key"],
                    etag=version["ETag"].strip('"'),
                    size_bytes=version["Size"],
                    version_id=version["VersionId"],
                )
