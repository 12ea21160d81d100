"""`python -m local.sagemaker`: the local SageMaker as a process of its own."""

import argparse
import logging
from pathlib import Path

import boto3
import uvicorn
from botocore.config import Config

from local.config import CREDENTIALS, LOOPBACK, REGION, Endpoints
from local.sagemaker.identity import Enforced, Everyone
from local.sagemaker.run import RunSettings
from local.sagemaker.service import ServiceLimits, build_service


def main() -> None:
    """Serve until SIGTERM."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    root: Path = arguments.root
    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    endpoints = Endpoints(arguments.ministack_port, arguments.port, arguments.certificate)
    client_config = Config(
        max_pool_connections=2 * arguments.max_running_instances + 8,
        proxies={},
        retries={"mode": "standard", "total_max_attempts": 5},
        # Checksums guard a way over networks; this one is loopback.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )
    application = build_service(
        journal=root / "jobs.jsonl",
        identity=Enforced(session, endpoints, client_config)
        if endpoints.certificate
        else Everyone(session.client("s3", endpoint_url=endpoints.url, config=client_config)),
        events=session.client(
            "events", endpoint_url=endpoints.url, verify=endpoints.certificate, config=client_config
        ),
        settings=RunSettings(
            work=root / "work",
            logs=arguments.logs,
            running=root / "running",
            repository=arguments.repository,
            aws_environment=endpoints.environment(),
            stop_grace_s=arguments.stop_grace_s,
            keep_work_folders=arguments.keep_work_folders,
        ),
        limits=ServiceLimits(arguments.max_running_instances, arguments.instance_quota),
    )
    uvicorn.run(
        application,
        host=LOOPBACK,
        port=arguments.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=arguments.certificate,
        ssl_keyfile=arguments.key,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.sagemaker")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--repository", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ministack-port", type=int, required=True)
    parser.add_argument("--max-running-instances", type=int, required=True)
    parser.add_argument("--instance-quota", type=int, required=True)
    parser.add_argument("--stop-grace-s", type=float, required=True)
    parser.add_argument("--keep-work-folders", action="store_true")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    return parser


if __name__ == "__main__":
    main()
