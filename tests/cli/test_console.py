"""What others named cannot steer the terminal of who looks at it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from cli.console import PlainConsole, plain


def shown(text: str, *, terminal: bool = True) -> str:
    table = Table("Video")
    table.add_row(text)
    screen = io.StringIO()
    PlainConsole(file=screen, force_terminal=terminal, width=120, markup=False).print(table, text)
    return screen.getvalue()


@pytest.mark.parametrize("code", ["\x1b]0;owned\x07", "\x1b[2J", "\x9b2J", "\x08\x08", "\r"])
def test_no_control_code_of_a_key_reaches_the_terminal(code: str) -> None:
    left = shown(f"a{code}b.mp4", terminal=False)
    assert code not in left
    assert not set(left) & set("\x1b\x07\x08\x9b\r")


def test_the_consoles_own_colours_stay() -> None:
    assert "\x1b[1m" in shown("a.mp4")


def test_a_name_cannot_turn_its_ending_round() -> None:
    assert plain("video\u202e4pm.exe") == "video\ufffd4pm.exe"


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M", "Zs"])))
def test_writing_of_every_language_is_shown_as_it_is(text: str) -> None:
    assert plain(text) == text
