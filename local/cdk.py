"""`python -m local.cdk …`: the pinned CDK CLI under the pinned Node, at home in the checkout."""

import os
import sys

from local.config import REPOSITORY, EmbeddedCloudError
from local.toolchain import find_node, prepare_cdk


def main() -> None:
    """Become the CDK CLI."""
    try:
        node = find_node()
        script = prepare_cdk(
            REPOSITORY,
            node,
            logs=REPOSITORY / ".framewright" / "log",
            progress=lambda line: print(line, file=sys.stderr),  # noqa: T201
        )
    except EmbeddedCloudError as error:
        sys.exit(f"framewright: {error}")
    os.chdir(REPOSITORY)  # where cdk.json is
    environment = os.environ | {"JSII_NODE": str(node), "CDK_DISABLE_CLI_TELEMETRY": "true"}
    os.execve(node, [str(node), str(script), *sys.argv[1:]], environment)  # noqa: S606


if __name__ == "__main__":
    main()
