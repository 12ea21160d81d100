"""What deployment tells a function, read once, when its handler's module is loaded."""

import os
from collections.abc import Mapping

from contracts.documents import D, from_json
from contracts.env import ACCOUNT_VARIABLE, PARTITION_VARIABLE, STAGE_VARIABLE, Names


def names_of(environment: Mapping[str, str] = os.environ) -> Names:
    """The names of the function's own stage."""
    return Names(
        stage=required(STAGE_VARIABLE, environment),
        account=required(ACCOUNT_VARIABLE, environment),
        region=required("AWS_REGION", environment),
        partition=required(PARTITION_VARIABLE, environment),
    )


def document_of(kind: type[D], variable: str, environment: Mapping[str, str] = os.environ) -> D:
    """A document that deployment wrote into a variable."""
    return from_json(kind, required(variable, environment))


def required(variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """
    A variable's value.

    Raises:
        LookupError: The variable is missing: the function was not deployed by the stack.
    """
    if not (value := environment.get(variable)):
        raise LookupError(f"the environment variable {variable} is missing")
    return value
