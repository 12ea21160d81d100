"""
`python -m local.audit`: known vulnerabilities among all that `uv.lock` names.

Advisories come from PyPI, or from OSV where PyPI's do not reach. Behind a mirror that has neither,
nothing can be said: that is printed, and is no failure, for nobody could make it right here.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.config import REPOSITORY

ENVIRONMENTS = (("--group", "dev", "--group", "bench"), ("--only-group", "ministack"))
"""MiniStack pins what the rest of the lock has newer, so it is exported apart."""
SERVICES = ("pypi", "osv")
TIME_LIMIT_S = 180
ACCEPTED: dict[str, str] = {}
"""Advisories that do not reach this system, each with the reason."""


class UnansweredError(Exception):
    """No advisory service answered; the message says what happened instead."""


@dataclass(frozen=True, slots=True)
class Audit:
    """
    What a service knows of some packages.

    Attributes:
        known: How many packages the service knows.
        unknown: How many it does not.
        faults: A line for each advisory that is not accepted.
    """

    known: int
    unknown: int
    faults: tuple[str, ...]


def main(uv: str) -> None:
    """Print what is known of the locked packages; exit with 1 where an advisory is among it."""
    for groups in ENVIRONMENTS:
        name = groups[-1]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "requirements.txt"
            export = [uv, "export", "--frozen", "--quiet", "--no-emit-project", *groups]
            subprocess.run([*export, "--output-file", file], cwd=REPOSITORY, check=True)
            try:
                audit = audited(file)
            except UnansweredError as error:
                _say(f"Dependencies of {name} were not audited: {error}")
                continue
        for fault in audit.faults:
            _say(fault)
        if audit.faults:
            _say("Update them: .bootstrap/bin/uv lock --upgrade-package NAME")
            sys.exit(1)
        unknown = f"; {audit.unknown} are unknown there" if audit.unknown else ""
        _say(f"Audited {audit.known} dependencies of {name}: no advisories{unknown}")


def audited(requirements: Path) -> Audit:
    """
    What the first service that answers says of pinned requirements.

    Raises:
        UnansweredError: None does.
    """
    reasons = []
    for service in SERVICES:
        try:
            audit = read_report(_ask(requirements, service))
        except UnansweredError as error:
            reasons.append(f"{service}: {error}")
            continue
        if audit.known:
            return audit
        reasons.append(f"{service}: knows none of {audit.unknown} packages, as behind a mirror")
    raise UnansweredError("; ".join(reasons))


def read_report(report: dict[str, Any]) -> Audit:
    """What pip-audit found, in its JSON form."""
    packages = report["dependencies"]
    known = [package for package in packages if "skip_reason" not in package]
    faults = tuple(
        f"{package['name']} {package['version']}: {advisory['id']}, fixed in "
        f"{', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in known
        for advisory in package["vulns"]
        if not {advisory["id"], *advisory.get("aliases", ())} & ACCEPTED.keys()
    )
    return Audit(len(known), len(packages) - len(known), faults)


def _ask(requirements: Path, service: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements)]
    command += ["--disable-pip", "--require-hashes", "--vulnerability-service", service]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT_S
        )
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise UnansweredError(f"no answer within {TIME_LIMIT_S} s") from None
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise UnansweredError(last.partition(" (Caused by")[0][:200]) from None
    return report


def _say(line: str) -> None:
    print(line)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
