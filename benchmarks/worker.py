"""The process a measurement runs in; what to do comes as JSON, and so does what came of it."""

import importlib
import json
import os
import sys

from benchmarks.measure import FailedError, NotInstalledError, WrongAnswerError, available_cores


def main() -> None:
    """Take the cores first: libraries count them when they are loaded."""
    order = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, available_cores()[: order["cores"]])
    module, name = order["task"].split(":")
    try:
        answer = getattr(importlib.import_module(module), name)(**order["arguments"])
    except NotInstalledError as error:
        answer = {"absent": str(error)}
    except WrongAnswerError as error:
        answer = {"wrong": str(error)}
    except FailedError as error:
        answer = {"failed": str(error)}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
