"""Which frames of a video are wanted: one small value with a text form and a JSON form."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from contracts.documents import DocumentError

MAX_INDICES = 5000
"""An InferenceRequest must stay below 100 kB; more indices belong into the index service."""

MAX_FRAME_INDEX = 10**12 - 1
"""Far beyond any video; bounds what the text form is read for."""


class SelectionKind(StrEnum):
    """The ways to choose frames."""

    EVERY_SECONDS = "every_seconds"
    EVERY_NTH = "every_nth"
    KEY_FRAMES = "key_frames"
    INDICES = "indices"
    INDEX_API = "index_api"
    ALL = "all"


_BARE = frozenset({SelectionKind.KEY_FRAMES, SelectionKind.INDEX_API, SelectionKind.ALL})
_DECIMAL = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which frames to process.

    Text form: `every_seconds=0.5`, `every_nth=30`, `indices=0,2,14`, `key_frames`, `index_api`,
    `all`. JSON form: `{"every_seconds": "0.5"}`, `{"every_nth": 30}`, `{"indices": [0, 2, 14]}`,
    `{"key_frames": true}`.

    Attributes:
        every_seconds: Exact; a decimal number of seconds with at most nine places.
        indices: Strictly ascending, 0-based, in presentation order.
    """

    kind: SelectionKind
    every_seconds: Fraction | None = None
    every_nth: int | None = None
    indices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        given = {
            SelectionKind.EVERY_SECONDS: self.every_seconds,
            SelectionKind.EVERY_NTH: self.every_nth,
            SelectionKind.INDICES: self.indices,
        }
        for kind, value in given.items():
            if (value is not None) != (kind is self.kind):
                raise ValueError(f"selection {self.kind}: {kind} must be given for that kind alone")
        if self.every_seconds is not None:
            _check_seconds(self.every_seconds)
        if self.every_nth is not None and not 1 <= self.every_nth <= MAX_FRAME_INDEX:
            raise ValueError(f"every_nth must be 1 to {MAX_FRAME_INDEX}, got {self.every_nth}")
        if self.indices is not None:
            _check_indices(self.indices)

    @classmethod
    def parse(cls, text: str) -> "Selection":
        """
        Read the text form; `str()` is the inverse.

        Raises:
            ValueError: The text is no selection; the message says what would be.
        """
        name, equals, value = text.strip().partition("=")
        try:
            kind = SelectionKind(name)
        except ValueError:
            # Not to be advised: it takes a service that no stage has without further ado.
            known = ", ".join(it for it in SelectionKind if it is not SelectionKind.INDEX_API)
            raise ValueError(f"unknown selection {name!r}; known are {known}") from None
        if (kind in _BARE) == bool(equals):
            wanted = kind if kind in _BARE else f"{kind}=VALUE"
            raise ValueError(f"selection {text!r}: write {wanted}")
        if kind is SelectionKind.EVERY_SECONDS:
            return cls(kind, every_seconds=_exact(value))
        if kind is SelectionKind.EVERY_NTH:
            return cls(kind, every_nth=_integer(value))
        if kind is SelectionKind.INDICES:
            return cls(kind, indices=tuple(_integer(item) for item in value.split(",")))
        return cls(kind)

    def __str__(self) -> str:
        if self.every_seconds is not None:
            return f"{self.kind}={_decimal(self.every_seconds)}"
        if self.every_nth is not None:
            return f"{self.kind}={self.every_nth}"
        if self.indices is not None:
            return f"{self.kind}={','.join(map(str, self.indices))}"
        return str(self.kind)

    def to_plain(self) -> dict[str, Any]:
        """The JSON form."""
        if self.every_seconds is not None:
            return {self.kind: _decimal(self.every_seconds)}
        if self.indices is not None:
            return {self.kind: list(self.indices)}
        return {self.kind: self.every_nth if self.every_nth is not None else True}

    @classmethod
    def from_plain(cls, value: object, path: str) -> "Selection":
        """
        Read the JSON form.

        Raises:
            DocumentError: It is no selection.
        """
        if not isinstance(value, Mapping) or len(value) != 1:
            raise DocumentError(f'{path}: expected one selection such as {{"every_seconds": "1"}}')
        ((name, argument),) = value.items()
        text = str(name)
        if isinstance(argument, list):
            text += "=" + ",".join(map(str, argument))
        elif argument is not True:
            text += f"={argument}"
        try:
            return cls.parse(text)
        except ValueError as error:
            raise DocumentError(f"{path}: {error}") from error


def _check_seconds(seconds: Fraction) -> None:
    if seconds <= 0:
        raise ValueError(f"every_seconds must be above 0, got {seconds}")
    if not _DECIMAL.fullmatch(_decimal(seconds)):
        raise ValueError(f"every_seconds must be below a thousand million, got {seconds}")


def _check_indices(indices: tuple[int, ...]) -> None:
    if not 1 <= len(indices) <= MAX_INDICES:
        raise ValueError(f"indices must number 1 to {MAX_INDICES}, got {len(indices)}")
    if indices[0] < 0 or any(a >= b for a, b in itertools.pairwise(indices)):
        raise ValueError("indices must ascend strictly from 0 or above")
    if indices[-1] > MAX_FRAME_INDEX:
        raise ValueError(f"indices must be at most {MAX_FRAME_INDEX}, got {indices[-1]}")


def _exact(text: str) -> Fraction:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"every_seconds: expected a decimal number such as 0.5, got {text!r}")
    return Fraction(text)


def _integer(text: str) -> int:
    if not re.fullmatch(r"\d{1,12}", text.strip()):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _decimal(value: Fraction) -> str:
    """The shortest decimal text of a fraction that has one of at most nine places."""
    nanoseconds = value * 10**9
    if nanoseconds.denominator != 1:
        raise ValueError(f"{value} s has no decimal form of nine places")
    whole, rest = divmod(nanoseconds.numerator, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
