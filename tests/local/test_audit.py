"""An advisory fails the check; that none can be asked for is said, and fails nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import audit

ADVISORY = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": ["CVE-1"], "description": ""}
SOUND = {"name": "sound", "version": "1.0", "vulns": []}
FAULTY = {"name": "faulty", "version": "1.0", "vulns": [ADVISORY]}
UNKNOWN = {"name": "ours", "skip_reason": "not found on PyPI"}
Answers = Callable[..., None]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Say what each service answers: packages, or why it does not."""

    def answer(**answers: list[dict[str, Any]] | str) -> None:
        def ask(requirements: Path, service: str) -> dict[str, Any]:
            found = answers[service]
            if isinstance(found, str):
                raise audit.UnansweredError(found)
            return {"dependencies": found}

        monkeypatch.setattr(audit, "_ask", ask)

    return answer


def test_an_advisory_fails_the_check_and_names_the_version_that_is_free_of_it(
    services: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    services(pypi=[SOUND, FAULTY])
    with pytest.raises(SystemExit) as ended:
        audit.main("true")
    assert ended.value.code == 1
    assert "faulty 1.0: PYSEC-1, fixed in 2.0" in capsys.readouterr().out


def test_packages_without_advisories_pass(
    services: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    services(pypi=[SOUND, UNKNOWN])
    audit.main("true")
    assert "Audited 1 dependencies of bench: no advisories; 1 are" in capsys.readouterr().out


def test_a_service_that_knows_nothing_is_followed_by_the_next(services: Answers) -> None:
    services(pypi=[UNKNOWN], osv=[FAULTY])
    with pytest.raises(SystemExit):
        audit.main("true")


def test_that_no_service_answers_is_said_and_is_no_failure(
    services: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    services(pypi=[UNKNOWN], osv="cannot be reached")
    audit.main("true")
    said = capsys.readouterr().out
    assert "Dependencies of ministack were not audited: pypi: knows none of 1 packages" in said
    assert "osv: cannot be reached" in said


def test_an_accepted_advisory_fails_nothing_under_any_of_its_names(
    services: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(pypi=[FAULTY])
    monkeypatch.setattr(audit, "ACCEPTED", {"CVE-1": "Only its server has it; we run the client."})
    audit.main("true")


def test_what_is_no_report_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip_audit.py").write_text("import sys; sys.exit('no network')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(audit.UnansweredError, match="pypi: no network; osv: no network"):
        audit.audited(tmp_path / "requirements.txt")
