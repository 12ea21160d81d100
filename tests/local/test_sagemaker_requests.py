"""What the local SageMaker takes and what it refuses, in whose words."""

import copy
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from local.sagemaker.errors import ServiceError
from local.sagemaker.rules import check_processing_job
from local.sagemaker.validation import check_request, service_model
from tests.local.conftest import (
    LocalSageMaker,
    StartSageMaker,
    job_request,
    s3_input,
    s3_output,
)

CREATE = service_model().operation_model("CreateProcessingJob")


def valid() -> dict[str, Any]:
    """A valid request with everything that the rules are about."""
    return job_request(
        "job",
        entry_point=["python", "-m", "containers.processing"],
        inputs=[s3_input()],
        outputs=[s3_output("Continuous")],
        max_runtime_s=3600,
        Environment={"KEY": "value"},
        NetworkConfig={"EnableNetworkIsolation": True},
        Tags=[{"Key": "stage", "Value": "lokal ü"}],
    )


def changed(path: str, value: object) -> dict[str, Any]:
    """The valid request with one value changed, or with None removed; numbers index lists."""
    request = copy.deepcopy(valid())
    *parents, last = path.split(".")
    place: Any = request
    for name in parents:
        place = place[int(name)] if name.isdecimal() else place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return request


def check(request: dict[str, Any]) -> None:
    """What is done to a request before a job is made of it."""
    check_request(CREATE, request)
    check_processing_job(request)


def refusal(request: dict[str, Any]) -> str:
    """Why the request is refused."""
    with pytest.raises(ServiceError) as caught:
        check(request)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_valid_request_is_taken() -> None:
    check(valid())


CLUSTER = "ProcessingResources.ClusterConfig"
ARGUMENTS = "AppSpecification.ContainerArguments"
S3_INPUT = "ProcessingInputs.0.S3Input"


@pytest.mark.parametrize(
    ("path", "value", "place", "constraint"),
    [
        ("RoleArn", None, "roleArn", "Member must not be null"),
        (
            "AppSpecification.ImageUri",
            None,
            "appSpecification.imageUri",
            "Member must not be null",
        ),
        (
            "ProcessingJobName",
            "a_b",
            "processingJobName",
            "regular expression pattern: [a-zA-Z0-9](",
        ),
        (
            "AppSpecification.ImageUri",
            "x" * 256,
            "appSpecification.imageUri",
            "length less than or equal to 255",
        ),
        ("RoleArn", "arn:aws:iam::1:role/short", "roleArn", "regular expression pattern: arn:aws"),
        (
            f"{CLUSTER}.InstanceType",
            "ml.c7g.xlarge",
            "processingResources.clusterConfig.instanceType",
            "enum value set: [",
        ),
        (
            f"{CLUSTER}.InstanceCount",
            101,
            "processingResources.clusterConfig.instanceCount",
            "value less than or equal to 100",
        ),
        (
            f"{CLUSTER}.VolumeSizeInGB",
            0,
            "processingResources.clusterConfig.volumeSizeInGB",
            "value greater than or equal to 1",
        ),
        (ARGUMENTS, [], "appSpecification.containerArguments", "length greater than or equal to 1"),
        (
            ARGUMENTS,
            ["ok", "x" * 257],
            "appSpecification.containerArguments.2.member",
            "length less than or equal to 256",
        ),
        (
            f"{S3_INPUT}.S3DataType",
            "Folder",
            "processingInputs.1.member.s3Input.s3DataType",
            "enum value set: [ManifestFile, S3Prefix]",
        ),
        ("Environment", {"KEY": "x" * 257}, "environment", "Map value must satisfy constraint: ["),
        ("Environment", {"1KEY": "x"}, "environment", "Map key must satisfy constraint: ["),
        ("ProcessingInputs", [s3_input()] * 11, "processingInputs", "less than or equal to 10"),
    ],
)
def test_what_breaks_the_service_model_is_refused_in_sagemakers_words(
    path: str, value: object, place: str, constraint: str
) -> None:
    message = refusal(changed(path, value))
    assert message.startswith("1 validation error detected: Value ")
    assert f"at '{place}' failed to satisfy constraint: " in message
    assert constraint in message


def test_all_faults_are_told_at_once() -> None:
    request = changed("RoleArn", None) | {"ProcessingJobName": "a_b"}
    assert refusal(request).startswith("2 validation errors detected: ")


@pytest.mark.parametrize(
    ("path", "value"),
    [("ProcessingJobNam", "x"), ("RoleArn", 7), ("ProcessingInputs", {}), ("Environment", [])],
)
def test_unknown_members_and_wrong_types_are_refused(path: str, value: object) -> None:
    assert path in refusal(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("ProcessingInputs", [s3_input()] * 2, "Input names must be unique: 'videos'"),
        (f"{S3_INPUT}.LocalPath", "/tmp/videos", "below /opt/ml/processing/, got '/tmp/videos'"),
        (f"{S3_INPUT}.LocalPath", "/opt/ml/processing/../x", "below /opt/ml/processing/"),
        (f"{S3_INPUT}.LocalPath", None, "below /opt/ml/processing/"),
        (f"{S3_INPUT}.S3Uri", "https://host/key", "must start with s3://"),
        (f"{S3_INPUT}.S3InputMode", None, "S3InputMode must be given"),
        (f"{S3_INPUT}.S3InputMode", "Pipe", "Pipe is not emulated"),
        (f"{S3_INPUT}.S3CompressionType", "Gzip", "only be used with S3InputMode Pipe"),
        ("ProcessingInputs.0.S3Input", None, "S3Input must be given"),
        ("ProcessingInputs.0.AppManaged", True, "not emulated"),
        ("ProcessingOutputConfig.Outputs", [s3_output("EndOfJob")] * 2, "Output names must be"),
        ("ProcessingOutputConfig.Outputs.0.S3Output", None, "S3Output must be given"),
        (f"{CLUSTER}.InstanceCount", None, "needs InstanceType and InstanceCount"),
        (f"{CLUSTER}.InstancePreferences", [{"InstanceType": "ml.m5.large"}], "not both"),
    ],
)
def test_what_breaks_a_rule_beyond_the_model_is_refused(
    path: str, value: object, fault: str
) -> None:
    assert fault in refusal(changed(path, value))


