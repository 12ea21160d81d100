"""A synthesised template as the rules read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Something that must not be deployed.

    Attributes:
        rule: The rule's name, by which a finding is accepted.
        resource: The logical id of what is at fault.
        fault: What is wrong, as a sentence.
        remedy: What would be right, as a sentence.
    """

    rule: str
    resource: str
    fault: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Template:
    """A CloudFormation template's resources."""

    resources: dict[str, dict[str, Any]]

    def of(self, kind: str) -> Iterator[tuple[str, Properties]]:
        """The logical ids and properties of the resources of a type."""
        for id_, resource in self.resources.items():
            if resource["Type"] == kind:
                yield id_, resource.get("Properties", {})


Rule = Callable[[Template], Iterator[Finding]]


def statements(document: Properties) -> list[Properties]:
    """The statements of a policy document."""
    return many(document.get("Statement", []))


def many(value: Any) -> list[Any]:
    """CloudFormation writes one thing without its list."""
    return value if isinstance(value, list) else [value]


def named(value: Any) -> set[str]:
    """The logical ids that a value refers to."""
    match value:
        case {"Ref": str(id_)}:
            return {id_}
        case {"Fn::GetAtt": [str(id_), _]}:
            return {id_}
        case dict():
            return set().union(*map(named, value.values()))
        case list():
            return set().union(*map(named, value))
    return set()
