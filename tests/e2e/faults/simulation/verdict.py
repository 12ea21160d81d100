"""What became of a world's uploads, judged from what its users see: ledger, bucket, topic."""

import hashlib

from contracts.documents import from_json
from contracts.keys import result_key
from contracts.outcomes import JobState
from contracts.results import ResultDocument
from lambdas.common.ledger import JobRecord
from tests.e2e.faults.report import Verdict
from tests.e2e.faults.simulation.functions import RECONCILE
from tests.e2e.faults.simulation.sagemaker import RUN_S
from tests.e2e.faults.simulation.world import Expectation, World
from tests.lambdas.stage import NAMES, SETTINGS

BOUND_S = RECONCILE.uploaded_after_s + SETTINGS.max_attempts * (
    max(RECONCILE.received_after_s, RECONCILE.dispatched_after_s)
    + 60 * RECONCILE.every_minutes
    + RUN_S
    + SETTINGS.retry_base_s
)
"""What reconcile promises: an upload and every one of its attempts is found when it is old."""


def judge(world: World, *, injected: int, bound_s: float = BOUND_S) -> Verdict:
    """Every upload's job: exactly one end, the right one, at most one whole result, told of."""
    records: dict[tuple[str, str | None], list[JobRecord]] = {}
    for record in world.records:
        records.setdefault((record.source.key, record.source.version_id), []).append(record)
    verdict = Verdict(jobs=len(world.expected), injected=injected)
    first_told = {outcome.job_id: when_s for when_s, outcome in reversed(world.sns.told)}
    for upload in world.expected:
        jobs = records.get((upload.key, upload.version_id), [])
        if lost := _why_lost(world, upload, jobs):
            verdict.lost.append(f"{upload.key}: {lost}")
        elif (when_s := first_told[jobs[0].job_id]) > bound_s:
            verdict.lost.append(f"{upload.key}: it ended after {when_s} s, far too late")
        doubled = [f"{len(jobs)} jobs"] if len(jobs) > 1 else []
        doubled += [fault for job in jobs if (fault := _why_doubled(world, job))]
        verdict.doubled += [f"{upload.key}: {fault}" for fault in doubled]
    verdict.settled_after_s = max(first_told.values(), default=0.0)
    verdict.dead_letters = world.sqs.dead_letters
    return verdict


def _why_lost(world: World, upload: Expectation, jobs: list[JobRecord]) -> str | None:
    if not jobs:
        return "the ledger never heard of it"
    (job, *_) = jobs
    if not job.state.is_terminal:
        return f"it is {job.state} still: {job.history[-1]}"
    if job.state not in upload.states:
        return f"it should be {upload.states}, but is {job.state}: {job.code}: {job.message}"
    if not job.published:
        return "its outcome was not told"
    if not any(outcome.job_id == job.job_id for _, outcome in world.sns.told):
        return "the ledger says that its outcome was told, but nobody heard it"
    if job.state is JobState.SUCCEEDED:
        return _why_unreadable(world, job)
    return None


def _why_unreadable(world: World, job: JobRecord) -> str | None:
    versions = world.s3.versions(NAMES.results_bucket, result_key(job.source.key, job.job_id))
    if not versions:
        return "it succeeded without a result"
    result = from_json(ResultDocument, versions[0].body or b"")
    for file in result.files:
        found = world.s3.versions(result.bucket, result.prefix + file.name)
        body = (found[-1].body or b"") if found else b""
        if hashlib.sha256(body).hexdigest() != file.sha256:
            return f"its result names {file.name}, which is not what it should be"
    return None


def _why_doubled(world: World, job: JobRecord) -> str | None:
    ends = [step.state for step in job.history if step.state.is_terminal]
    if len(ends) > 1:
        return f"it ended {len(ends)} times: {ends}"
    results = world.s3.versions(NAMES.results_bucket, result_key(job.source.key, job.job_id))
    if len(results) > 1:
        return f"{len(results)} results were committed"
    if results and job.state.is_terminal and job.state is not JobState.SUCCEEDED:
        return f"it is {job.state}, yet has a result"
    told = {outcome.state for _, outcome in world.sns.told if outcome.job_id == job.job_id}
    return f"it was told as {sorted(told)}" if len(told) > 1 else None
