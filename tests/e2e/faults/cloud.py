"""An embedded cloud of the faults' own, whose processes can be killed one by one."""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from contracts.documents import to_json
from contracts.env import RECONCILE_VARIABLE
from contracts.pipeline import ReconcileSettings
from local.cloud import EmbeddedCloud
from local.config import REPOSITORY, CloudConfig
from local.ministack import HEALTH_PATH, start_ministack, wait_until_healthy
from local.processes import reap
from local.state import read_state, write_state
from local.toolchain import MINISTACK_ENVIRONMENT
from tests.e2e.process_tree import children, command
from tests.e2e.stage import LocalStage

RECONCILE = ReconcileSettings(
    every_minutes=1,
    received_after_s=6,
    dispatched_after_s=8,
    uploaded_after_s=6,
    max_jobs=1000,
    max_versions=2000,
)
RECONCILE_EVERY_S = 3.0
"""Seconds where a deployment takes minutes; else nothing differs."""


class BreakableCloud:
    """An embedded cloud that is up."""

    def __init__(self, cloud: EmbeddedCloud) -> None:
        self.cloud = cloud
        self.stage = LocalStage(cloud)
        self._lambda = cloud.client("lambda")
        self._hurry_reconcile()

    def kill_ministack(self) -> None:
        """SIGKILL, and at once another MiniStack over what the dead one had saved."""
        config = self.cloud.config
        state = read_state(config.state_file)
        assert state.ministack is not None
        for pid in [state.ministack.pid, *children(state.ministack.pid)]:
            kill(pid)
        while state.ministack.is_alive():
            reap(state.ministack.pid)
        reap(state.ministack.pid)
        record = start_ministack(
            config,
            python=REPOSITORY / MINISTACK_ENVIRONMENT / "bin" / "python",
            endpoints=state.endpoints,
            certificate=None,
            keep_state=True,
        )
        write_state(config.state_file, replace(state, ministack=record))
        url, log = state.endpoints.url + HEALTH_PATH, config.ministack_log
        wait_until_healthy(record, url=url, name="MiniStack", log=log)

    def kill_functions(self, role: str) -> int:
        """SIGKILL every process that runs a function; how many."""
        state = read_state(self.cloud.config.state_file)
        assert state.ministack is not None
        name = self.stage.names.function(role)
        workers = [pid for pid in children(state.ministack.pid) if name in command(pid)]
        for pid in workers:
            kill(pid)
        return len(workers)

    def containers(self) -> Iterator[tuple[int, Path]]:
        """Process ids of running containers, with the folder of their instance."""
        for mark in (self.cloud.config.sagemaker_root / "running").glob("*"):
            with contextlib.suppress(OSError):
                yield int(mark.name), Path(f"/proc/{mark.name}/cwd").readlink()

    @contextlib.contextmanager
    def reconciled(self) -> Iterator[None]:
        """Reconcile runs every few seconds meanwhile, as EventBridge Scheduler starts it."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(RECONCILE_EVERY_S):
                with contextlib.suppress(ClientError, BotoCoreError):
                    self._lambda.invoke(FunctionName=self.stage.names.function("reconcile"))

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _hurry_reconcile(self) -> None:
        name = self.stage.names.function("reconcile")
        found = self._lambda.get_function_configuration(FunctionName=name)["Environment"]
        hurried = found["Variables"] | {RECONCILE_VARIABLE: to_json(RECONCILE)}
        environment: Any = {"Variables": hurried}
        self._lambda.update_function_configuration(FunctionName=name, Environment=environment)


@contextlib.contextmanager
def breakable_cloud() -> Iterator[BreakableCloud]:
    """A cloud on free ports, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="framewright-faults-") as folder:
        config = CloudConfig(
            root=Path(folder), port=0, sagemaker_port=0, stop_grace_s=2.0, durable=True
        )
        cloud = EmbeddedCloud(config)
        cloud.up()
        try:
            yield BreakableCloud(cloud)
        finally:
            cloud.down()


def kill(pid: int) -> None:
    """SIGKILL, if it runs still."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
