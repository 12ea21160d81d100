"""
SageMaker as far as the Lambdas know it: every request checked against botocore's own model, a name
taken once, and a status that the test decides. (moto accepts a name twice and ends jobs at once.)
"""

import re
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.session import get_session
from botocore.validate import ParamValidator

MODEL = get_session().get_service_model("sagemaker").operation_model("CreateProcessingJob")


class FakeSageMaker:
    """The three operations that are called."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refusals: list[str] = []
        """Error codes to answer the next creations with."""

    def create_processing_job(self, **job: Any) -> dict[str, str]:
        check_request(job)
        name = job["ProcessingJobName"]
        if self.refusals:
            raise _error(self.refusals.pop(0))
        if name in self.jobs:
            raise _error("ResourceInUse")
        began = {"ProcessingJobStatus": "InProgress", "CreationTime": datetime.now(UTC)}
        self.jobs[name] = job | began
        return {"ProcessingJobArn": f"arn:{name}"}

    def describe_processing_job(self, *, ProcessingJobName: str) -> dict[str, Any]:  # noqa: N803
        if ProcessingJobName not in self.jobs:
            raise _error("ValidationException", "Could not find requested job with name")
        return self.jobs[ProcessingJobName]

    def stop_processing_job(self, *, ProcessingJobName: str) -> None:  # noqa: N803
        if self.describe_processing_job(ProcessingJobName=ProcessingJobName)[
            "ProcessingJobStatus"
        ] not in ("InProgress", "Stopping"):
            raise _error("ValidationException", "The processing job is in status Completed.")
        self.jobs[ProcessingJobName]["ProcessingJobStatus"] = "Stopping"

    def end(self, name: str, status: str = "Completed", **more: Any) -> None:
        """End a job now."""
        end = {"ProcessingJobStatus": status, "ProcessingEndTime": datetime.now(UTC), **more}
        self.jobs[name] |= end


def check_request(job: dict[str, Any]) -> None:
    """Refuse what AWS would: wrong types, missing members, lengths, and patterns."""
    shape = MODEL.input_shape
    assert shape is not None
    report = ParamValidator().validate(job, shape)
    assert not report.has_errors(), report.generate_report()
    _check(job, shape, shape.name)


def _check(value: Any, shape: Shape, path: str) -> None:
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            _check(item, shape.members[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        assert shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", 10**9), path
        for item in value:
            _check(item, shape.member, f"{path}[]")
    elif isinstance(value, str) and not isinstance(shape, MapShape):
        assert len(value) <= shape.metadata.get("max", 10**9), f"{path} is too long: {value}"
        known = shape.enum if isinstance(shape, StringShape) else []
        assert not known or value in known, f"{path}: {value} is none of {known}"
        pattern = shape.metadata.get("pattern", ".*")
        if r"\p{" not in pattern:  # a class that Python's expressions lack
            assert re.fullmatch(pattern, value, re.DOTALL), f"{path}: {value!r} is not {pattern}"


def _error(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ProcessingJob")
