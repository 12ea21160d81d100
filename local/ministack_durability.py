"""
MiniStack's state on disk as it changes, so that it outlives a sudden death; runs inside MiniStack.

By itself MiniStack saves its state only when it is ended well. Here tables are saved before a call
that changes them is answered, as DynamoDB promises, and everything else once a second: what a death
takes with it are messages and events of the last moment. Objects MiniStack writes as they come.
"""

import functools
import logging
import threading
import time
from typing import Any

from ministack import app  # type: ignore[import-not-found]
from ministack.core import persistence  # type: ignore[import-not-found]
from ministack.services import dynamodb  # type: ignore[import-not-found]

INTERVAL_S = 1.0
_CHANGES = ("Put", "Update", "Delete", "Create", "Batch", "Transact")

_handle_request = dynamodb.handle_request
_saving = threading.Lock()
"""A state is written to a file of one name before it takes the place of the last."""


async def handle_request(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any
) -> Any:
    """DynamoDB as before, its tables on disk before a change is answered."""
    answer = await _handle_request(method, path, headers, body, query_params)
    if headers.get("x-amz-target", "").rpartition(".")[2].startswith(_CHANGES):
        with _saving:
            persistence.save_state("dynamodb", dynamodb.get_state())
    return answer


def install() -> None:
    """Save from now on."""
    logging.getLogger("persistence").setLevel(logging.WARNING)
    dynamodb.handle_request = functools.wraps(_handle_request)(handle_request)
    threading.Thread(target=_save, name="durability", daemon=True).start()


def _save() -> None:
    while True:
        time.sleep(INTERVAL_S)
        for name, get_state in app._build_persistence_save_dict().items():
            with _saving:
                persistence.save_all({name: get_state})
