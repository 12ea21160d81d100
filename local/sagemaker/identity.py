"""Who may do what to jobs, and in whose name a job reads and writes."""

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config

from local.authority import Authority, Call, Check, Credentials
from local.config import REGION, Endpoints
from local.sagemaker.errors import ServiceError, validation_error
from local.sagemaker.rules import job_arn

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PRINCIPAL = "sagemaker.amazonaws.com"


class Identity(Protocol):
    """Decides on calls, and gives each job an S3 of its own."""

    def authorize(self, call: Call, operation: str, request: Mapping[str, Any]) -> None:
        """
        Let a call pass.

        Raises:
            ServiceError: The caller may not make it.
        """

    def s3_of(self, request: Mapping[str, Any]) -> "S3Client":
        """
        S3 in the name of a job's role.

        Raises:
            ServiceError: SageMaker may not take the role for that job.
        """


class Everyone:
    """Everyone may do everything, and a job reads and writes as the account itself."""

    def __init__(self, s3: "S3Client") -> None:
        self._s3 = s3

    def authorize(self, call: Call, operation: str, request: Mapping[str, Any]) -> None:
        """Let every call pass."""

    def s3_of(self, request: Mapping[str, Any]) -> "S3Client":  # noqa: ARG002  # as all identities
        """The account's own."""
        return self._s3


class Enforced:
    """MiniStack's IAM decides."""

    def __init__(self, session: boto3.Session, endpoints: Endpoints, config: Config) -> None:
        self._session = session
        self._endpoints = endpoints
        self._config = config
        self._lock = threading.Lock()  # a session makes one client at a time
        self._authority = Authority(endpoints)

    def authorize(self, call: Call, operation: str, request: Mapping[str, Any]) -> None:
        """Let a call pass whose signature is right and whose caller's policies allow it."""
        if refused := self._authority.refusal(call, needed(operation, request)):
            raise ServiceError(*refused)
        if operation == "CreateProcessingJob":
            self._credentials(request)

    def s3_of(self, request: Mapping[str, Any]) -> "S3Client":
        """S3 with credentials of the job's role, for that job."""
        credentials = self._credentials(request)
        with self._lock:
            return self._session.client(
                "s3",
                endpoint_url=self._endpoints.url,
                verify=self._endpoints.certificate,
                config=self._config,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token,
            )

    def _credentials(self, request: Mapping[str, Any]) -> Credentials:
        found = self._authority.assume(
            request["RoleArn"],
            service=PRINCIPAL,
            source_arn=job_arn(request["ProcessingJobName"]),
        )
        if found is None:
            raise validation_error(
                f"Could not assume role {request['RoleArn']}. Please ensure that the role exists "
                f"and allows principal '{PRINCIPAL}' to assume the role."
            )
        return found


def needed(operation: str, request: Mapping[str, Any]) -> list[Check]:
    """
    What the caller of an operation must be allowed.

    https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html
    """
    name = request.get("ProcessingJobName")
    job = job_arn(name) if name else "*"
    checks = [Check(f"sagemaker:{operation}", job)]
    if operation != "CreateProcessingJob":
        return checks
    if request.get("Tags"):
        checks.append(Check("sagemaker:AddTags", job))
    passed = {"iam:PassedToService": PRINCIPAL}
    checks.append(Check("iam:PassRole", request["RoleArn"], passed))
    key = request["ProcessingResources"]["ClusterConfig"].get("VolumeKmsKeyId")
    if key:
        via = {"kms:ViaService": f"sagemaker.{REGION}.amazonaws.com"}
        checks.append(Check("kms:DescribeKey", key, via))
        checks.append(Check("kms:CreateGrant", key, via | {"kms:GrantIsForAWSResource": "true"}))
    return checks