@settings(max_examples=40)
@given(st.from_regex(r"\A[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}\Z").filter(lambda name: len(name) <= 63))
def test_any_name_of_the_right_form_is_taken(name: str) -> None:
    check_request(CREATE, changed("ProcessingJobName", name))


@settings(max_examples=40)
@given(st.text(max_size=80).filter(lambda name: not name.isascii() or not name.strip("-")))
def test_any_other_name_is_refused(name: str) -> None:
    refusal(changed("ProcessingJobName", name))


def test_a_refusal_reaches_the_caller_as_a_client_error(sagemaker: LocalSageMaker) -> None:
    request = valid() | {"ProcessingJobName": "not_allowed"}
    with pytest.raises(ClientError) as caught:
        sagemaker.client.create_processing_job(**request)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_name_is_taken_once_for_all_and_the_first_job_stays(sagemaker: LocalSageMaker) -> None:
    first = sagemaker.run("sys.exit(3)")
    with pytest.raises(sagemaker.client.exceptions.ResourceInUse, match="Job name must be unique"):
        sagemaker.create()
    assert sagemaker.wait()["FailureReason"] == first["FailureReason"]


@pytest.mark.parametrize("operation", ["describe_processing_job", "stop_processing_job"])
def test_an_unknown_job_is_refused_as_sagemaker_does(
    sagemaker: LocalSageMaker, operation: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(sagemaker.client, operation)(ProcessingJobName="unknown")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"] == "Could not find requested job with name: unknown"


def test_the_quota_counts_instances_of_jobs_that_have_not_ended(
    start_sagemaker: StartSageMaker,
) -> None:
    sagemaker = start_sagemaker(running=1, quota=3)
    sagemaker.create("time.sleep(60)", name="first", count=2)
    exceeded = sagemaker.client.exceptions.ResourceLimitExceeded
    with pytest.raises(exceeded, match="is 3 Instances, with current utilization of 2 Instances"):
        sagemaker.create(name="second", count=2)
    sagemaker.client.stop_processing_job(ProcessingJobName="first")
    sagemaker.wait("first")
    sagemaker.create(name="second", count=2)


def test_a_job_is_described_as_it_was_asked_for(sagemaker: LocalSageMaker) -> None:
    request = valid()
    sagemaker.client.create_processing_job(**request)
    described = sagemaker.wait()
    del request["Tags"]
    assert {key: described[key] for key in request} == request
    arn = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/job"
    assert described["ProcessingJobArn"] == arn


def test_an_operation_that_is_not_emulated_is_refused_by_name(sagemaker: LocalSageMaker) -> None:
    with pytest.raises(ClientError, match="ListTrainingJobs is not emulated"):
        sagemaker.client.list_training_jobs()


def test_jobs_are_listed_in_order_page_by_page(sagemaker: LocalSageMaker) -> None:
    for name in ("b1", "a2", "b3", "b2"):
        sagemaker.run(name=name)
    pages = sagemaker.client.get_paginator("list_processing_jobs").paginate(
        NameContains="b", SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 2}
    )
    names = [[job["ProcessingJobName"] for job in p["ProcessingJobSummaries"]] for p in pages]
    assert names == [["b3", "b2"], ["b1"]]


def test_jobs_are_listed_by_status(sagemaker: LocalSageMaker) -> None:
    sagemaker.run(name="good")
    sagemaker.run("sys.exit(1)", name="bad")
    listed = sagemaker.client.list_processing_jobs(StatusEquals="Failed")
    assert [job["ProcessingJobName"] for job in listed["ProcessingJobSummaries"]] == ["bad"]


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        ("SageMaker.CreateProcessingJob", b"{", "SerializationException"),
        ("SageMaker.CreateProcessingJob", b"[]", "SerializationException"),
        ("SageMaker.NoSuchOperation", b"{}", "UnknownOperationException"),
        ("DynamoDB_20120810.GetItem", b"{}", "UnknownOperationException"),
    ],
)
def test_what_is_no_call_to_sagemaker_is_refused(
    sagemaker: LocalSageMaker, target: str, body: bytes, code: str
) -> None:
    address = urlsplit(sagemaker.client.meta.endpoint_url).netloc
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("POST", "/", body, {"X-Amz-Target": target})
    answer = connection.getresponse()
    assert answer.status == 400
    assert json.load(answer)["__type"] == code
    connection.close()


def test_a_web_page_whose_name_was_rebound_to_loopback_is_refused(
    sagemaker: LocalSageMaker,
) -> None:
    address = urlsplit(sagemaker.client.meta.endpoint_url).netloc
    for host, status in ((address, 200), ("elsewhere.example", 400)):
        connection = http.client.HTTPConnection(address, timeout=10)
        headers = {"Host": host, "X-Amz-Target": "SageMaker.ListProcessingJobs"}
        connection.request("POST", "/", headers=headers)
        assert connection.getresponse().status == status
        connection.close()
