"""SageMaker's operations, as far as they are needed: requests in, answers out, no wire."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from local.authority import Call
from local.sagemaker.errors import ServiceError, validation_error
from local.sagemaker.identity import Identity
from local.sagemaker.jobs import JobStore, ProcessingJob
from local.sagemaker.rules import check_processing_job
from local.sagemaker.scheduler import Scheduler
from local.sagemaker.validation import check_request, service_model

Answer = dict[str, Any]
_SORT_KEYS: dict[str, Callable[[ProcessingJob], Any]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.created_s,
    "Status": lambda job: str(job.status),
}
_DEFAULT_PAGE = 10


class Operations:
    """Answers calls by operation name."""

    def __init__(self, store: JobStore, scheduler: Scheduler, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._scheduler = scheduler
        self._handlers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "CreateProcessingJob": self._create,
            "DescribeProcessingJob": self._describe,
            "StopProcessingJob": self._stop,
            "ListProcessingJobs": self._list,
        }

    def call(self, operation: str, parameters: dict[str, Any], call: Call) -> Answer:
        """
        Check the request against SageMaker's model, its caller's permissions, and answer it.

        Raises:
            ServiceError: SageMaker would refuse it, or the operation is not emulated.
        """
        if operation not in service_model().operation_names:
            raise ServiceError("UnknownOperationException", f"SageMaker has no {operation}")
        if operation not in self._handlers:
            known = ", ".join(self._handlers)
            raise ServiceError(
                "UnknownOperationException",
                f"{operation} is not emulated by the local SageMaker; it knows {known}",
            )
        check_request(service_model().operation_model(operation), parameters)
        self._identity.authorize(call, operation, parameters)
        return self._handlers[operation](parameters)

    def _create(self, request: dict[str, Any]) -> Answer:
        check_processing_job(request)
        job = self._store.create(request)
        self._scheduler.submit(job)
        return {"ProcessingJobArn": job.arn}

    def _describe(self, request: dict[str, Any]) -> Answer:
        return self._store.get(request["ProcessingJobName"]).describe()

    def _stop(self, request: dict[str, Any]) -> Answer:
        self._scheduler.stop(request["ProcessingJobName"])
        return {}

    def _list(self, request: dict[str, Any]) -> Answer:
        jobs = [job for job in self._store.all() if _is_wanted(job, request)]
        ascending = request.get("SortOrder", "Ascending") == "Ascending"
        jobs.sort(key=_SORT_KEYS[request.get("SortBy", "CreationTime")], reverse=not ascending)
        first = _read_token(request.get("NextToken"))
        last = first + request.get("MaxResults", _DEFAULT_PAGE)
        answer: Answer = {"ProcessingJobSummaries": [job.summarize() for job in jobs[first:last]]}
        if last < len(jobs):
            answer["NextToken"] = base64.b64encode(str(last).encode()).decode()
        return answer


def _is_wanted(job: ProcessingJob, request: Mapping[str, Any]) -> bool:
    return (
        request.get("NameContains", "") in job.name
        and request.get("StatusEquals", job.status) == job.status
        and request.get("CreationTimeAfter", float("-inf")) <= job.created_s
        and request.get("CreationTimeBefore", float("inf")) >= job.created_s
        and request.get("LastModifiedTimeAfter", float("-inf")) <= job.modified_s
        and request.get("LastModifiedTimeBefore", float("inf")) >= job.modified_s
    )


def _read_token(token: str | None) -> int:
    if token is None:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (ValueError, binascii.Error) as error:
        raise validation_error(f"Invalid pagination token: {token}") from error
