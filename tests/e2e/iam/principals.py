"""The stage's roles, and an administrator of the account, as somebody who holds their keys."""

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.config import Config

from local.authority import Authority
from local.config import ACCOUNT, REGION
from local.state import read_state
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.policies import many

ADMINISTRATOR = "administrator"
"""A user whose own policy allows everything: only resources' policies can stop it."""
FOREIGN = "some-other-bucket"
_EVERYTHING = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
_ONE_JOB = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/fw-local-{'0' * 32}-a1"


class Principals:
    """Clients of any service in the name of any principal."""

    def __init__(self, stage: EnforcedStage) -> None:
        self.names = stage.names
        self.stage = stage
        self._endpoints = read_state(stage.cloud.config.state_file).endpoints
        self._session = boto3.Session(region_name=REGION)
        self._iam = stage.cloud.client("iam")
        stage.s3.create_bucket(Bucket=FOREIGN)

    @functools.cache  # noqa: B019  # as long-lived as the cloud
    def client(self, who: str, service: str, *, plain_http: bool = False) -> Any:
        """
        A service's client for a part of the stage, or for the administrator.

        Args:
            plain_http: As one whose connection to the service is not encrypted.
        """
        own = service == "sagemaker"
        client = self._session.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self._endpoints.sagemaker_url if own else self._endpoints.url,
            verify=self._endpoints.certificate,
            config=Config(
                proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}
            ),
            **self._credentials(who),
        )
        if plain_http:  # as a proxy that ends TLS tells; it is not signed
            client.meta.events.register("before-send", _tell_plain_http)
        return client

    @contextmanager
    def widened(self, part: str) -> Iterator[None]:
        """A part whose own policy allows all of S3: what stops it is a resource's."""
        role = {"RoleName": self.names.role(part), "PolicyName": "widened"}
        document = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
        self._iam.put_role_policy(**role, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            self._iam.delete_role_policy(**role)

    @functools.cache  # noqa: B019
    def _credentials(self, who: str) -> dict[str, str]:
        if who == ADMINISTRATOR:
            return self._administrator()
        role = self._iam.get_role(RoleName=self.names.role(who))["Role"]
        (trust,) = many(role["AssumeRolePolicyDocument"]["Statement"])
        found = Authority(self._endpoints).assume(
            role["Arn"], service=trust["Principal"]["Service"], source_arn=_ONE_JOB
        )
        assert found is not None, who
        return found.for_client()

    def _administrator(self) -> dict[str, str]:
        with suppress(self._iam.exceptions.EntityAlreadyExistsException):
            self._iam.create_user(UserName=ADMINISTRATOR)
        self._iam.put_user_policy(
            UserName=ADMINISTRATOR, PolicyName="all", PolicyDocument=json.dumps(_EVERYTHING)
        )
        key = self._iam.create_access_key(UserName=ADMINISTRATOR)["AccessKey"]
        return {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }


def _tell_plain_http(request: Any, **_: Any) -> None:
    request.headers["X-Forwarded-Proto"] = "http"
