"""Selections: text form and JSON form are inverses, and nothing that has neither can be made."""

import json
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.documents import DocumentError
from contracts.selection import MAX_INDICES, Selection, SelectionKind
from tests.contracts.strategies import selections


@given(selection=selections)
def test_the_text_form_reads_back(selection: Selection) -> None:
    assert Selection.parse(str(selection)) == selection


@given(selection=selections)
def test_the_json_form_reads_back(selection: Selection) -> None:
    plain = json.loads(json.dumps(selection.to_plain()))
    assert Selection.from_plain(plain, "selection") == selection


@given(selection=selections, other=selections)
def test_two_selections_have_the_same_text_only_if_they_are_the_same(
    selection: Selection, other: Selection
) -> None:
    assert (str(selection) == str(other)) == (selection == other)


@given(text=st.text())
def test_any_other_text_is_refused_with_a_sentence(text: str) -> None:
    assume(text.partition("=")[0].strip() not in list(SelectionKind))
    with pytest.raises(ValueError, match=r"unknown selection .*; known are every_seconds"):
        Selection.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("every_seconds=1.50", "every_seconds=1.5"),
        ("every_seconds=2.0", "every_seconds=2"),
        ("every_seconds=007", "every_seconds=7"),
        ("every_nth=030", "every_nth=30"),
        (" all ", "all"),
        ("indices=0, 2", "indices=0,2"),
    ],
)
def test_ways_to_write_the_same_are_one_selection(text: str, shown: str) -> None:
    assert str(Selection.parse(text)) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown selection ''; known are every_seconds, every_nth"),
        ("fps=1", "unknown selection 'fps'"),
        ("every_seconds", "write every_seconds=VALUE"),
        ("all=1", "write all"),
        ("every_seconds=0", "every_seconds must be above 0, got 0"),
        ("every_seconds=-1", "expected a decimal number such as 0.5, got '-1'"),
        ("every_seconds=1/3", "expected a decimal number such as 0.5, got '1/3'"),
        ("every_seconds=1e3", "expected a decimal number"),
        ("every_seconds=nan", "expected a decimal number"),
        ("every_seconds=0.1234567891", "expected a decimal number"),
        ("every_nth=0", "every_nth must be 1 to 999999999999, got 0"),
        ("every_nth=1.5", "expected a whole number, got '1.5'"),
        ("indices=", "expected a whole number, got ''"),
        ("indices=3,1", "indices must ascend strictly"),
        ("indices=1,1", "indices must ascend strictly"),
    ],
)
def test_what_is_wrong_with_a_selection_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection.parse(text)


@pytest.mark.parametrize(
    "seconds", [Fraction(1, 3), Fraction(1, 10**10), Fraction(10**9), Fraction(-1, 2)]
)
def test_seconds_without_a_text_form_cannot_be_selected(seconds: Fraction) -> None:
    with pytest.raises(ValueError, match=str(seconds)):
        Selection(SelectionKind.EVERY_SECONDS, every_seconds=seconds)


def test_indices_are_limited_so_that_a_request_fits() -> None:
    Selection(SelectionKind.INDICES, indices=tuple(range(MAX_INDICES)))
    with pytest.raises(ValueError, match="1 to 5000, got 5001"):
        Selection(SelectionKind.INDICES, indices=tuple(range(MAX_INDICES + 1)))
    with pytest.raises(ValueError, match="at most 999999999999"):
        Selection(SelectionKind.INDICES, indices=(10**12,))


def test_a_value_of_another_kind_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="every_nth must be given for that kind alone"):
        Selection(SelectionKind.ALL, every_nth=1)
    with pytest.raises(ValueError, match="every_nth must be given for that kind alone"):
        Selection(SelectionKind.EVERY_NTH)


@pytest.mark.parametrize(
    "plain", [{}, [], "all", {"all": False}, {"all": True, "key_frames": True}, {"every_nth": True}]
)
def test_any_other_json_is_refused(plain: object) -> None:
    with pytest.raises(DocumentError, match=r"^here: "):
        Selection.from_plain(plain, "here")
