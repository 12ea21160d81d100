"""MiniStack's IAM, asked as AWS's services ask it."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.config import ACCOUNT, LOOPBACK, REGION, Endpoints

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request as it came to a service.

    Attributes:
        headers: Name and value, the name in lower case; they hold the signature.
    """

    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    is_secure: bool


@dataclass(frozen=True, slots=True)
class Check:
    """Something that the caller must be allowed to do."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of a role."""

    access_key_id: str
    secret_access_key: str
    session_token: str

    def for_client(self) -> dict[str, str]:
        """As arguments of a boto3 client."""
        return {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
        }


class Authority:
    """Asks a MiniStack that enforces IAM."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._port = endpoints.port
        self._trust = ssl.create_default_context(cafile=endpoints.certificate)

    def refusal(self, call: Call, checks: Sequence[Check]) -> tuple[str, str] | None:
        """Why whoever signed a call may not make it, as an error code and a sentence."""
        found = self._ask(
            "authorize",
            path=call.path,
            headers=call.headers,
            body=base64.b64encode(call.body).decode(),
            secure=call.is_secure,
            checks=[
                {"action": check.action, "resource": check.resource, "context": check.context}
                for check in checks
            ],
        )
        return (found["code"], found["message"]) if found else None

    def assume(self, role_arn: str, *, service: str, source_arn: str) -> Credentials | None:
        """A role's credentials for a service that works on `source_arn`; None where it may not."""
        found = self._ask(
            "assume-role",
            service=service,
            role_arn=role_arn,
            session=service.partition(".")[0],
            source_arn=source_arn,
        )
        return Credentials(**found) if found else None

    def run_schedules(self) -> None:
        """Let the time of every schedule come now."""
        self._ask("run-schedules")

    def _ask(self, question: str, **parts: Any) -> dict[str, str]:
        connection = http.client.HTTPSConnection(
            LOOPBACK, self._port, timeout=_PATIENCE_S, context=self._trust
        )
        try:
            body = json.dumps({"account": ACCOUNT, "region": REGION, **parts})
            connection.request("POST", f"/_framewright/{question}", body)
            found: dict[str, str] = json.load(connection.getresponse())
        finally:
            connection.close()
        return found
