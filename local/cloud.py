"""The embedded cloud as a whole: up, down, status, and clients for it."""

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import boto3
from botocore.config import Config

from cli.output import program
from local import deploy
from local.config import (
    CREDENTIALS,
    LOOPBACK,
    PORT_VARIABLE,
    REGION,
    REPOSITORY,
    CloudConfig,
    EmbeddedCloudError,
    Endpoints,
    free_port,
)
from local.ministack import check_disk, check_port
from local.services import end_services, start_services
from local.state import CloudState, read_state, write_state
from local.toolchain import Progress, Toolchain, prepare_toolchain


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """
    What runs.

    Attributes:
        is_up: Both services run and the stacks are deployed.
        endpoint_url: MiniStack's; None when it does not run.
        sagemaker_url: The local SageMaker's; None when it does not run.
        is_current: The deployed stacks were made from the sources as they are now.
    """

    is_up: bool
    endpoint_url: str | None = None
    sagemaker_url: str | None = None
    is_current: bool = False


class EmbeddedCloud:
    """
    One embedded cloud; its state is on disk, so any program may bring it up, use it, take it down.
    """

    def __init__(self, config: CloudConfig | None = None) -> None:
        self.config = config or CloudConfig()

    def up(self, progress: Progress = lambda _: None) -> CloudStatus:
        """
        Bring the cloud up, or its stacks up to date; does nothing when both are so already.

        Args:
            progress: Called with a short line before each step that takes time.

        Raises:
            EmbeddedCloudError: It cannot come up; nothing is left running.
        """
        check_disk(self.config.root)
        with self._locked():
            state = read_state(self.config.state_file)
            if state.is_running and self.config.enforce_iam and state.certificate is None:
                raise EmbeddedCloudError(
                    "the cloud that runs does not enforce IAM, and cannot begin to; take it down "
                    f"first with `{program()} down`"
                )
            if state.is_running and self._is_current(state):
                return self._status(state)
            toolchain = prepare_toolchain(REPOSITORY, logs=self.config.logs, progress=progress)
            if state.is_running and state.deployed is not None:
                assembly = self._synthesize(toolchain, progress)
                state = self._deploy(state, toolchain, assembly, progress)
            else:  # Down, or left by a program that did not get all the way up.
                end_services(self.config, state)
                state = self._start(toolchain, progress)
        return self._status(state)

    def down(self) -> bool:
        """End all of the cloud's processes, and no others; whether there were any."""
        if not self.config.root.exists():
            return False
        with self._locked():
            state = read_state(self.config.state_file)
            end_services(self.config, state)
        return state.ministack is not None or state.sagemaker is not None

    def status(self) -> CloudStatus:
        """What runs now."""
        return self._status(read_state(self.config.state_file))

    def environment(self) -> dict[str, str]:
        """
        The variables that lead any AWS SDK, and the AWS CLI, to this cloud.

        Raises:
            EmbeddedCloudError: It is not up.
        """
        return self._endpoints().environment()

    def session(self) -> boto3.Session:
        """A boto3 session with this cloud's credentials and region, but not its endpoints."""
        return boto3.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        )

    def client(self, service: str) -> Any:
        """
        A boto3 client that talks to this cloud.

        Raises:
            EmbeddedCloudError: It is not up.
        """
        endpoints = self._endpoints()
        own = service.startswith("sagemaker")
        return self.session().client(  # type: ignore[call-overload]
            service,
            endpoint_url=endpoints.sagemaker_url if own else endpoints.url,
            verify=endpoints.certificate,
            config=Config(proxies={}, s3={"addressing_style": "path"}),
        )

    def _start(self, toolchain: Toolchain, progress: Progress) -> CloudState:
        config = self.config
        port = config.port or free_port()
        sagemaker_port = self._choose_sagemaker_port(port)
        check_port(port, option=f"--port N or {PORT_VARIABLE}=N")
        check_port(
            sagemaker_port, option=f"--port N or {PORT_VARIABLE}=N, which move both services"
        )
        with ThreadPoolExecutor(1) as pool:
            # A whole synthesis takes longer than all the rest: it runs beside it.
            synthesis = pool.submit(self._synthesize, toolchain, progress)
            try:
                progress("Starting MiniStack and the local SageMaker")
                state = start_services(config, toolchain, port=port, sagemaker_port=sagemaker_port)
                if config.stacks:
                    progress("Bootstrapping the account")
                    deploy.bootstrap(config, toolchain, state.endpoints)
                return self._deploy(state, toolchain, synthesis.result(), progress)
            except BaseException:
                end_services(config, read_state(config.state_file))
                raise

    def _synthesize(self, toolchain: Toolchain, progress: Progress) -> deploy.Assembly | None:
        if not self.config.stacks:
            return None
        return deploy.synthesize(self.config, toolchain, progress=progress)

    def _deploy(
        self,
        state: CloudState,
        toolchain: Toolchain,
        assembly: deploy.Assembly | None,
        progress: Progress,
    ) -> CloudState:
        if assembly is None:
            return self._remember(replace(state, deployed=""))
        progress("Deploying the stacks")
        deploy.deploy(self.config, toolchain, assembly, state.endpoints)
        if state.certificate is not None:
            deploy.deploy_roles(self.config, assembly, self.client("cloudformation"))
        return self._remember(replace(state, deployed=assembly.digest))

    def _choose_sagemaker_port(self, port: int) -> int:
        asked = self.config.sagemaker_port
        if asked is None and self.config.port:
            return port + 1
        return asked or free_port()

    def _is_current(self, state: CloudState) -> bool:
        wanted = deploy.sources_digest(self.config.repository) if self.config.stacks else ""
        return state.deployed == wanted

    def _status(self, state: CloudState) -> CloudStatus:
        if not state.is_running:
            return CloudStatus(is_up=False)
        return CloudStatus(
            is_up=state.deployed is not None,
            endpoint_url=state.endpoints.url,
            sagemaker_url=state.endpoints.sagemaker_url,
            is_current=self._is_current(state),
        )

    def _endpoints(self) -> Endpoints:
        state = read_state(self.config.state_file)
        if not state.is_running:
            raise EmbeddedCloudError(
                f"the embedded cloud is not up; start it with `{program()} up`"
            )
        return state.endpoints

    def _remember(self, state: CloudState) -> CloudState:
        write_state(self.config.state_file, state)
        return state

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One program at a time; the lock goes with the program that holds it."""
        with (self.config.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EmbeddedCloudError(
                    f"another program is bringing the cloud of {self.config.root} up or down on "
                    f"{LOOPBACK}; wait for it to end"
                ) from error
            yield
