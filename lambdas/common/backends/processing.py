"""
SageMaker Processing: one job per attempt, named after it, so that it cannot start twice.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from contracts.documents import to_json
from contracts.env import (
    ML_ROOT_DEFAULT,
    PROCESSING_MODEL,
    PROCESSING_REQUESTS,
    PROCESSING_RESULTS,
    PROCESSING_VIDEOS,
    Names,
)
from contracts.keys import (
    BUNDLE_FILE,
    MANIFEST_FILE,
    REQUESTS_FILE,
    RESULTS_PREFIX,
    bundle_key,
    job_files_prefix,
)
from contracts.messages import InferenceRequest, InferenceRequests, Source
from contracts.models import is_bundle
from contracts.outcomes import ExitCode, RetryCode
from contracts.pipeline import JobTemplate
from lambdas.common.backends import BackendBusyError, Ended
from lambdas.common.errors import code_of, is_busy, is_conflict

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeProcessingJobResponseTypeDef

_NO_CAPACITY = "CapacityError"
"""How a FailureReason begins when SageMaker found no instances for a job that it had taken."""

ROUTE = "processing"
ENTRY_POINT = ("python", "-m", "containers.processing")


class ProcessingBackend:
    """Starts and describes the Processing jobs of one stage."""

    route = ROUTE

    def __init__(
        self,
        *,
        sagemaker: "SageMakerClient",
        s3: "S3Client",
        names: Names,
        template: JobTemplate,
    ) -> None:
        self._sagemaker = sagemaker
        self._s3 = s3
        self._names = names
        self._template = template

    def start(self, request: InferenceRequest, *, number: int) -> str:
        """
        Write the request and its manifest, and create the job; the job's name.

        Raises:
            BackendBusyError: The account's quota or rate is reached.
        """
        name = self._names.processing_job(request.job_id, request.attempt, number)
        folder = job_files_prefix(request.job_id, request.attempt)
        self._put(folder + REQUESTS_FILE, to_json(InferenceRequests((request,))))
        self._put(folder + MANIFEST_FILE, video_manifest(request.source))
        job = processing_job(name=name, request=request, names=self._names, template=self._template)
        try:
            self._sagemaker.create_processing_job(**job)
        except ClientError as error:
            if is_busy(error):
                raise BackendBusyError(str(error)) from error
            if code_of(error) != "ResourceInUse":  # it is running already, which is what we want
                raise
        return name

    def _put(self, key: str, body: str) -> None:
        """Put an object once: an attempt that waits for a busy backend comes by here often."""
        try:
            self._s3.put_object(
                Bucket=self._names.results_bucket,
                Key=key,
                Body=body.encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if not is_conflict(error):
                raise


def describe_end(name: str, *, sagemaker: "SageMakerClient") -> Ended | None:
    """How a Processing job ended, as one does that SageMaker does not know; None while it runs."""
    try:
        job = sagemaker.describe_processing_job(ProcessingJobName=name)
    except ClientError as error:
        if not _is_unknown(error):
            raise
        fault = RetryCode.JOB_LOST, f"SageMaker knows no job {name}."
        return Ended(fault=fault, ended_at=datetime.now(UTC).isoformat())
    status = job["ProcessingJobStatus"]
    if status not in ("Completed", "Failed", "Stopped"):
        return None
    end: datetime = job.get("ProcessingEndTime") or job["LastModifiedTime"]
    return Ended(
        fault=_fault(job),
        ended_at=end.astimezone(UTC).isoformat(),
        lacked_capacity=_NO_CAPACITY in job.get("FailureReason", ""),
    )


def stop(name: str, *, sagemaker: "SageMakerClient") -> None:
    """Stop a Processing job, if it still runs."""
    try:
        sagemaker.stop_processing_job(ProcessingJobName=name)
    except ClientError as error:
        # SageMaker says so of a job that has ended, or is being stopped.
        if not (_is_unknown(error) or code_of(error) == "ValidationException"):
            raise


def video_manifest(source: Source) -> str:
    """
    A manifest that names exactly one key; an S3Prefix would also take `a.mp4.bak` for `a.mp4`.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    folder, slash, name = source.key.rpartition("/")
    return json.dumps([{"prefix": f"s3://{source.bucket}/{folder}{slash}"}, name])


