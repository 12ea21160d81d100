"""From a message of the completions queue to the job that it is about."""

import json
from dataclasses import dataclass

from contracts.documents import from_json
from contracts.env import Names, parse_processing_job
from contracts.messages import Completion
from contracts.outcomes import Outcome
from contracts.requests import JobCheck

PROCESSING_EVENT = "SageMaker Processing Job State Change"


@dataclass(frozen=True, slots=True)
class ProcessingEnd:
    """A Processing job is said to have ended; SageMaker is to be asked how."""

    job_id: str
    attempt: int
    start: int
    name: str


def read_completion(body: str, names: Names) -> Completion | ProcessingEnd | JobCheck:
    """
    What a message tells.

    Raises:
        ValueError: It is none of ours.
    """
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError(f"not a completion: {body[:200]!r}")
    if message.get("schema") == Completion.SCHEMA:
        completion = from_json(Completion, body)
        if completion.outcome is Outcome.SUCCEEDED:
            raise ValueError(f"success is for settle to find, not to be told: {body[:200]!r}")
        return completion
    if message.get("schema") == JobCheck.SCHEMA:
        return from_json(JobCheck, body)
    if message.get("detail-type") != PROCESSING_EVENT:
        raise ValueError(f"not a completion: {body[:200]!r}")
    name = message["detail"]["ProcessingJobName"]
    stage, job_id, attempt, start = parse_processing_job(name)
    if stage != names.stage:
        raise ValueError(f"the job {name} is of another stage than {names.stage}")
    return ProcessingEnd(job_id, attempt, start, name)
