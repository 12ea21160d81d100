"""The two services of the embedded cloud, started and ended together."""

from dataclasses import replace

from local.certificate import make_certificate
from local.config import CloudConfig, Endpoints
from local.ministack import HEALTH_PATH as MINISTACK_HEALTH_PATH
from local.ministack import start_ministack, wait_until_healthy
from local.processes import end_group
from local.sagemaker_process import HEALTH_PATH as SAGEMAKER_HEALTH_PATH
from local.sagemaker_process import end_containers, start_sagemaker
from local.state import CloudState, forget_state, write_state
from local.toolchain import Toolchain

_SAGEMAKER_GRACE_S = 10.0
_MINISTACK_GRACE_S = 1.0
"""Its state is in memory: there is nothing it could save."""


def start_services(
    config: CloudConfig, toolchain: Toolchain, *, port: int, sagemaker_port: int
) -> CloudState:
    """
    Start both services side by side and wait until they answer.

    What is started is on disk at once, so that whatever ends this program can be cleaned up after.

    Raises:
        EmbeddedCloudError: One did not come up; the message holds the end of its log.
    """
    certificate = make_certificate(config.root / "tls") if config.enforce_iam else None
    endpoints = Endpoints(port, sagemaker_port, str(certificate.file) if certificate else None)
    ministack = start_ministack(
        config,
        python=toolchain.ministack_python,
        endpoints=endpoints,
        certificate=certificate,
    )
    state = CloudState(port, sagemaker_port, endpoints.certificate, ministack=ministack)
    write_state(config.state_file, state)
    sagemaker = start_sagemaker(config, endpoints=endpoints, certificate=certificate)
    state = replace(state, sagemaker=sagemaker)
    write_state(config.state_file, state)
    wait_until_healthy(
        ministack,
        url=endpoints.url + MINISTACK_HEALTH_PATH,
        name="MiniStack",
        log=config.ministack_log,
    )
    wait_until_healthy(
        sagemaker,
        url=endpoints.sagemaker_url + SAGEMAKER_HEALTH_PATH,
        name="the local SageMaker",
        log=config.sagemaker_log,
    )
    return state


def end_services(config: CloudConfig, state: CloudState) -> None:
    """End what the state names, and the containers that a crashed service left; nothing else."""
    if state.sagemaker is not None:
        end_group(state.sagemaker, grace_s=_SAGEMAKER_GRACE_S)
    end_containers(config)
    if state.ministack is not None:
        end_group(state.ministack, grace_s=_MINISTACK_GRACE_S)
    forget_state(config.state_file)
