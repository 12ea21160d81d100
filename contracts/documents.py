"""
Strict JSON for frozen dataclasses.

Every document that crosses a boundary is a frozen dataclass deriving from nothing; `to_json` and
`from_json` are inverses. Reading is strict: an unknown field, a missing field or a value of the
wrong type is an error that names the field's path and what it should have been.
"""

import dataclasses
import enum
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, Protocol, TypeVar


class DocumentError(ValueError):
    """A document does not have the agreed form; the message names the field and the fault."""


class Document(Protocol):
    """Any frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, "dataclasses.Field[Any]"]]


D = TypeVar("D", bound=Document)


def to_json(document: Document) -> str:
    """Write a document as one line of JSON, keys in field order, `None` fields left out."""
    return json.dumps(to_dict(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_dict(document: Document) -> dict[str, Any]:
    """A document as plain JSON values, `None` fields left out; `schema` first if it has one."""
    plain: dict[str, Any] = {}
    schema = getattr(type(document), "SCHEMA", None)
    if schema is not None:
        plain["schema"] = schema
    for field in dataclasses.fields(document):
        value = getattr(document, field.name)
        if value is not None:
            plain[field.name] = _plain(value)
    return plain


def from_json(kind: type[D], text: str | bytes) -> D:
    """
    Read a document of the given kind.

    Raises:
        DocumentError: The text is no JSON, or not this document.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{kind.__name__}: not JSON: {error}") from error
    return from_dict(kind, value)


def from_dict(kind: type[D], value: object, *, path: str = "") -> D:
    """
    Read a document from plain JSON values; `path` prefixes the field named in an error.

    Raises:
        DocumentError: A field is missing, unknown or of the wrong type, or the schema is another.
    """
    where = path or kind.__name__
    if not isinstance(value, Mapping):
        raise DocumentError(f"{where}: expected an object, got {_shown(value)}")
    given = dict(value)
    schema = getattr(kind, "SCHEMA", None)
    if schema is not None and (found := given.pop("schema", None)) != schema:
        raise DocumentError(f"{where}.schema: expected {schema!r}, got {_shown(found)}")
    arguments: dict[str, Any] = {}
    for name, (annotation, required) in _fields_of(kind).items():
        if name in given:
            arguments[name] = _read(annotation, given.pop(name), f"{where}.{name}")
        elif required:
            raise DocumentError(f"{where}.{name}: missing")
    if given:
        known = ", ".join(_fields_of(kind))
        raise DocumentError(f"{where}: unknown field {sorted(given)[0]!r}; known are: {known}")
    try:
        return kind(**arguments)
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"{where}: {error}") from error


@functools.cache
def _fields_of(kind: type) -> dict[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(kind)
    return {
        field.name: (
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        custom = getattr(value, "to_plain", None)
        return custom() if custom else to_dict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _read(annotation: Any, value: Any, path: str) -> Any:
    origin, parameters = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in parameters:
            return None
        (annotation,) = (p for p in parameters if p is not type(None))
        return _read(annotation, value, path)
    if origin is tuple:
        return _read_tuple(parameters, value, path)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise DocumentError(f"{path}: expected an object, got {_shown(value)}")
        return {key: _read(parameters[1], item, f"{path}.{key}") for key, item in value.items()}
    if annotation is Any:
        return value
    return _read_scalar(annotation, value, path)


def _read_tuple(parameters: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise DocumentError(f"{path}: expected a list, got {_shown(value)}")
    if len(parameters) == 2 and parameters[1] is Ellipsis:
        return tuple(_read(parameters[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(value) != len(parameters):
        raise DocumentError(f"{path}: expected {len(parameters)} values, got {len(value)}")
    pairs = enumerate(zip(parameters, value, strict=True))
    return tuple(_read(kind, item, f"{path}[{i}]") for i, (kind, item) in pairs)


def _read_scalar(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        custom = getattr(kind, "from_plain", None)
        return custom(value, path) if custom else from_dict(kind, value, path=path)
    if kind is Fraction:
        return _read_fraction(value, path)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(str(member.value) for member in kind)
            raise DocumentError(f"{path}: expected one of {allowed}, got {_shown(value)}") from None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _read_float(value, path)
    if kind is str and isinstance(value, str) and not is_encodable(value):
        raise DocumentError(f"{path}: expected Unicode text, got {_shown(value)}")
    if type(value) is kind:
        return value
    raise DocumentError(f"{path}: expected {kind.__name__}, got {_shown(value)}")


def _read_float(value: float, path: str) -> float:
    try:
        number = float(value)
    except OverflowError:  # an integer beyond what a float holds
        number = math.inf
    if not math.isfinite(number):
        raise DocumentError(f"{path}: expected a finite number, got {_shown(value)}")
    return number


def is_encodable(text: str) -> bool:
    """Whether no half of a surrogate pair, which JSON can carry, stands alone in the text."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _read_fraction(value: Any, path: str) -> Fraction:
    try:
        numerator, denominator = str(value).split("/")
        return Fraction(int(numerator), int(denominator))
    except (ValueError, ZeroDivisionError):
        raise DocumentError(
            f"{path}: expected a fraction such as '1/12800', got {_shown(value)}"
        ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
