"""What of a stage can be made to rest: the functions that read queues, and reconcile's schedule."""

import time
from collections.abc import Sequence
from typing import Any

from cli.errors import UserError
from cli.output import program
from cli.stage import Stage

READERS = ("dispatch", "settle")
RECONCILE = "reconcile"
_PATIENCE_S = 120.0
"""Lambda takes about half a minute to begin or end reading a queue."""
_CHANGING = ("Creating", "Enabling", "Disabling", "Updating")
_NOT_TAKEN = ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata")
"""What GetSchedule tells and UpdateSchedule, which wants all of a schedule, does not take."""


class Switches:
    """Turns parts of a stage off and on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lambda = stage.client("lambda")
        self._scheduler = stage.client("scheduler")

    def read(self) -> dict[str, bool]:
        """Whether each part runs."""
        running = {part: self._state(part) == "Enabled" for part in READERS}
        return running | {RECONCILE: self._schedule()["State"] == "ENABLED"}

    def turn(self, on: bool, readers: Sequence[str]) -> None:
        """Turn reconcile and some of the readers on or off, and wait until they are."""
        if not on:
            self._turn_schedule(on)
        for part in readers:
            self._lambda.update_event_source_mapping(UUID=self._mapping(part), Enabled=on)
        deadline = time.monotonic() + _PATIENCE_S
        while any(self._state(part) in _CHANGING for part in readers):
            if time.monotonic() > deadline:
                raise UserError(
                    f"Lambda is still at it after {_PATIENCE_S:.0f} s.",
                    remedy=f"Look again with `{program()} status{self._stage.option}`.",
                )
            time.sleep(self._stage.poll_interval_s)
        if on:
            self._turn_schedule(on)

    def _turn_schedule(self, on: bool) -> None:
        found = self._schedule()
        kept = {name: value for name, value in found.items() if name not in _NOT_TAKEN}
        kept["State"] = "ENABLED" if on else "DISABLED"
        self._scheduler.update_schedule(**kept)

    def _schedule(self) -> dict[str, Any]:
        name = self._stage.names.function(RECONCILE)
        found: dict[str, Any] = self._scheduler.get_schedule(Name=name)
        return found

    def _state(self, part: str) -> str:
        return str(self._lambda.get_event_source_mapping(UUID=self._mapping(part))["State"])

    def _mapping(self, part: str) -> str:
        function = self._stage.names.function(part)
        found = self._lambda.list_event_source_mappings(FunctionName=function)
        if not found["EventSourceMappings"]:
            raise UserError(
                f"Nothing feeds the function {function}.",
                remedy="Check --stage, account and region, or deploy the stage.",
            )
        return str(found["EventSourceMappings"][0]["UUID"])
