"""A container's entry point as a local process."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contracts.env import ML_ROOT_VARIABLE
from local.config import REGION
from local.processes import start_mark
from local.sagemaker.layout import Instance

DEFAULT_ENTRYPOINT = ("python", "-m", "containers.processing")
"""What our image starts when a job names no entry point."""
_NOT_FOUND = 127
_SIGNALLED = 128


class Container:
    """
    One running container.

    A file in `running` names its process while it lives, so that whoever ends the cloud after a
    crash of this service finds it.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        instance: Instance,
        *,
        repository: Path,
        aws_environment: Mapping[str, str],
        log: Path,
        running: Path,
        on_exit: Callable[[], None],
    ) -> None:
        self.instance = instance
        self.exit_code: int | None = None
        self._on_exit = on_exit
        environment = _environment(request, instance, repository, aws_environment)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            try:
                self._process = _start(_command(request), environment, instance.folder, output)
            except OSError as error:
                output.write(f"the entry point cannot be started: {error}\n".encode())
                self.exit_code = _NOT_FOUND
                return
        self._mark = running / str(self._process.pid)
        self._mark.write_text(start_mark(self._process.pid) or "")
        threading.Thread(target=self._wait, name=f"wait-{self._process.pid}", daemon=True).start()

    def signal(self, number: int) -> None:
        """Send a signal to the container's processes, if it still runs."""
        # The group keeps its id while it has members, even when its leader has ended.
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        status = self._process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._mark.unlink(missing_ok=True)
        self.exit_code = status if status >= 0 else _SIGNALLED - status
        self._on_exit()


def _start(
    command: list[str], environment: Mapping[str, str], folder: Path, output: Any
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        process_group=0,
        cwd=folder,
        env=environment,
    )


def _command(request: Mapping[str, Any]) -> list[str]:
    app = request["AppSpecification"]
    program, *rest = app.get("ContainerEntrypoint") or DEFAULT_ENTRYPOINT
    if program in ("python", "python3"):
        program = sys.executable
    return [shutil.which(program) or program, *rest, *app.get("ContainerArguments", [])]


def _environment(
    request: Mapping[str, Any],
    instance: Instance,
    repository: Path,
    aws_environment: Mapping[str, str],
) -> dict[str, str]:
    """Only what the request gives and what any container has; AWS only where the network is on."""
    isolated = request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "HOME": str(instance.folder),
        "TMPDIR": str(instance.folder / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(repository),
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **({} if isolated else aws_environment),
        **request.get("Environment", {}),
        ML_ROOT_VARIABLE: str(instance.ml_root),
    }
