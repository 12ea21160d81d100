"""docs/security.md says what the templates say."""

from tests.stacks.access import accepted_table, access_table
from tests.stacks.synthesis import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
REMEDY = "paste what `python -m tests.stacks.access` prints into docs/security.md"


def test_who_may_do_what_is_told_as_it_is() -> None:
    assert access_table() in PAGE, REMEDY


def test_every_accepted_finding_is_told_with_its_reason() -> None:
    assert accepted_table() in PAGE, REMEDY
