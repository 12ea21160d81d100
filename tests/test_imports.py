"""Who may import whom: the directions that keep each part usable without the others."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
FREE = {"tests", "benchmarks"}
"""May import anything."""
MAY_IMPORT = {
    "contracts": set[str](),
    "vision": {"contracts"},
    "lambdas": {"contracts"},
    "containers": {"contracts", "vision"},
    "stacks": {"contracts"},
    "local": {"contracts", "vision", "lambdas", "containers", "cli"},
    "cli": {"contracts", "vision", "lambdas", "containers", "local"},
}
"""Of ours, besides themselves."""
NEVER = {
    "vision": {"boto3", "botocore", "aws_cdk", "constructs", "mypy_boto3_s3"},
    "containers": {"boto3", "botocore", "aws_cdk", "constructs"},
    "lambdas": {"aws_cdk", "constructs", "numpy", "av", "cv2", "onnxruntime"},
    "stacks": {"boto3", "botocore"},
    "local": {"aws_cdk"},
    "cli": {"aws_cdk"},
}
"""Of others: synthesis makes no AWS call, and nothing that only runs needs the CDK."""


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import of a file, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def offences(package: str, forbidden: set[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for line, module in imports(file)
        if module.split(".")[0] in forbidden
    ]


def test_every_package_has_a_rule() -> None:
    assert set(PACKAGES) == FREE | set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_of_ours_only_what_it_may(package: str) -> None:
    assert offences(package, set(PACKAGES) - MAY_IMPORT[package] - {package}) == []


@pytest.mark.parametrize("package", NEVER)
def test_a_package_imports_nothing_that_its_place_does_not_have(package: str) -> None:
    assert offences(package, NEVER[package]) == []


def test_contracts_need_nothing_but_the_standard_library() -> None:
    known = {*sys.stdlib_module_names, "contracts"}
    found = {
        module.split(".")[0]
        for file in (ROOT / "contracts").rglob("*.py")
        for _, module in imports(file)
    }
    assert found <= known


def test_outcomes_import_nothing_of_ours() -> None:
    found = {module for _, module in imports(ROOT / "contracts" / "outcomes.py")}
    assert found == {"enum"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_are_absolute(package: str) -> None:
    assert [o for f in (ROOT / package).rglob("*.py") for o in imports(f) if o[1][0] == "."] == []
