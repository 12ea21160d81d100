"""What runs, on disk: written after each start, so that whatever crashes can be cleaned up."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from local.config import Endpoints
from local.processes import ProcessRecord


@dataclass(frozen=True, slots=True)
class CloudState:
    """
    The processes of one embedded cloud.

    Attributes:
        deployed: Digest of the sources whose stacks are deployed; None before the first time.
        certificate: The services', when they speak TLS and enforce IAM.
    """

    port: int = 0
    sagemaker_port: int = 0
    certificate: str | None = None
    ministack: ProcessRecord | None = None
    sagemaker: ProcessRecord | None = None
    deployed: str | None = None

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(self.port, self.sagemaker_port, self.certificate)

    @property
    def is_running(self) -> bool:
        """Whether both services' processes live."""
        return all(
            record is not None and record.is_alive() for record in (self.ministack, self.sagemaker)
        )


def read_state(path: Path) -> CloudState:
    """The state as written last; empty when nothing was, or when the file is damaged."""
    try:
        plain = json.loads(path.read_text())
        for name in ("ministack", "sagemaker"):
            plain[name] = plain[name] and ProcessRecord(**plain[name])
        return CloudState(**plain)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return CloudState()


def write_state(path: Path, state: CloudState) -> None:
    """Write the state in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(dataclasses.asdict(state), indent=2))
    fresh.replace(path)


def forget_state(path: Path) -> None:
    """Nothing runs any more."""
    path.unlink(missing_ok=True)
