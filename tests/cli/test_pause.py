"""A stage stands still as far as it is told to, and goes on as it was."""

import boto3
import pytest

from cli.stage import Stage
from tests.cli.commands import Commands
from tests.cli.conftest import REGION


@pytest.mark.parametrize(
    ("more", "running"),
    [
        ((), {"dispatch": False, "settle": True, "reconcile": False}),
        (("--all",), {"dispatch": False, "settle": False, "reconcile": False}),
    ],
)
def test_a_pause_is_seen_and_ended(
    stage: Stage, commands: Commands, more: tuple[str, ...], running: dict[str, bool]
) -> None:
    paused = commands("pause", *more, "--stage", "dev", "--json")

    assert paused.json == running
    assert commands("status", "--stage", "dev", "--json").json["running"] == running
    resumed = commands("resume", "--stage", "dev", "--json")
    assert set(resumed.json.values()) == {True}


def test_the_schedule_stays_the_same_but_for_its_state(stage: Stage, commands: Commands) -> None:
    scheduler, name = boto3.client("scheduler", REGION), stage.names.function("reconcile")
    volatile = ("LastModificationDate", "ResponseMetadata")

    def schedule() -> dict[str, object]:
        found = scheduler.get_schedule(Name=name)
        return {key: value for key, value in found.items() if key not in volatile}

    before = schedule()

    commands("pause", "--stage", "dev")

    assert schedule() == {**before, "State": "DISABLED"}
    commands("resume", "--stage", "dev")
    assert schedule() == before


def test_a_paused_stage_says_so_and_how_to_go_on(stage: Stage, commands: Commands) -> None:
    assert "Paused" not in commands("status", "--stage", "dev").output

    paused = commands("pause", "--stage", "dev")

    assert "framewright resume --stage dev" in paused.errors
    (line,) = [
        it
        for it in commands("status", "--stage", "dev").output.splitlines()
        if it.startswith("Paused")
    ]
    assert "dispatch, reconcile" in line


def test_a_stage_that_is_not_deployed_cannot_be_paused(account: str, commands: Commands) -> None:
    done = commands("pause", "--stage", "dev")

    assert done.exit_code == 69
    assert "not deployed" in done.errors
