"""The local SageMaker as a child process."""

import os
import shutil
import sys

from local.certificate import Certificate
from local.config import REPOSITORY, CloudConfig, Endpoints, clean_environment
from local.processes import ProcessRecord, end_group, start_detached

HEALTH_PATH = "/_health"
_CONTAINER_GRACE_S = 2.0


def start_sagemaker(
    config: CloudConfig, *, endpoints: Endpoints, certificate: Certificate | None
) -> ProcessRecord:
    """
    Start the service beside a MiniStack, with no jobs; it answers at `HEALTH_PATH`.

    A new MiniStack is an empty account, and so are its jobs: their names are free again.
    """
    root = config.sagemaker_root
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(config.logs / "jobs", ignore_errors=True)
    root.mkdir(parents=True)
    config.sagemaker_log.unlink(missing_ok=True)
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return start_detached(
        [sys.executable, "-m", "local.sagemaker", *_arguments(config, endpoints, certificate)],
        environment=clean_environment()
        | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"},
        cwd=root,
        log=config.sagemaker_log,
    )


def end_containers(config: CloudConfig) -> None:
    """End containers that a service left behind when it crashed, and remove all work folders."""
    running = config.sagemaker_root / "running"
    for mark in running.glob("*") if running.exists() else ():
        end_group(ProcessRecord(int(mark.name), mark.read_text()), grace_s=_CONTAINER_GRACE_S)
        mark.unlink(missing_ok=True)
    if not config.keep_work_folders:
        shutil.rmtree(config.sagemaker_root / "work", ignore_errors=True)


def _arguments(
    config: CloudConfig, endpoints: Endpoints, certificate: Certificate | None
) -> list[str]:
    options = {
        "root": config.sagemaker_root,
        "logs": config.logs / "jobs",
        "repository": config.repository,
        "port": endpoints.sagemaker_port,
        "ministack-port": endpoints.port,
        "max-running-instances": config.max_running_instances,
        "instance-quota": config.instance_quota,
        "stop-grace-s": config.stop_grace_s,
    }
    if certificate is not None:
        options |= {"certificate": certificate.file, "key": certificate.key}
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [*arguments, "--keep-work-folders"] if config.keep_work_folders else arguments
