"""
Requests checked against the service model that botocore ships, as SageMaker itself checks them.

botocore's `ParamValidator` knows types, required members and lower bounds. Patterns, enumerations
and upper bounds stand in the model too, but only the service applies them; here this module does.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from local.sagemaker.errors import validation_error

_JAVA_CLASSES = {r"\p{L}": r"^\W\d_", r"\p{Z}": " ", r"\p{N}": r"\d"}


@functools.cache
def service_model() -> ServiceModel:
    """SageMaker's model as the installed botocore knows it."""
    return botocore.session.get_session().get_service_model("sagemaker")


def check_request(operation: OperationModel, parameters: Mapping[str, Any]) -> None:
    """
    Refuse what SageMaker would refuse for its form.

    Raises:
        ServiceError: A `ValidationException` that lists every fault.
    """
    shape = operation.input_shape
    if shape is None:
        return
    faults = list(_faults(shape, parameters, ""))
    if faults:
        noun = "error" if len(faults) == 1 else "errors"
        raise validation_error(f"{len(faults)} validation {noun} detected: {'; '.join(faults)}")
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        raise validation_error(report.generate_report())


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, Mapping):
        yield from _structure_faults(shape, value, path)
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _bound_faults(shape, len(value), value, path)
        for number, item in enumerate(value, start=1):
            yield from _faults(shape.member, item, f"{path}.{number}.member")  # type: ignore[attr-defined]
    elif shape.type_name == "map" and isinstance(value, Mapping):
        yield from _bound_faults(shape, len(value), value, path)
        yield from _map_faults(shape, value, path)
    elif shape.type_name == "string" and isinstance(value, str):
        yield from (_fault(value, path, rule) for rule in _broken_string_rules(shape, value))
    elif shape.type_name in ("integer", "long", "float") and isinstance(value, int | float):
        yield from _number_faults(shape, value, path)


def _structure_faults(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        below = f"{path}.{_lower(name)}" if path else _lower(name)
        if value.get(name) is not None:
            yield from _faults(member, value[name], below)
        elif name in shape.required_members:
            yield f"Value null at '{below}' failed to satisfy constraint: Member must not be null"


def _map_faults(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, item in value.items():
        sides = (("key", shape.key, key), ("value", shape.value, item))
        for side, member, text in sides:
            if isinstance(text, str) and (rules := list(_broken_string_rules(member, text))):
                rule = f"Map {side} must satisfy constraint: [{', '.join(rules)}]"
                yield _fault(value, path, rule)


def _bound_faults(shape: Shape, length: int, value: Any, path: str) -> Iterator[str]:
    for rule in _broken_length_rules(shape, length):
        yield _fault(value, path, rule)


def _number_faults(shape: Shape, value: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield _fault(value, path, f"Member must have value greater than or equal to {least}")
    if most is not None and value > most:
        yield _fault(value, path, f"Member must have value less than or equal to {most}")


def _broken_string_rules(shape: Shape, text: str) -> Iterator[str]:
    yield from _broken_length_rules(shape, len(text))
    allowed = shape.metadata.get("enum")
    if allowed and text not in allowed:
        yield f"Member must satisfy enum value set: [{', '.join(allowed)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(text):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _broken_length_rules(shape: Shape, length: int) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and length < least:
        yield f"Member must have length greater than or equal to {least}"
    if most is not None and length > most:
        yield f"Member must have length less than or equal to {most}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # The models use Java's Unicode classes, which Python's `re` lacks; in SageMaker's they only
    # stand together, for letters, separators and numbers.
    together = "".join(_JAVA_CLASSES)
    return re.compile(pattern.replace(together, r"\w\s"))


def _fault(value: Any, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {rule}"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
