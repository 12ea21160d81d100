"""What has to be in place on this machine, one check each."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.output import program

MIN_PYTHON = (3, 11)
_CODECS = ("h264", "hevc", "mpeg4", "vp9", "av1")
_PROGRAM_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Check:
    """
    One thing that was looked at.

    Attributes:
        found: What is there.
        remedy: What to do about it; None when all is well.
    """

    name: str
    found: str
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return self.remedy is None


def local_checks() -> Iterator[Check]:
    """What processing videos and running the embedded cloud take."""
    yield _python()
    yield _codecs()
    yield _encoder()
    yield _guarded("Node", _node)
    yield _guarded("CDK CLI", _cdk)
    yield _guarded("MiniStack", _ministack)
    yield _guarded("Disk", _disk)
    yield from _ports()


def deployed_checks(stage: str) -> Iterator[Check]:
    """What talking to a stage in AWS takes."""
    from cli.errors import explain
    from cli.stage import open_stage

    try:
        opened = open_stage(stage)
        yield Check("Credentials", f"account {opened.names.account}, {opened.names.region}")
        for bucket in (opened.names.uploads_bucket, opened.names.results_bucket):
            opened.s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
            yield Check("Bucket", bucket)
        opened.ledger.get("0" * 32)
        yield Check("Jobs table", opened.names.jobs_table)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        yield Check(f"Stage {stage}", explained.what, explained.remedy)


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    wanted = ".".join(map(str, MIN_PYTHON))
    old = sys.version_info < MIN_PYTHON
    return Check("Python", found, f"Install Python {wanted} or newer." if old else None)


def _codecs() -> Check:
    import av

    missing = [name for name in _CODECS if name not in av.codecs_available]
    found = f"PyAV {av.__version__}, decodes {', '.join(sorted(set(_CODECS) - set(missing)))}"
    remedy = f"PyAV lacks {', '.join(missing)}: install its wheel again with `make setup`."
    return Check("Codecs", found, remedy if missing else None)


def _encoder() -> Check:
    import av

    try:
        av.CodecContext.create("libx264", "w")
    except (ValueError, av.FFmpegError):
        remedy = "Annotated videos need it: install PyAV's wheel again with `make setup`."
        return Check("H.264 encoder", "missing", remedy)
    return Check("H.264 encoder", "libx264")


def _node() -> Check:
    from local.toolchain import find_node

    node = find_node()
    return Check("Node", f"{_version(node)} at {_shown(node)}")


def _cdk() -> Check:
    from local.config import REPOSITORY
    from local.toolchain import find_node

    script = REPOSITORY / "node_modules" / "aws-cdk" / "bin" / "cdk"
    if not script.exists():
        return Check("CDK CLI", "not installed", f"`{program()} up` installs it.")
    return Check("CDK CLI", _version(find_node(), str(script)))


def _ministack() -> Check:
    from local.config import REPOSITORY
    from local.toolchain import MINISTACK_ENVIRONMENT

    python = REPOSITORY / MINISTACK_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        remedy = f"`{program()} up` installs it."
        return Check("MiniStack", "not installed", remedy)
    code = "from importlib.metadata import version; print(version('ministack'))"
    return Check("MiniStack", f"{_version(python, '-c', code)} in {_shown(python.parent.parent)}")


def _disk() -> Check:
    import shutil

    from local.config import CloudConfig
    from local.ministack import check_disk

    root = CloudConfig().root
    check_disk(root)
    return Check("Disk", f"{shutil.disk_usage(root).free / 1e9:.1f} GB free for {_shown(root)}")


def _ports() -> Iterator[Check]:
    from cli.cloud import embedded_cloud
    from local.config import port_is_taken

    cloud = embedded_cloud()
    status = cloud.status()
    if status.is_up:
        stale = "" if status.is_current else ", its stacks are older than the sources"
        remedy = None if status.is_current else f"`{program()} up` deploys them again."
        yield Check("Embedded cloud", f"up at {status.endpoint_url}{stale}", remedy)
        return
    port = cloud.config.port
    taken = [number for number in (port, port + 1) if port_is_taken(number)]
    found = f"down; ports {port} and {port + 1} are {'not both ' if taken else ''}free"
    remedy = f"Port {taken[0]} is taken: choose another with FRAMEWRIGHT_PORT." if taken else None
    yield Check("Embedded cloud", found, remedy)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    from local.config import EmbeddedCloudError

    try:
        return check()
    except (EmbeddedCloudError, OSError, subprocess.SubprocessError) as error:
        return Check(name, "does not work", f"{error}")


def _version(program: Path, *arguments: str) -> str:
    command = [str(program), *(arguments or ("--version",))]
    if arguments and arguments[0] != "-c":
        command.append("--version")
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=_PROGRAM_TIMEOUT_S
    ).stdout.strip()


def _shown(path: Path) -> str:
    """A path as seen from here, where that is shorter."""
    relative = os.path.relpath(path)
    return min(relative, str(path), key=len)
