"""Names of models: built in, or a bundle by the digest of its file."""

import hashlib
import re

from contracts.messages import Model

BUILTIN_VERSIONS = {"people": 1, "lanes": 1}
"""Built-in models and the version of their behaviour; raise it when their detections change."""

_BUILTIN = "builtin:"
_BUNDLE = re.compile(r"bundle:([0-9a-f]{64})")


def resolve_model(name: str) -> Model:
    """
    A model by name, with its digest.

    Args:
        name: `builtin:<name>`, or `bundle:<SHA-256 of the model.tar.gz>`.

    Raises:
        ValueError: Neither form, or no such built-in model.
    """
    if match := _BUNDLE.fullmatch(name):
        return Model(name, match[1])
    version = BUILTIN_VERSIONS.get(name.removeprefix(_BUILTIN))
    if not name.startswith(_BUILTIN) or version is None:
        known = ", ".join(_BUILTIN + known for known in BUILTIN_VERSIONS)
        raise ValueError(f"unknown model {name!r}; known are {known} and bundle:<SHA-256>")
    return Model(name, hashlib.sha256(f"{name}@{version}".encode()).hexdigest())


def bundle_model(digest: str) -> Model:
    """The model in a bundle whose file has this SHA-256."""
    return Model(f"bundle:{digest}", digest)


def is_bundle(model: Model) -> bool:
    """Whether the model is a bundle that a backend must be given as a file."""
    return _BUNDLE.fullmatch(model.name) is not None
