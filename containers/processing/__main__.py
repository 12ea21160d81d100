"""The entry point: `python -m containers.processing`."""

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping, Sequence

from containers.privileges import PrivilegesError, give_up_root
from containers.processing.arguments import UsageError, parse_arguments
from containers.processing.layout import MlTree
from containers.processing.logs import log, set_up_logs
from contracts.outcomes import ExitCode


def main(argv: Sequence[str], environment: MutableMapping[str, str]) -> ExitCode:
    """Run the container; whatever happens becomes an exit code and a message."""
    set_up_logs()
    tree = MlTree.of(environment)
    try:
        if account := give_up_root(environment, tree.root):
            log(logging.INFO, "gave up root", uid=account.uid, gid=account.gid)
        arguments = parse_arguments(argv)
        # Decoders and engines are loaded only now, so that a wrong argument costs nothing.
        from containers.processing.run import run

        return run(arguments, tree)
    except (UsageError, PrivilegesError) as error:
        log(logging.ERROR, "wrong use", reason=str(error))
        _leave_message(tree, f"The job cannot run so: {error}")
        return ExitCode.USAGE
    except Exception as error:  # noqa: BLE001 - the last stop, which turns bugs into an exit code
        log(logging.CRITICAL, "crashed", error=error)
        _leave_message(tree, f"The container crashed: {type(error).__name__}: {error}")
        return ExitCode.CRASHED


def _leave_message(tree: MlTree, text: str) -> None:
    # Without a place for it the message is in the log all the same, and the exit code counts.
    with contextlib.suppress(OSError):
        tree.write_message(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
