"""MiniStack, the emulator behind everything but SageMaker, as a child process."""

import http.client
import json
import shutil
import ssl
import time
from pathlib import Path
from urllib.parse import urlsplit

from local.certificate import Certificate
from local.config import (
    ACCOUNT,
    LOOPBACK,
    REGION,
    CloudConfig,
    EmbeddedCloudError,
    Endpoints,
    clean_environment,
    port_is_taken,
)
from local.processes import ProcessRecord, start_detached, tail

ENTRY_POINT = Path(__file__).with_name("ministack_entry.py")
HEALTH_PATH = "/_ministack/health"
START_TIMEOUT_S = 60.0
MIN_FREE_BYTES = 1 << 30

_POLL_S = 0.05


def check_disk(folder: Path) -> None:
    """
    Refuse to start where videos and results would not fit.

    Raises:
        EmbeddedCloudError: Less than 1 GiB is free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_BYTES:
        raise EmbeddedCloudError(
            f"only {free / 2**20:.0f} MiB are free on the disk that holds {folder}; the embedded "
            "cloud needs 1024 MiB. Free some space and try again."
        )


def check_port(port: int, *, option: str) -> None:
    """
    Refuse to start on a port that something else holds.

    Raises:
        EmbeddedCloudError: It does; the message says how to choose another.
    """
    if port_is_taken(port):
        raise EmbeddedCloudError(
            f"port {port} on {LOOPBACK} is taken by another program. End that program, or choose "
            f"another port with {option}."
        )


def start_ministack(
    config: CloudConfig,
    *,
    python: Path,
    endpoints: Endpoints,
    certificate: Certificate | None,
    keep_state: bool = False,
) -> ProcessRecord:
    """
    Start MiniStack; it answers at `HEALTH_PATH` when it is up. With a certificate it enforces IAM.

    Args:
        keep_state: Go on with what a durable MiniStack had saved, instead of an empty account.
    """
    folder = config.ministack_root
    if not keep_state:
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("tmp", "state", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config.ministack_log.unlink(missing_ok=True)
    config.refusals.unlink(missing_ok=True)
    return start_detached(
        # -P: this folder holds modules that would shadow MiniStack's.
        [str(python), "-P", str(ENTRY_POINT)],
        environment={
            **ministack_environment(folder, endpoints),
            **enforcing_environment(certificate, config.refusals),
            **({"PERSIST_STATE": "1", "S3_PERSIST": "1"} if config.durable else {}),
        },
        cwd=folder,
        log=config.ministack_log,
    )


def ministack_environment(folder: Path, endpoints: Endpoints) -> dict[str, str]:
    """
    The environment of MiniStack, which its Lambda functions inherit.

    Nothing may listen beyond loopback, and nothing may be written outside its folder.
    """
    return {
        **clean_environment(),
        **endpoints.environment(),
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(endpoints.port),
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": f"unix://{folder / 'no-docker.sock'}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "state" / "s3"),
    }


def enforcing_environment(certificate: Certificate | None, refusals: Path) -> dict[str, str]:
    """What makes MiniStack speak TLS and check every call against IAM's policies."""
    if certificate is None:
        return {}
    return {
        "AUTH": "true",
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(certificate.file),
        "MINISTACK_SSL_KEY": str(certificate.key),
        "FRAMEWRIGHT_REFUSALS": str(refusals),
    }


def wait_until_healthy(record: ProcessRecord, *, url: str, name: str, log: Path) -> None:
    """
    Wait until a child answers JSON on its port.

    Raises:
        EmbeddedCloudError: It ended or did not answer in time.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while record.is_alive() and time.monotonic() < deadline:
        try:
            _ask(url)
        except (OSError, ValueError, http.client.HTTPException):
            time.sleep(_POLL_S)
        else:
            return
    fault = f"did not answer within {START_TIMEOUT_S:.0f} s" if record.is_alive() else "ended"
    raise EmbeddedCloudError(f"{name} {fault}. The end of its log, {log}:\n{tail(log)}")


def _ask(url: str) -> None:
    place = urlsplit(url)
    # Not urllib.request: it would ask a proxy that the environment names.
    connection = http.client.HTTPConnection(place.netloc, timeout=5)
    if place.scheme == "https":  # that it answers matters here, not who it says it is
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(place.netloc, timeout=5, context=context)
    try:
        connection.request("GET", place.path)
        json.load(connection.getresponse())
    finally:
        connection.close()
