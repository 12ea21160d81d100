"""
The image is built and run for real.

Needs Debian's buildah, as root. `FRAMEWRIGHT_BASE_IMAGE` names the base image to build on, which
may be one that is in buildah's storage only (`localhost/debian-python`); the Dockerfile's own base
is used otherwise. Where no registry can be reached, make a base first:

    export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm ROOT
    base=$(buildah from scratch)
    buildah add -q $base ROOT / && buildah commit $base debian-python
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.privileges import RUN_AS_VARIABLE
from contracts.models import resolve_model
from contracts.outcomes import Outcome, RejectionCode
from tests.containers.ml_tree import REPOSITORY, Tree
from tests.vision.attempts import any_request
from tests.vision.videos import make_video

BASE_IMAGE_VARIABLE = "FRAMEWRIGHT_BASE_IMAGE"
_IMAGE = "framewright-test"
_USER_ID = 10001
_CERTIFICATES = "/etc/ssl/certs"
_BUILD_LIMIT_S, _RUN_LIMIT_S = 1200, 120

pytestmark = pytest.mark.image


def _buildah(*arguments: str, limit_s: int = _RUN_LIMIT_S) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "vfs"),
    }
    return subprocess.run(
        ["buildah", *arguments],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def _checked(*arguments: str, limit_s: int = _RUN_LIMIT_S) -> str:
    ended = _buildah(*arguments, limit_s=limit_s)
    assert ended.returncode == 0, f"buildah {arguments[0]}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed: apt-get install buildah")
    if os.geteuid() != 0:
        pytest.skip("buildah with chroot isolation needs root")
    base = os.environ.get(BASE_IMAGE_VARIABLE)
    if base is None and _buildah("pull", "python:3.13-slim", limit_s=300).returncode != 0:
        pytest.skip(f"python:3.13-slim cannot be pulled; name a base by {BASE_IMAGE_VARIABLE}")
    arguments = ["build", "--network", "host", "--tag", _IMAGE, "--file", "containers/Dockerfile"]
    if base is not None:
        arguments += ["--pull=never", "--build-arg", f"BASE_IMAGE={base}"]
    if Path(_CERTIFICATES).is_dir():
        arguments += ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    _checked(*arguments, ".", limit_s=_BUILD_LIMIT_S)
    return _IMAGE


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[str]:
    name = _checked("from", "--pull=never", image)
    yield name
    _buildah("rm", name)


def _run(container: str, *command: str, tree: Tree | None = None) -> str:
    volumes = ["--volume", f"{tree.root}:/opt/ml"] if tree else []
    return _checked("run", "--network", "none", *volumes, container, "--", *command)


def _all(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def test_the_image_starts_the_processing_container_and_names_its_user(image: str) -> None:
    config = json.loads(_checked("inspect", "--type", "image", image))["OCIv1"]["config"]
    assert config["Entrypoint"] == ["python", "-m", "containers.processing"]
    assert f"{RUN_AS_VARIABLE}={_USER_ID}:{_USER_ID}" in config["Env"]
    # As root, or it could not write into SageMaker's folders.
    assert not config.get("User")


def test_the_image_holds_compiled_code_every_engine_and_no_tools(container: str) -> None:
    probe = """
import pathlib, shutil
from importlib.util import cache_from_source, find_spec
import av, cv2, numpy, onnxruntime, pycocotools.mask
root = pathlib.Path("/opt/framewright")
ours = [p for part in ("contracts", "vision", "containers") for p in (root / part).rglob("*.py")]
bare = [path.name for path in ours if not pathlib.Path(cache_from_source(path)).exists()]
print(len(ours) > 20, bare)
print([tool for tool in ("uv", "gcc", "make") if shutil.which(tool)])
print([name for name in ("boto3", "aws_cdk", "stacks", "lambdas") if find_spec(name)])
"""
    assert _run(container, "python", "-c", probe).splitlines() == ["True []", "[]", "[]"]


def test_a_video_goes_through_the_image_as_an_ordinary_user(container: str, tree: Tree) -> None:
    tree.videos.mkdir(parents=True)
    people = resolve_model("builtin:people")
    make_video(tree.videos / "good.mp4")
    (tree.videos / "bad.mp4").write_bytes(b"no video")
    requests = [
        any_request(tree.videos / name, select="every_seconds=1", model=people)
        for name in ("good.mp4", "bad.mp4")
    ]
    tree.ask(*requests)
    for folder in (tree.results, tree.root / "output"):
        folder.mkdir(parents=True)
    assert {(path.stat().st_uid, path.stat().st_mode & 0o022) for path in _all(tree.root)} == {
        (0, 0)
    }
    output = _run(container, "python", "-m", "containers.processing", tree=tree)
    first, *lines = map(json.loads, output.splitlines())
    assert (first["message"], first["uid"], first["gid"]) == ("gave up root", _USER_ID, _USER_ID)
    assert [line["message"] for line in lines].count("attempt ended") == 2
    assert {path.stat().st_uid for path in _all(tree.results)} == {_USER_ID}
    assert {path.stat().st_uid for path in _all(tree.videos)} == {0}
    attempt = tree.attempt(requests[0])
    assert (attempt.outcome, attempt.counts.frames_processed) == (Outcome.SUCCEEDED, 3)
    assert tree.attempt(requests[1]).code == RejectionCode.NOT_A_VIDEO
