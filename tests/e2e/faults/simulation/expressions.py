"""
DynamoDB's condition and update expressions, as far as the ledger uses them.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import functools
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Item = dict[str, Any]
"""Attribute names and values in DynamoDB's form, such as `{"S": "text"}`."""

_TOKEN = re.compile(r"\s*(?:([#:]?[A-Za-z_]\w*)|(\d+)|(<=|>=|<>|[=<>+(),\[\]]))")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression is evaluated in."""

    item: Mapping[str, Any]
    names: Mapping[str, str]
    values: Mapping[str, Any]

    def read(self, token: str) -> Any:
        """A value or an attribute, in DynamoDB's form."""
        if token.startswith(":"):
            return self.values[token]
        return self.item.get(self.names.get(token, token), _MISSING)


Term = Callable[[Scope], Any]


def plain(value: Any) -> Any:
    """A value as Python compares it."""
    ((kind, content),) = value.items()
    return Decimal(content) if kind == "N" else content


@functools.cache
def condition(text: str) -> Callable[[Scope], bool]:
    """A condition expression as a predicate."""
    parser = _Parser(text)
    found = parser.any_of()
    parser.expect_end()
    return found


@functools.cache
def update(text: str) -> Callable[[Scope], Item]:
    """An update expression as a function from the item to the new one."""
    return _Parser(text).update()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = ["".join(found) for found in _TOKEN.findall(text)]
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise ValueError(f"not understood: {text}")

    def expect_end(self) -> None:
        if self._tokens:
            raise ValueError(f"not understood from {self._tokens[0]!r} on: {self._text}")

    def any_of(self) -> Callable[[Scope], bool]:
        terms = [self._all_of()]
        while self._skip("OR"):
            terms.append(self._all_of())
        return lambda scope: any(term(scope) for term in terms)

    def update(self) -> Callable[[Scope], Item]:
        sets: list[tuple[str, Term]] = []
        removals: list[tuple[str, int | None]] = []
        while self._tokens:
            clause = self._take()
            if clause not in ("SET", "REMOVE"):
                raise ValueError(f"neither SET nor REMOVE: {self._text}")
            while True:
                if clause == "SET":
                    name = self._take()
                    self._expect("=")
                    sets.append((name, self._sum()))
                else:
                    removals.append((self._take(), self._index()))
                if not self._skip(","):
                    break
        return lambda scope: _apply(scope, sets, removals)

    def _all_of(self) -> Callable[[Scope], bool]:
        terms = [self._primary()]
        while self._skip("AND"):
            terms.append(self._primary())
        return lambda scope: all(term(scope) for term in terms)

    def _primary(self) -> Callable[[Scope], bool]:
        if self._skip("("):
            inner = self.any_of()
            self._expect(")")
            return inner
        if self._tokens[0] in ("attribute_not_exists", "attribute_exists"):
            wanted = self._take() == "attribute_exists"
            self._expect("(")
            name = self._take()
            self._expect(")")
            return lambda scope: (scope.read(name) is not _MISSING) is wanted
        left = self._operand()
        if self._skip("IN"):
            return self._one_of(left)
        compare = _COMPARISONS[self._take()]
        right = self._operand()
        return lambda scope: _compare(compare, left(scope), right(scope))

    def _one_of(self, left: Term) -> Callable[[Scope], bool]:
        self._expect("(")
        choices = [self._operand()]
        while self._skip(","):
            choices.append(self._operand())
        self._expect(")")
        return lambda scope: any(
            _compare(operator.eq, left(scope), choice(scope)) for choice in choices
        )

    def _sum(self) -> Term:
        left = self._operand()
        if not self._skip("+"):
            return left
        right = self._operand()
        return lambda scope: {"N": str(plain(left(scope)) + plain(right(scope)))}

    def _operand(self) -> Term:
        token = self._take()
        if token == "size":
            self._expect("(")
            name = self._take()
            self._expect(")")
            return lambda scope: _size(scope.read(name))
        if token == "list_append":
            self._expect("(")
            first = self._operand()
            self._expect(",")
            second = self._operand()
            self._expect(")")
            return lambda scope: {"L": [*first(scope)["L"], *second(scope)["L"]]}
        return lambda scope: scope.read(token)

    def _index(self) -> int | None:
        if not self._skip("["):
            return None
        number = int(self._take())
        self._expect("]")
        return number

    def _take(self) -> str:
        return self._tokens.pop(0)

    def _skip(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._skip(token):
            raise ValueError(f"expected {token!r} before {self._tokens[:1]}: {self._text}")


def _compare(compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if left is _MISSING or right is _MISSING or left.keys() != right.keys():
        return False
    return compare(plain(left), plain(right))


def _size(value: Any) -> Any:
    return _MISSING if value is _MISSING else {"N": str(len(plain(value)))}


def _apply(
    scope: Scope, sets: list[tuple[str, Term]], removals: list[tuple[str, int | None]]
) -> Item:
    made = {scope.names.get(name, name): term(scope) for name, term in sets}
    item = {**scope.item, **made}
    for token, index in removals:
        name = scope.names.get(token, token)
        if index is None:
            item.pop(name, None)
        elif name in item:
            content = item[name]["L"]
            item[name] = {"L": content[:index] + content[index + 1 :]}
    return item
