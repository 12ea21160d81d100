"""
What each role may do and which findings are accepted, as tables for people.

`python -m tests.stacks.access` prints them, made from the templates of prod; docs/security.md holds
them word for word.
"""

import json
import re
from collections.abc import Iterator

from stacks.constructs.grants import USE_OF_KEY
from tests.stacks.synthesis import (
    actions,
    assembly,
    properties,
    resources,
    statements,
    targets,
    text,
)

STAGE = "prod"
_HEAD = ("| role | may | on | if |", "|---|---|---|---|")
_PHYSICAL = ("QueueName", "TopicName", "FunctionName", "LogGroupName", "RoleName")


def access_table() -> str:
    """Every grant and denial of every role, in the order of roles and resources."""
    return "\n".join([*_HEAD, *sorted(set(_rows()))])


def accepted_table() -> str:
    """Every accepted finding of every check, with its reason."""
    report = json.loads((assembly(STAGE) / "validation-report.json").read_text())
    rows = {
        f"| `{_plain(finding['acknowledgedId'])}` | {finding['reason']} |"
        for plugin in report["pluginReports"]
        for finding in plugin["suppressedViolations"]
    }
    return "\n".join(["| finding | why it is right |", "|---|---|", *sorted(rows)])


def _plain(finding: str) -> str:
    name = finding.partition("::")[2].removeprefix("AwsSolutions-")
    return _short(re.sub(r"<(\w+(?:::\w+)?)>", r"${\1}", name))


def _actions(found: list[str]) -> str:
    if set(found) == set(USE_OF_KEY):
        return "use"
    return ", ".join(f"`{action}`" for action in sorted(found))


def _rows() -> Iterator[str]:
    roles = properties(STAGE, "AWS::IAM::Role")
    names = _names()
    for id_, policy in properties(STAGE, "AWS::IAM::Policy").items():
        stack = id_.partition("/")[0]
        for reference in policy["Roles"]:
            role = _short(text(roles[f"{stack}/{reference['Ref']}"]["RoleName"]))
            for statement in statements(policy):
                may = _actions(actions(statement))
                may = f"**never** {may}" if statement["Effect"] == "Deny" else may
                for target in targets(statement):
                    on = f"`{_short(_resolved(target, stack, names))}`"
                    yield f"| {role} | {may} | {on} | {_condition(statement)} |"


def _names() -> dict[str, str]:
    """Physical names by `stack/LogicalId`, with the service before them."""
    found = {}
    for kind in ("SQS::Queue", "SNS::Topic", "Lambda::Function", "Logs::LogGroup"):
        for id_, resource in resources(STAGE, f"AWS::{kind}").items():
            values = resource.get("Properties", {})
            name = next(text(values[key]) for key in _PHYSICAL if key in values)
            found[id_] = f"{kind.partition(':')[0].lower()}:{name}"
    for id_ in resources(STAGE, "AWS::KMS::Key"):
        found[id_] = "the stage's key"
    return found


def _resolved(target: str, stack: str, names: dict[str, str]) -> str:
    if "ExportsOutput" in target:
        return "the stage's key"
    if found := re.fullmatch(r"\$\{(\w+)(?:\.Arn)?\}(.*)", target):
        return names.get(f"{stack}/{found[1]}", found[1]) + found[2]
    return target


def _short(name: str) -> str:
    """Without what every name has: account, region, partition and the stage's own name."""
    name = re.sub(r"-?\$\{AWS::AccountId\}-\$\{AWS::Region\}|-\$\{AWS::Region\}$", "", name)
    name = name.replace("arn:${AWS::Partition}:", "").replace("${AWS::Partition}", "aws")
    name = re.sub(r":+\$\{AWS::(Region|AccountId)\}(:\$\{AWS::AccountId\})?:", ":", name)
    name = name.replace(f"framewright-{STAGE}-", "").replace(f"fw-{STAGE}-", "")
    return name.replace(":::", ":")


def _condition(statement: dict[str, object]) -> str:
    condition = statement.get("Condition")
    if not isinstance(condition, dict):
        return ""
    return "; ".join(
        f"`{key}` is {_values(value)}" for keys in condition.values() for key, value in keys.items()
    )


def _values(value: object) -> str:
    found = value if isinstance(value, list) else [value]
    return " or ".join(f"`{_short(text(item))}`" for item in found)


if __name__ == "__main__":
    print(access_table(), accepted_table(), sep="\n\n")  # noqa: T201