def processing_job(
    *, name: str, request: InferenceRequest, names: Names, template: JobTemplate
) -> dict[str, Any]:
    """The arguments of CreateProcessingJob for one attempt."""
    results = f"s3://{names.results_bucket}/"
    files = results + job_files_prefix(request.job_id, request.attempt)
    inputs = [
        _file_input("requests", files + REQUESTS_FILE, PROCESSING_REQUESTS),
        _file_input("videos", files + MANIFEST_FILE, PROCESSING_VIDEOS, kind="ManifestFile"),
    ]
    if is_bundle(request.model):
        key = bundle_key(request.model.digest)
        uri = f"s3://{names.models_bucket}/{key.removesuffix(BUNDLE_FILE)}"
        inputs.append(_file_input("model", uri, PROCESSING_MODEL))
    application: dict[str, Any] = {
        "ImageUri": template.image_uri,
        "ContainerEntrypoint": list(ENTRY_POINT),
    }
    if template.arguments:
        application["ContainerArguments"] = list(template.arguments)
    return {
        "ProcessingJobName": name,
        "RoleArn": template.role_arn,
        "AppSpecification": application,
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {
            "KmsKeyId": template.kms_key_arn,
            "Outputs": [
                {
                    "OutputName": "results",
                    "S3Output": {
                        "S3Uri": results + RESULTS_PREFIX.removesuffix("/"),
                        "LocalPath": f"{ML_ROOT_DEFAULT}/{PROCESSING_RESULTS}",
                        "S3UploadMode": "Continuous",
                    },
                }
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": template.instance_type,
                "VolumeSizeInGB": template.volume_size_gb,
                "VolumeKmsKeyId": template.kms_key_arn,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": template.max_runtime_s},
        # The container needs nothing but its inputs, so it gets no network.
        "NetworkConfig": {"EnableNetworkIsolation": True},
        "Tags": [
            {"Key": "framewright:stage", "Value": names.stage},
            {"Key": "framewright:job", "Value": request.job_id},
        ],
    }


def _is_unknown(error: ClientError) -> bool:
    """SageMaker documents ResourceNotFound, and answers ValidationException for most jobs."""
    code, said = code_of(error), error.response["Error"].get("Message", "").lower()
    unfound = "not find" in said or "not found" in said
    return code == "ResourceNotFound" or (code == "ValidationException" and unfound)


def _file_input(name: str, uri: str, folder: str, *, kind: str = "S3Prefix") -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{ML_ROOT_DEFAULT}/{folder}",
            "S3DataType": kind,
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }


def _fault(job: "DescribeProcessingJobResponseTypeDef") -> tuple[RetryCode, str] | None:
    status = job["ProcessingJobStatus"]
    said = " ".join(filter(None, (job.get("FailureReason"), job.get("ExitMessage"))))
    if status == "Stopped":
        return _stop_fault(job, said)
    if status == "Failed":
        if "memory" in said.lower() or "exit code: 137" in said:
            return RetryCode.OUT_OF_MEMORY, said
        if f"exit code: {ExitCode.MODEL_FAULT:d}" in said:
            return RetryCode.MODEL_FAULT, said
        if f": {RetryCode.TIME_LIMIT}: " in said:
            return RetryCode.TIME_LIMIT, said
        crashed = f"exit code: {ExitCode.CRASHED:d}" in said or f": {RetryCode.CRASHED}: " in said
        return RetryCode.CRASHED if crashed else RetryCode.JOB_FAILED, said or "No reason."
    return None


def _stop_fault(job: "DescribeProcessingJobResponseTypeDef", said: str) -> tuple[RetryCode, str]:
    """SageMaker gives no reason; that a job ran for as long as it may is one."""
    limit_s = job["StoppingCondition"]["MaxRuntimeInSeconds"]
    started = job.get("ProcessingStartTime") or job["CreationTime"]
    ended = job.get("ProcessingEndTime") or job["LastModifiedTime"]
    if (ended - started).total_seconds() >= limit_s:
        return RetryCode.TIME_LIMIT, f"The job ran past its limit of {limit_s} s. {said}".strip()
    return RetryCode.JOB_STOPPED, said or "The job was stopped before its time."
