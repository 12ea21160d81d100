"""What a function's asset holds: the modules it imports, two libraries, and nothing else."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from contracts.documents import to_json
from stacks.constructs.lambda_code import ROOT, assemble, imported_files
from tests.lambdas.stage import RECONCILE, SETTINGS, TEMPLATE
from tests.stacks.runtime import lambda_runtime

ROLES = ("dispatch", "settle", "reconcile")
MAX_ZIPPED_BYTES = 3_000_000
PROBE = """
import importlib, json, sys
handler = importlib.import_module(f"lambdas.{sys.argv[1]}.handler")
assert callable(handler.handler)
first = ("contracts", "lambdas", "stacks", "vision", "cli", "local", "containers", "tests")
print(json.dumps(sorted(n for n in sys.modules if n.split(".")[0] in first)))
"""


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("assets")
    return {role: assemble(role, folder / role) for role in ROLES}


def files(asset: Path) -> list[Path]:
    return [path.relative_to(asset) for path in asset.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lambda_runtime(tmp_path_factory.mktemp("runtime"))


@pytest.mark.parametrize("role", ROLES)
def test_an_asset_is_small(assets: dict[str, Path], role: str, tmp_path: Path) -> None:
    archive = tmp_path / "asset.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for file in files(assets[role]):
            zipped.write(assets[role] / file, file)
    assert archive.stat().st_size < MAX_ZIPPED_BYTES


@pytest.mark.parametrize("role", ROLES)
def test_an_asset_runs_on_every_architecture(assets: dict[str, Path], role: str) -> None:
    assert {file.suffix for file in files(assets[role])} & {".so", ".pyd", ".dylib"} == set()


@pytest.mark.parametrize("role", ROLES)
def test_an_asset_holds_nothing_that_lambda_brings_or_that_is_not_run(
    assets: dict[str, Path], role: str
) -> None:
    tops = {file.parts[0] for file in files(assets[role])}
    assert tops == {
        "contracts",
        "lambdas",
        "aws_lambda_powertools",
        "aws_xray_sdk",
        "typing_extensions.py",
        "wrapt",
    }


@pytest.mark.parametrize("role", ROLES)
def test_a_handler_loads_from_its_asset_and_imports_all_of_ours_that_is_in_it(
    assets: dict[str, Path], runtime: Path, role: str
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_LAMBDA_FUNCTION_NAME": f"framewright-dev-{role}",
        "LAMBDA_TASK_ROOT": str(assets[role]),
        "FRAMEWRIGHT_STAGE": "dev",
        "FRAMEWRIGHT_ACCOUNT_ID": "123456789012",
        "FRAMEWRIGHT_PARTITION": "aws",
        "FRAMEWRIGHT_SETTINGS": to_json(SETTINGS),
        "FRAMEWRIGHT_JOB_TEMPLATE": to_json(TEMPLATE),
        "FRAMEWRIGHT_RECONCILE": to_json(RECONCILE),
        "POWERTOOLS_SERVICE_NAME": role,
    }
    paths = [str(assets[role]), str(runtime)]
    probe = f"import sys; sys.path[:0] = {paths!r}\n{PROBE}"
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-P", "-c", probe, role],
        env=environment,
        cwd=runtime,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shipped = {
        ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        for file in files(assets[role])
        if file.parts[0] in ("contracts", "lambdas")
    }
    assert set(json.loads(done.stdout)) == shipped


def test_a_role_does_not_carry_anothers_code(assets: dict[str, Path]) -> None:
    for role in ROLES:
        assert (assets[role] / "lambdas" / role / "handler.py").is_file()
        for other in set(ROLES) - {role}:
            assert not (assets[role] / "lambdas" / other).exists()


def test_an_asset_is_the_same_each_time(tmp_path: Path, assets: dict[str, Path]) -> None:
    again = assemble("settle", tmp_path / "settle")
    for path in (again, assets["settle"]):
        assert files(path)
    assert {f: (again / f).read_bytes() for f in files(again)} == {
        f: (assets["settle"] / f).read_bytes() for f in files(assets["settle"])
    }


def test_what_only_a_type_checker_imports_is_left_out() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in imported_files("lambdas.settle.handler")}
    assert "lambdas/settle/core.py" in found
    assert "lambdas/__init__.py" in found
    assert not any(name.startswith(("tests", "vision")) for name in found)
