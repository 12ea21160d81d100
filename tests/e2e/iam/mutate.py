"""
`make mutate-iam`: takes each grant of the templates away, and shows what fails without it.

A grant without which nothing fails is wider than the stage needs, unless it stands in `unasked`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from tests.e2e.iam.boundaries import boundaries
from tests.e2e.iam.conftest import enforced_cloud
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.flow import run_flow
from tests.e2e.iam.policies import Grant, grants, many, policies
from tests.e2e.iam.principals import Principals
from tests.e2e.iam.unasked import reason_unasked
from tests.e2e.stage import PATIENCE_S as WHOLE_PATIENCE_S

PATIENCE_S = 60.0
AFTER_REFUSAL_S = 1.5


class Verdict(StrEnum):
    """What came of taking a grant away."""

    FAILED = "failed"
    UNASKED = "not asked here"
    SURVIVED = "SURVIVED"
    UNCLEAR = "UNCLEAR"
    """Something failed, but nothing was refused that the grant allows: try again."""


@dataclass(frozen=True, slots=True)
class Row:
    """One grant, and what failed without it."""

    grant: Grant
    verdict: Verdict
    why: str
    seconds: float = 0.0

    def __str__(self) -> str:
        grant = self.grant
        text = f"{grant.policy.holder} | {grant.text['Effect']} {grant.part}"
        shown = ", ".join(grant.resources) if grant.part == "Action" else ""
        return f"{self.verdict} | {text} {grant.value} {shown}| {self.why}"


def main() -> int:
    """Mutate in a cloud of its own; 0 when every grant that is asked for was missed."""
    parser = argparse.ArgumentParser(prog="make mutate-iam", description=__doc__)
    parser.add_argument("--only", default="*", help="holders of policies, as a pattern")
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="framewright-iam-") as folder:
        cloud = enforced_cloud(Path(folder) / "cloud")
        try:
            cloud.up(_say)
            stage = EnforcedStage(cloud, Path(folder))
            rows = list(mutate(stage, only))
        finally:
            cloud.down()
    counts = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    _say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return int(counts[Verdict.SURVIVED] + counts[Verdict.UNCLEAR] > 0)


def mutate(stage: EnforcedStage, only: str = "*") -> Iterator[Row]:
    """A row for each grant of the holders that fit a pattern."""
    principals = Principals(stage)
    faults = run_flow(stage, "whole", patience_s=WHOLE_PATIENCE_S)
    faults += _open_boundaries(stage, principals)
    if faults:
        raise AssertionError(f"with every grant in place: {faults}")
    stage.quieten()
    _say("verdict | holder | grant | what was seen without it")
    number = 0
    for policy in policies(stage.cloud):
        for grant in grants(policy) if fnmatchcase(policy.holder, only) else ():
            number += 1
            row = _row(stage, principals, grant, number)
            _say(f"{row} ({row.seconds:.1f} s)")
            yield row


def _row(stage: EnforcedStage, principals: Principals, grant: Grant, number: int) -> Row:
    if reason := reason_unasked(grant):
        return Row(grant, Verdict.UNASKED, reason)
    started_s = time.monotonic()
    with _without(grant):
        if grant.text["Effect"] == "Deny":
            seen = _open_boundaries(stage, principals)
            verdict = Verdict.FAILED if seen else Verdict.SURVIVED
        else:
            stage.restart_functions()
            verdict, seen = _missed(stage, grant, f"mutant-{number}")
    stage.quieten()
    return Row(grant, verdict, "; ".join(seen[:3]), time.monotonic() - started_s)


def _missed(stage: EnforcedStage, grant: Grant, prefix: str) -> tuple[Verdict, list[str]]:
    """What failed, the refusals first, if what was taken away is among what was refused."""
    faults = run_flow(stage, prefix, patience_s=PATIENCE_S, after_refusal_s=AFTER_REFUSAL_S)
    refused = [fault for fault in faults if " was refused " in fault]
    for fault in refused:
        action = fault.partition(" was refused ")[2].split(" on ")[0]
        if any(fnmatchcase(action, pattern) for pattern in grant.actions):
            rest = [other for other in faults if other not in refused]
            return Verdict.FAILED, [fault, *rest]
    return (Verdict.UNCLEAR if faults else Verdict.SURVIVED), faults


def _open_boundaries(stage: EnforcedStage, principals: Principals) -> list[str]:
    return [f"open: {boundary}" for boundary in boundaries(stage) if not boundary.holds(principals)]


@contextmanager
def _without(grant: Grant) -> Iterator[None]:
    store = grant.policy.store
    whole = store.read()
    rest = grant.without(whole)
    if not many(rest["Statement"]):  # a policy must have a statement: one that allows nothing
        rest["Statement"] = [{"Effect": "Deny", "Action": "none:None", "Resource": "none"}]
    store.write(rest)
    try:
        yield
    finally:
        store.write(whole)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
