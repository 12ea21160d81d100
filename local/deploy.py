"""The stage `local` synthesised and deployed into MiniStack with the pinned CDK CLI."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.config import (
    ACCOUNT,
    REGION,
    STAGE,
    CloudConfig,
    EmbeddedCloudError,
    Endpoints,
    clean_environment,
)
from local.processes import tail
from local.toolchain import Progress, Toolchain

_SOURCES = ("app.py", "cdk.json", "config", "contracts", "lambdas", "stacks", "uv.lock")
"""What the templates and the functions' code are made from."""
_DIGEST_LENGTH = 32
_ERROR_MARKS = ("❌", "_FAILED", "Error:", "error:")
_ROLE_TYPES = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
_POLL_S = 0.05
_CLI_FLAGS = ("--no-notices", "--no-color", "--progress", "events")


@dataclass(frozen=True, slots=True)
class Assembly:
    """A cloud assembly and the digest of the sources it was made from."""

    folder: Path
    digest: str


def sources_digest(repository: Path) -> str:
    """A digest over all that the templates depend on: the same digest needs no new deployment."""
    digest = hashlib.sha256()
    for path in _source_files(repository):
        content = hashlib.sha256(path.read_bytes()).digest()
        digest.update(path.relative_to(repository).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()[:_DIGEST_LENGTH]


def synthesize(config: CloudConfig, toolchain: Toolchain, *, progress: Progress) -> Assembly:
    """
    The assembly of the stage `local`, made now or kept from an earlier time.

    The app runs without the CDK CLI around it, so that it can run while MiniStack starts.

    Raises:
        EmbeddedCloudError: The app failed; the message holds the end of its output.
    """
    digest = sources_digest(config.repository)
    folder = config.root / "cdk" / digest
    if (folder / "manifest.json").exists():
        return Assembly(folder, digest)
    progress("Synthesising the stacks")
    shutil.rmtree(config.root / "cdk", ignore_errors=True)
    fresh = config.root / "cdk" / f"{digest}.new"
    fresh.mkdir(parents=True)
    context = _context(config.repository) | {"stage": STAGE}
    environment = {
        **clean_environment(),
        "CDK_OUTDIR": str(fresh),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_DEFAULT_ACCOUNT": ACCOUNT,
        "CDK_DEFAULT_REGION": REGION,
        "JSII_NODE": str(toolchain.node),
        "PATH": f"{toolchain.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    log = config.logs / "synth.log"
    command = [sys.executable, "app.py"]
    _run(command, cwd=config.repository, environment=environment, log=log, task="cdk synth")
    return Assembly(fresh.rename(folder), digest)


def bootstrap(config: CloudConfig, toolchain: Toolchain, endpoints: Endpoints) -> None:
    """
    Make the bucket and roles that deployments of assets need.

    Raises:
        EmbeddedCloudError: The CDK CLI failed.
    """
    _cdk(
        ["bootstrap", f"aws://{ACCOUNT}/{REGION}"],
        config,
        toolchain,
        aws=endpoints.environment(),
        log=config.logs / "bootstrap.log",
    )


def deploy(
    config: CloudConfig, toolchain: Toolchain, assembly: Assembly, endpoints: Endpoints
) -> None:
    """
    Deploy the configured stacks.

    Raises:
        EmbeddedCloudError: The CDK CLI failed; the message holds what CloudFormation said.
    """
    # Exclusively: orchestration follows the processing stack, which is not deployed here.
    options = ["--exclusively", "--require-approval", "never", "--method", "direct"]
    options += ["--concurrency", "2"]
    _cdk(
        ["deploy", "--app", str(assembly.folder), *config.stacks, *options],
        config,
        toolchain,
        aws=endpoints.environment(),
        log=config.logs / "deploy.log",
    )


def deploy_roles(config: CloudConfig, assembly: Assembly, cloudformation: Any) -> None:
    """
    Deploy, of the stacks that are left out here, the roles and policies as they are synthesised.

    Raises:
        EmbeddedCloudError: CloudFormation did not take one.
    """
    known = {stack["StackName"] for stack in cloudformation.list_stacks()["StackSummaries"]}
    for file in sorted(assembly.folder.glob("*.template.json")):
        stack = file.name.removesuffix(".template.json")
        if stack in config.stacks:
            continue
        resources = json.loads(file.read_text())["Resources"]
        roles = {id_: made for id_, made in resources.items() if made["Type"] in _ROLE_TYPES}
        put = cloudformation.update_stack if stack in known else cloudformation.create_stack
        put(
            StackName=stack,
            TemplateBody=json.dumps({"Resources": roles}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        status = _status_of(stack, cloudformation)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise EmbeddedCloudError(f"the roles of {stack} were not deployed: {status}")


def _status_of(stack: str, cloudformation: Any) -> str:
    while True:
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        if not described["StackStatus"].endswith("_IN_PROGRESS"):
            return f"{described['StackStatus']} {described.get('StackStatusReason', '')}".strip()
        time.sleep(_POLL_S)


def _cdk(
    arguments: Sequence[str],
    config: CloudConfig,
    toolchain: Toolchain,
    *,
    aws: Mapping[str, str],
    log: Path,
) -> None:
    home = config.root / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {
        **clean_environment(),
        **aws,
        "HOME": str(home),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "1",
    }
    command = [str(toolchain.node), str(toolchain.cdk), *arguments, *_CLI_FLAGS]
    # Not in the repository: its cdk.json names the app, which is synthesised already.
    _run(command, cwd=home, environment=environment, log=log, task=f"cdk {arguments[0]}")


def _run(
    command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path, task: str
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        status = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment),
            check=False,
        ).returncode
    if status != 0:
        raise EmbeddedCloudError(
            f"{task} failed with exit code {status}; all of its output is in {log}.\n"
            f"{_what_failed(log)}"
        )


def _what_failed(log: Path) -> str:
    """The lines that name an error, then the last ones."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines[:-15] if any(mark in line for mark in _ERROR_MARKS)]
    return "\n".join([*errors[-10:], tail(log, lines=15)])


def _context(repository: Path) -> dict[str, Any]:
    settings = repository / "cdk.json"
    if not settings.exists():
        return {}
    context: dict[str, Any] = json.loads(settings.read_text()).get("context", {})
    return context


def _source_files(repository: Path) -> Iterator[Path]:
    for name in _SOURCES:
        path = repository / name
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from sorted(
                file
                for file in path.rglob("*")
                if file.is_file() and "__pycache__" not in file.parts
            )
