"""Where an embedded cloud lives on this machine: folders, ports, limits, and how to reach it."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"
ACCOUNT = "000000000000"
REGION = "us-east-1"
STAGE = "local"
PORT_VARIABLE = "FRAMEWRIGHT_PORT"
DEFAULT_PORT = 4566
REPOSITORY = Path(__file__).resolve().parent.parent

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""MiniStack's root key; it opens nothing but the embedded cloud."""

_FOREIGN = (
    "AWS_",
    "CDK_",
    "JSII_",
    "GATEWAY_PORT",
    "EDGE_PORT",
    "BIND_HOST",
    "LOCALSTACK_",
    "PYTHON",
    "VIRTUAL_ENV",
)


class EmbeddedCloudError(Exception):
    """The embedded cloud cannot be brought up or down; the message says what to do."""


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """
    One embedded cloud; two with different roots and ports live side by side.

    Attributes:
        root: Holds all run-time state: logs, process ids, work folders.
        repository: The checkout whose stacks are deployed and whose containers run.
        port: MiniStack's port; 0 takes a free one.
        sagemaker_port: The local SageMaker's port; 0 takes a free one, None the one after `port`.
        max_running_instances: Processing instances that run at once; more wait in line.
        instance_quota: Instances of unfinished jobs beyond which a job is refused.
        stop_grace_s: Between SIGTERM and SIGKILL of a container.
        keep_work_folders: Keep the ML root of each finished instance, for debugging.
        stacks: Deployed on the way up; those that hold images are left out, they need Docker.
        enforce_iam: Everything over TLS, and nobody may do what no policy allows; of the stacks
            that are not deployed, the roles are.
        durable: MiniStack keeps its state on disk, so that it can be started again after a death.
    """

    root: Path = field(default_factory=lambda: REPOSITORY / ".framewright")
    repository: Path = REPOSITORY
    port: int = DEFAULT_PORT
    sagemaker_port: int | None = None
    max_running_instances: int = field(default_factory=lambda: os.cpu_count() or 1)
    instance_quota: int = 1000
    stop_grace_s: float = 30.0
    keep_work_folders: bool = False
    stacks: tuple[str, ...] = (f"framewright-{STAGE}-storage", f"framewright-{STAGE}-orchestration")
    enforce_iam: bool = False
    durable: bool = False

    def __post_init__(self) -> None:
        # Children run in other folders.
        object.__setattr__(self, "root", self.root.absolute())
        for name in ("port", "sagemaker_port"):
            port = getattr(self, name)
            if port is not None and not 0 <= port <= 65535:
                raise EmbeddedCloudError(f"{name} {port}: a port is 0 (any free one) to 65535")
        if self.max_running_instances < 1:
            raise EmbeddedCloudError(
                f"max_running_instances must be at least 1, got {self.max_running_instances}"
            )

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def ministack_log(self) -> Path:
        return self.logs / "ministack.log"

    @property
    def sagemaker_log(self) -> Path:
        return self.logs / "sagemaker.log"

    @property
    def refusals(self) -> Path:
        """Holds a line for each call that was refused, where IAM is enforced."""
        return self.logs / "refusals.jsonl"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def sagemaker_root(self) -> Path:
        return self.root / "sagemaker"

    @property
    def ministack_root(self) -> Path:
        return self.root / "ministack"


def configured_port(environment: Mapping[str, str]) -> int:
    """
    MiniStack's port as the environment asks for it, or the default.

    Raises:
        EmbeddedCloudError: The variable holds no number.
    """
    text = environment.get(PORT_VARIABLE, str(DEFAULT_PORT))
    if not text.isdecimal():
        raise EmbeddedCloudError(f"{PORT_VARIABLE}={text!r}: expected a port number such as 4600")
    return int(text)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """
    Where the two services of one embedded cloud listen.

    Attributes:
        certificate: Theirs, when they speak TLS.
    """

    port: int
    sagemaker_port: int
    certificate: str | None = None

    @property
    def url(self) -> str:
        return self._url(self.port)

    @property
    def sagemaker_url(self) -> str:
        return self._url(self.sagemaker_port)

    def environment(self) -> dict[str, str]:
        """The variables with which any AWS SDK talks to this cloud and to nothing else."""
        plain = {
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.sagemaker_url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.sagemaker_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": f"{LOOPBACK},localhost",
        }
        if self.certificate is None:
            return plain
        return plain | {
            "AWS_CA_BUNDLE": self.certificate,
            "NODE_EXTRA_CA_CERTS": self.certificate,
        }

    def _url(self, port: int) -> str:
        return f"{'http' if self.certificate is None else 'https'}://{LOOPBACK}:{port}"


def clean_environment() -> dict[str, str]:
    """The caller's environment without what would lead a child to another cloud."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def port_is_taken(port: int) -> bool:
    """Whether something else holds the port on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False
