"""What is said when the embedded cloud cannot start: always what to do."""

import os
import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from local.cloud import EmbeddedCloud
from local.config import (
    LOOPBACK,
    CloudConfig,
    EmbeddedCloudError,
    Endpoints,
    clean_environment,
    configured_port,
    free_port,
)
from local.deploy import sources_digest, synthesize
from local.ministack import check_disk, check_port, ministack_environment, wait_until_healthy
from local.processes import start_detached
from local.toolchain import Toolchain, find_node, find_uv

Usage = namedtuple("Usage", "total used free")


def test_a_port_that_is_taken_is_named_with_the_way_to_choose_another() -> None:
    with socket.create_server((LOOPBACK, 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(EmbeddedCloudError, match=f"port {port} .* is taken .*--port N"):
            check_port(port, option="--port N or FRAMEWRIGHT_PORT=N")
    check_port(free_port(), option="--port N")


def test_a_full_disk_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 5 * 2**20))
    with pytest.raises(EmbeddedCloudError, match="only 5 MiB are free"):
        EmbeddedCloud(CloudConfig(root=tmp_path)).up()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 10**12))
    check_disk(tmp_path)


def test_a_service_that_does_not_come_up_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", 'import sys; sys.exit("no such setting")']
    record = start_detached(command, environment=dict(os.environ), cwd=tmp_path, log=log)
    url = f"http://{LOOPBACK}:{free_port()}/"
    with pytest.raises(EmbeddedCloudError, match=r"(?s)MiniStack ended.*no such setting"):
        wait_until_healthy(record, url=url, name="MiniStack", log=log)


@pytest.mark.parametrize("text", ["http", "", "-1"])
def test_a_port_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(EmbeddedCloudError, match="expected a port number"):
        configured_port({"FRAMEWRIGHT_PORT": text})
    assert configured_port({}) == 4566


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(EmbeddedCloudError, match="port 70000"):
        CloudConfig(port=70000)
    with pytest.raises(EmbeddedCloudError, match="at least 1, got 0"):
        CloudConfig(max_running_instances=0)


def test_uv_is_taken_from_the_environment_then_the_path_then_the_bootstrap_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = [tmp_path / "named", tmp_path / "path" / "uv", tmp_path / ".bootstrap/bin/uv"]
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(EmbeddedCloudError, match=r"uv is missing.*make setup"):
        find_uv(tmp_path, {})
    for program in reversed(programs):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(mode=0o755)
        assert find_uv(tmp_path, {"UV": str(tmp_path / "named")}) == program


def test_node_comes_with_the_environment() -> None:
    assert os.access(find_node(), os.X_OK)


def test_ministack_is_told_to_stay_on_loopback_and_in_its_folder(tmp_path: Path) -> None:
    environment = ministack_environment(tmp_path, Endpoints(1234, 1235))
    assert environment["BIND_HOST"] == LOOPBACK
    assert environment["AWS_ENDPOINT_URL_SAGEMAKER"] == "http://127.0.0.1:1235"
    for name in ("TMPDIR", "STATE_DIR", "S3_DATA_DIR", "HOME"):
        assert Path(environment[name]).is_relative_to(tmp_path)


def test_credentials_of_a_real_account_reach_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_PROFILE", "real")
    assert not any(name.startswith("AWS_") for name in clean_environment())


def test_the_digest_changes_with_what_the_templates_are_made_from(tmp_path: Path) -> None:
    source = tmp_path / "stacks" / "storage.py"
    source.parent.mkdir()
    source.write_text("1")
    (tmp_path / "README.md").write_text("1")
    before = sources_digest(tmp_path)
    (tmp_path / "README.md").write_text("2")
    (tmp_path / "stacks" / "__pycache__").mkdir()
    (tmp_path / "stacks" / "__pycache__" / "storage.pyc").write_text("2")
    assert sources_digest(tmp_path) == before
    source.write_text("2")
    assert sources_digest(tmp_path) != before


def test_an_app_that_fails_shows_its_error_and_leaves_no_assembly(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text('raise ValueError("no such stage")')
    config = CloudConfig(root=tmp_path / "root", repository=tmp_path)
    toolchain = Toolchain(node=find_node(), cdk=Path(), ministack_python=Path())
    for _ in range(2):
        with pytest.raises(EmbeddedCloudError, match=r"(?s)cdk synth failed.*no such stage"):
            synthesize(config, toolchain, progress=lambda _: None)
