"""
A function's code: the modules its handler imports, and the libraries that Lambda does not bring.

Assembled from the environment that synthesis runs in, so it needs no network and no container.
Compiled extensions are left out: what is bundled also runs without them (wrapt has a Python form of
its own), and the asset then fits every architecture. So is bytecode: it would have to come from the
runtime's own version of Python, which the machine that synthesises need not have.
"""

import ast
import atexit
import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aws_cdk import aws_lambda as lambda_

ROOT = Path(__file__).parent.parent.parent
FIRST_PARTY = ("contracts", "lambdas")
DISTRIBUTIONS = ("aws-lambda-powertools", "aws-xray-sdk", "typing-extensions", "wrapt")
"""The `lambda` dependency group, without boto3 and jmespath, which the Lambda runtime has."""

_LEFT_OUT = (".so", ".pyd", ".pyi", ".pyc", ".typed")


def lambda_code(role_name: str) -> lambda_.Code:
    """The asset of `lambdas/<role_name>/handler.py`."""
    # A folder of its own, so that two syntheses at once do not empty each other's.
    folder = tempfile.mkdtemp(prefix=f"framewright-{role_name}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return lambda_.Code.from_asset(str(assemble(role_name, Path(folder))))


def assemble(role_name: str, target: Path) -> Path:
    """Write a function's files into an empty folder, and return it."""
    for path in imported_files(f"lambdas.{role_name}.handler"):
        _copy(path, target / path.relative_to(ROOT))
    for distribution in DISTRIBUTIONS:
        for file in importlib.metadata.files(distribution) or ():
            if ".dist-info" not in str(file) and file.suffix not in _LEFT_OUT:
                _copy(Path(str(file.locate())), target / file)
    return target


def imported_files(module: str) -> list[Path]:
    """The files of ours that a module imports at run time, its packages' and its own included."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source_of(name)
        if name not in found and path is not None:
            found[name] = path
            waiting.extend(_imports_of(ast.parse(path.read_text())))
            waiting.append(name.rpartition(".")[0])
    return sorted(found.values())


def _imports_of(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:  # a TYPE_CHECKING block is an `if`, and not looked into
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _source_of(module: str) -> Path | None:
    if module.split(".")[0] not in FIRST_PARTY:
        return None
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
