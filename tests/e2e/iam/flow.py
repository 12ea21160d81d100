"""
The whole way of a video, every branch of it once, as a list of what went otherwise than it should.

One run uploads its own files under its own prefix, so runs can follow each other in one cloud.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.documents import to_json
from contracts.messages import (
    METADATA_MODEL,
    METADATA_SELECT,
    Completion,
    Source,
)
from contracts.outcomes import JobState, Outcome, RejectionCode
from lambdas.common.record import JobRecord, new_record, utc_now
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.stage import object_created

POLL_S = 0.1
RECONCILE_S = 2.0
INSTANCE_QUOTA = 12
"""More than the jobs of one flow, and few enough to be taken all at once."""
BUSY_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Expected:
    """How a job must end."""

    key: str
    job_id: str
    state: JobState
    attempt: int = 1
    code: RejectionCode | None = None


def run_flow(
    stage: EnforcedStage, prefix: str, *, patience_s: float, after_refusal_s: float | None = None
) -> list[str]:
    """
    What went otherwise than it should; nothing, when all went well.

    Args:
        after_refusal_s: How long to go on once something was refused; None goes on to the end.
    """
    flow = _Flow(stage, prefix)
    flow.start()
    deadline = time.monotonic() + patience_s
    while faults := flow.faults():
        if after_refusal_s is not None and flow.refused():
            deadline = min(deadline, time.monotonic() + after_refusal_s)
            after_refusal_s = None
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return [*flow.refused(), *faults]


class _Flow:
    def __init__(self, stage: EnforcedStage, prefix: str) -> None:
        self._stage = stage
        self._prefix = prefix
        self._started_s = time.time()
        self._known = len(stage.refusals())
        self._expected: dict[str, Expected] = {}
        self._on_start: dict[str, Callable[[], object]] = {}
        self._to_cancel: str | None = None
        self._reconcile_at_s = time.monotonic() + RECONCILE_S
        self._settled: set[str] = set()
        self._heard: set[str] = set()

    def start(self) -> None:
        stage, steps = self._stage, self._steps()
        stage.heard()
        for name in ("uploads", "completions"):  # a message that fails must come again soon
            queue = getattr(stage.names, f"{name}_queue")
            url = stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
            stage.sqs.send_message(QueueUrl=url, MessageBody='{"schema": "none of ours"}')
        self._expected["busy"] = self._busy(f"{self._prefix}/busy.mp4")
        self._expected["lost"] = self._lost(f"{self._prefix}/lost.mp4")
        self._expected["unstarted"] = self._unstarted(f"{self._prefix}/unstarted.mp4")
        for name, step in steps.items():
            self._expected[name] = step(f"{self._prefix}/{name}.mp4")
        self._to_cancel = self._expected["cancelled"].job_id

    def _steps(self) -> Mapping[str, Callable[[str], Expected]]:
        return {
            "retried": self._retried,
            "plain": self._plain,
            "bundle": self._bundle,
            "broken": self._broken,
            "text": self._text,
            "missing": self._missing,
            "replaced": self._replaced,
            "deleted": self._deleted,
            "forgotten": self._forgotten,
            "unknown-bundle": self._unknown_bundle,
            "cancelled": self._cancelled,
        }

    def _retried(self, key: str) -> Expected:
        """Is stopped once, as soon as it runs."""
        job = self._stage.job_of(self._stage.source(key, self._stage.video))
        self._on_start[self._stage.names.processing_job(job, 1)] = lambda: None
        return Expected(key, job, JobState.SUCCEEDED, attempt=2)

    def _plain(self, key: str) -> Expected:
        source = self._stage.source(key, self._stage.video)
        return Expected(key, self._stage.job_of(source), JobState.SUCCEEDED)

    def _bundle(self, key: str) -> Expected:
        model = self._stage.bundle
        source = self._stage.source(key, self._stage.video, **{METADATA_MODEL: model})
        return Expected(key, self._stage.job_of(source, model), JobState.SUCCEEDED)

    def _unknown_bundle(self, key: str) -> Expected:
        model = f"bundle:{'0' * 64}"
        source = self._stage.source(key, self._stage.video, **{METADATA_MODEL: model})
        job = self._stage.job_of(source, model)
        return Expected(key, job, JobState.REJECTED, code=RejectionCode.BAD_REQUEST)

    def _busy(self, key: str) -> Expected:
        """Comes while the account's instances are all taken, and waits its turn."""
        stage, filler = self._stage, f"filler-{time.time_ns()}"
        stage.sagemaker.create_processing_job(
            ProcessingJobName=filler,
            RoleArn=stage.idle_role,
            AppSpecification={"ImageUri": "none", "ContainerEntrypoint": ["sleep", "60"]},
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceType": "ml.m5.xlarge",
                    "InstanceCount": INSTANCE_QUOTA,
                    "VolumeSizeInGB": 1,
                }
            },
        )
        expected = Expected(key, stage.job_of(stage.source(key, stage.video)), JobState.SUCCEEDED)
        deadline = time.monotonic() + BUSY_PATIENCE_S
        while time.monotonic() < deadline and not self.refused():
            record = stage.ledger.get(expected.job_id)
            if record is not None and record.waits:
                break
            time.sleep(POLL_S)
        stage.stop(filler)
        return expected

    def _broken(self, key: str) -> Expected:
        source = self._stage.source(key, self._stage.broken)
        return self._rejected(source, RejectionCode.TRUNCATED)

    def _text(self, key: str) -> Expected:
        source = self._stage.source(key, b"No video.")
        return self._rejected(source, RejectionCode.NOT_A_VIDEO)

    def _missing(self, key: str) -> Expected:
        stage = self._stage
        source = Source(stage.names.uploads_bucket, key, "0" * 32, 100, "no-such-version")
        url = stage.sqs.get_queue_url(QueueName=stage.names.uploads_queue)["QueueUrl"]
        stage.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(object_created(source)))
        return self._rejected(source, RejectionCode.SOURCE_MISSING)

    def _replaced(self, key: str) -> Expected:
        """Gets other bytes, as many so that their senders' digests are read, while it runs."""
        other = self._stage.long_video[:-1] + b"!"
        return self._stopped(
            key, lambda: self._upload_unheard(key, other), RejectionCode.SOURCE_REPLACED
        )

    def _deleted(self, key: str) -> Expected:
        """Is deleted while it runs."""
        s3, bucket = self._stage.s3, self._stage.names.uploads_bucket
        return self._stopped(
            key, lambda: s3.delete_object(Bucket=bucket, Key=key), RejectionCode.SOURCE_MISSING
        )

    def _stopped(self, key: str, act: Callable[[], object], code: RejectionCode) -> Expected:
        """Takes long; something happens to it once it runs, and then it is stopped."""
        stage = self._stage
        source = stage.source(key, stage.long_video, **{METADATA_SELECT: "all"})
        job = stage.job_of(source, select="all")
        self._on_start[stage.names.processing_job(job, 1)] = act
        return Expected(key, job, JobState.REJECTED, code=code)

    def _lost(self, key: str) -> Expected:
        """An upload whose event never came; only reconcile can find it."""
        source = self._upload_unheard(key)
        return Expected(key, self._stage.job_of(source), JobState.SUCCEEDED)

    def _unstarted(self, key: str) -> Expected:
        """A job that the ledger takes for running and SageMaker does not know."""
        stage = self._stage
        source = self._upload_unheard(key)
        record = self._enter(source)
        stage.ledger.dispatched(
            record.job_id,
            1,
            route="processing",
            reason="It was.",
            backend_ref=stage.names.processing_job(record.job_id, 1),
        )
        return Expected(key, record.job_id, JobState.SUCCEEDED, attempt=2)

    def _upload_unheard(self, key: str, body: bytes | None = None) -> Source:
        stage = self._stage
        events = stage.cloud.client("events")
        (rule,) = [r["Name"] for r in events.list_rules()["Rules"] if "aws.s3" in r["EventPattern"]]
        events.disable_rule(Name=rule)
        source = stage.source(key, body or stage.video)
        events.enable_rule(Name=rule)
        return source

    def _enter(self, source: Source) -> JobRecord:
        stage = self._stage
        record = new_record(
            job_id=stage.job_of(source),
            source=source,
            model=stage.settings.model(None),
            selection=stage.settings.selection(None),
            now=utc_now(),
        )
        stage.ledger.create(record)
        return record

    def _forgotten(self, key: str) -> Expected:
        """A job in the ledger whose message was lost."""
        stage = self._stage
        source = Source(stage.names.uploads_bucket, key, "0" * 32, 100, "no-such-version")
        self._enter(source)
        return self._rejected(source, RejectionCode.SOURCE_MISSING)

    def _cancelled(self, key: str) -> Expected:
        """Takes long enough to be cancelled while it runs."""
        stage = self._stage
        source = stage.source(key, stage.long_video, **{METADATA_SELECT: "all"})
        job = stage.job_of(source, select="all")
        return Expected(key, job, JobState.REJECTED, code=RejectionCode.CANCELLED)

    def _cancel(self, job_id: str) -> bool:
        """Cancel a job as an operator does, once it runs."""
        stage = self._stage
        record = stage.ledger.get(job_id)
        if record is None or record.state is not JobState.DISPATCHED:
            return False
        cancellation = Completion(
            job_id, 1, Outcome.REJECTED, code=RejectionCode.CANCELLED, message="No longer wanted."
        )
        url = stage.sqs.get_queue_url(QueueName=stage.names.completions_queue)["QueueUrl"]
        stage.sqs.send_message(QueueUrl=url, MessageBody=to_json(cancellation))
        return True

    def _rejected(self, source: Source, code: RejectionCode) -> Expected:
        return Expected(source.key, self._stage.job_of(source), JobState.REJECTED, code=code)

    def refused(self) -> list[str]:
        """What was refused since the flow began, each once."""
        lines = [
            f"{line['principal'].rpartition('/')[2]} was refused {line['action']} on "
            f"{line['resource']}"
            for line in self._stage.refusals()[self._known :]
        ]
        return list(dict.fromkeys(lines))

    def faults(self) -> list[str]:
        """What is not yet as it must be."""
        for name in [name for name in self._on_start if self._stage.has_job(name)]:
            self._on_start.pop(name)()
            self._stage.stop(name)
        if (cancelled := self._to_cancel) and self._cancel(cancelled):
            self._to_cancel = None
        if time.monotonic() >= self._reconcile_at_s:
            self._stage.reconcile()
            self._reconcile_at_s = time.monotonic() + RECONCILE_S
        return list(self._faults())

    def _faults(self) -> Iterator[str]:
        self._heard |= self._stage.heard()
        for name, wanted in self._expected.items():
            if name not in self._settled:
                if fault := self._fault(wanted):
                    yield f"{name}: {fault}"
                else:
                    self._settled.add(name)
            elif wanted.job_id not in self._heard:
                yield f"{name}: its outcome was not told"
        for function in self._stage.functions:
            if not self._stage.logged_since(function, self._started_s):
                yield f"{function} wrote no log"

    def _fault(self, wanted: Expected) -> str | None:
        job = self._stage.ledger.get(wanted.job_id)
        if job is None:
            return "no job"
        found: tuple[Any, ...] = (job.state, job.attempt, job.code)
        if found != (wanted.state, wanted.attempt, wanted.code):
            message = f" ({job.message})" if job.message else ""
            return f"{job.state} attempt {job.attempt} {job.code or ''}{message}".strip()
        if job.state is JobState.SUCCEEDED:
            self._stage.verified_files(self._stage.result(job))
        return None
