"""What a cloud that enforces IAM is told, and what the local SageMaker asks of its callers."""

import contextlib
import ssl
from pathlib import Path

import pytest

from local.authority import Check
from local.certificate import Certificate, make_certificate
from local.config import EmbeddedCloudError, Endpoints
from local.ministack import enforcing_environment
from local.sagemaker.identity import needed
from tests.local.conftest import ROLE, job_request

KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
JOB = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/job"


def test_a_cloud_is_open_and_plain_unless_it_has_a_certificate(tmp_path: Path) -> None:
    assert enforcing_environment(None, tmp_path) == {}
    assert Endpoints(1, 2).url == "http://127.0.0.1:1"
    assert "AWS_CA_BUNDLE" not in Endpoints(1, 2).environment()


def test_a_certificate_is_trusted_by_those_who_are_told_of_it(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    assert served_under(made) == "127.0.0.1"
    environment = Endpoints(1, 2, str(made.file)).environment()
    assert environment["AWS_ENDPOINT_URL"] == "https://127.0.0.1:1"
    assert environment["AWS_CA_BUNDLE"] == environment["NODE_EXTRA_CA_CERTS"] == str(made.file)


def served_under(made: Certificate) -> str | None:
    """The name that a client that trusts the certificate has verified."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(made.file, made.key)
    trusting = ssl.create_default_context(cafile=made.file)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.server_hostname if client.version() else None


def test_without_openssl_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedCloudError, match=r"openssl is missing.*Install it"):
        make_certificate(tmp_path / "tls")


def test_whoever_starts_a_job_must_be_allowed_all_that_it_names() -> None:
    request = job_request("job", entry_point=[], Tags=[{"Key": "a", "Value": "b"}])
    request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] = KEY
    via = {"kms:ViaService": "sagemaker.us-east-1.amazonaws.com"}
    assert needed("CreateProcessingJob", request) == [
        Check("sagemaker:CreateProcessingJob", JOB),
        Check("sagemaker:AddTags", JOB),
        Check("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"}),
        Check("kms:DescribeKey", KEY, via),
        Check("kms:CreateGrant", KEY, {**via, "kms:GrantIsForAWSResource": "true"}),
    ]


def test_whoever_looks_at_a_job_must_be_allowed_that_alone() -> None:
    found = needed("DescribeProcessingJob", {"ProcessingJobName": "job"})
    assert found == [Check("sagemaker:DescribeProcessingJob", JOB)]
