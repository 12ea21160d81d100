"""Clients that fail where a test wants them to: before a call was made, or after its effect."""

from typing import Any


class CrashError(Exception):
    """The function died here."""


class CrashOnce:
    """A client that dies once at one operation, and works ever after."""

    def __init__(self, client: Any, operation: str, *, after: bool) -> None:
        self._client = client
        self._operation = operation
        self._after = after
        self.crashed = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if name != self._operation or self.crashed:
            return real

        def dying(**arguments: Any) -> Any:
            self.crashed = True
            if self._after:
                real(**arguments)
            raise CrashError(name)

        return dying
