"""What SageMaker asks of a Processing job beyond the form of its request."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.env import ML_ROOT_DEFAULT
from local.config import ACCOUNT, REGION
from local.sagemaker.errors import validation_error

PROCESSING_ROOT = f"{ML_ROOT_DEFAULT}/processing/"
"""https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html"""


def check_processing_job(request: Mapping[str, Any]) -> None:
    """
    Refuse a Processing job that SageMaker refuses, or that cannot be emulated.

    Raises:
        ServiceError: A `ValidationException` that names the first fault.
    """
    for fault in _faults(request):
        raise validation_error(fault)


def job_arn(name: str) -> str:
    """The ARN of a Processing job."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{name.lower()}"


def instance_count(request: Mapping[str, Any]) -> int:
    """How many instances a job runs on."""
    cluster = request["ProcessingResources"]["ClusterConfig"]
    first, *_ = cluster.get("InstancePreferences") or [cluster]
    count: int = first.get("InstanceCount", cluster.get("InstanceCount", 1))
    return count


def outputs_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `S3Output` of each of a job's outputs."""
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [output["S3Output"] for output in outputs]


def _faults(request: Mapping[str, Any]) -> Iterator[str]:
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    yield from _name_faults("Input", [i["InputName"] for i in inputs])
    yield from _name_faults("Output", [o["OutputName"] for o in outputs])
    for given in inputs:
        yield from _input_faults(given)
    for given in outputs:
        yield from _output_faults(given)
    yield from _cluster_faults(request["ProcessingResources"]["ClusterConfig"])


def _name_faults(kind: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if names.count(name) > 1:
            yield f"{kind} names must be unique: '{name}' is used more than once"


def _input_faults(given: Mapping[str, Any]) -> Iterator[str]:
    label = f"input '{given['InputName']}'"
    if given.get("AppManaged") or "DatasetDefinition" in given:
        yield f"{label}: AppManaged inputs and DatasetDefinition are not emulated here"
    s3_input = given.get("S3Input")
    if s3_input is None:
        yield f"{label}: S3Input must be given"
        return
    yield from _place_faults(label, s3_input)
    mode = s3_input.get("S3InputMode")
    if mode is None:
        yield f"{label}: S3InputMode must be given"
    if mode == "Pipe":
        yield f"{label}: S3InputMode Pipe is not emulated here; use File"
    if s3_input.get("S3CompressionType") == "Gzip":
        yield f"{label}: S3CompressionType Gzip can only be used with S3InputMode Pipe"


def _output_faults(given: Mapping[str, Any]) -> Iterator[str]:
    label = f"output '{given['OutputName']}'"
    if given.get("AppManaged") or "FeatureStoreOutput" in given:
        yield f"{label}: AppManaged outputs and FeatureStoreOutput are not emulated here"
    if "S3Output" not in given:
        yield f"{label}: S3Output must be given"
        return
    yield from _place_faults(label, given["S3Output"])


def _place_faults(label: str, place: Mapping[str, Any]) -> Iterator[str]:
    if not place["S3Uri"].startswith("s3://"):
        yield f"{label}: S3Uri must start with s3://, got '{place['S3Uri']}'"
    path = place.get("LocalPath", "")
    if not path.startswith(PROCESSING_ROOT) or posixpath.normpath(path) != path.rstrip("/"):
        yield f"{label}: LocalPath must be a path below {PROCESSING_ROOT}, got '{path}'"


def _cluster_faults(cluster: Mapping[str, Any]) -> Iterator[str]:
    one = "InstanceType" in cluster and "InstanceCount" in cluster
    some = "InstanceType" in cluster or "InstanceCount" in cluster
    preferences = "InstancePreferences" in cluster
    if not preferences and not one:
        yield "ClusterConfig needs InstanceType and InstanceCount, or InstancePreferences"
    if preferences and some:
        yield "ClusterConfig takes InstanceType and InstanceCount, or InstancePreferences, not both"
