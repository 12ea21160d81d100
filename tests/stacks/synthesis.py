"""Templates of a stage, synthesised once for each, and what is asked about them."""

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from stacks.checks import add_checks
from stacks.pipeline import Pipeline
from stacks.settings import load_settings

ROOT = Path(__file__).parent.parent.parent
STAGES = sorted(path.stem for path in (ROOT / "config").glob("*.toml"))
STACKS = ("storage", "processing", "orchestration")
Properties = dict[str, Any]


@functools.cache
def assembly(stage: str) -> Path:
    """The folder of a stage's cloud assembly, made without an account or a network."""
    folder = Path(tempfile.mkdtemp(prefix=f"framewright-{stage}-"))
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(folder), context=context)
    Pipeline(app, settings=load_settings(stage))
    add_checks(app)
    app.synth()
    return folder


@functools.cache
def template(stage: str, stack: str) -> dict[str, Any]:
    file = assembly(stage) / f"framewright-{stage}-{stack}.template.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def resources(stage: str, kind: str, stack: str | None = None) -> dict[str, dict[str, Any]]:
    """Resources of a type by `stack/LogicalId`."""
    return {
        f"{name}/{id_}": resource
        for name in ([stack] if stack else STACKS)
        for id_, resource in template(stage, name)["Resources"].items()
        if resource["Type"] == kind
    }


def properties(stage: str, kind: str, stack: str | None = None) -> dict[str, Properties]:
    return {
        id_: found.get("Properties", {}) for id_, found in resources(stage, kind, stack).items()
    }


def statements(policy: Properties) -> list[dict[str, Any]]:
    found = policy["PolicyDocument"]["Statement"]
    return found if isinstance(found, list) else [found]


def role_statements(stage: str, role: str) -> list[dict[str, Any]]:
    """All that a role's policies say; the role by the start of its logical id."""
    return [
        statement
        for policy in properties(stage, "AWS::IAM::Policy").values()
        if any(reference["Ref"].startswith(role) for reference in policy["Roles"])
        for statement in statements(policy)
    ]


def actions(statement: dict[str, Any]) -> list[str]:
    return many(statement["Action"])


def targets(statement: dict[str, Any]) -> list[str]:
    """A statement's resources as text, references written `${Name}`."""
    found = statement["Resource"]
    return [text(item) for item in (found if isinstance(found, list) else [found])]


def allowed(stage: str, role: str) -> Iterator[tuple[str, str]]:
    """Every pair of action and resource that a role may."""
    for statement in role_statements(stage, role):
        if statement["Effect"] == "Allow":
            for action in actions(statement):
                for target in targets(statement):
                    yield action, target


def text(value: Any) -> str:
    """A CloudFormation value as readable text."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(text, parts))
        case {"Fn::Sub": pattern}:
            return str(pattern)
        case {"Fn::ImportValue": name}:
            return f"${{import {name}}}"
    raise TypeError(f"not a CloudFormation value: {value!r}")


def many(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
