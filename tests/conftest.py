"""What tests of several folders share."""

import os
from collections.abc import Iterator

import pytest

from local.cloud import EmbeddedCloud
from local.config import CloudConfig
from local.toolchain import find_node

# The CDK's library starts Node when it is imported; the machine's own version must not matter.
os.environ["JSII_NODE"] = str(find_node())


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """
    One embedded cloud with the real stacks, on free ports beside a user's own, for all tests.

    Tests share its account: they name what they make after themselves.
    """
    root = tmp_path_factory.mktemp("embedded-cloud")
    cloud = EmbeddedCloud(CloudConfig(root=root, port=0, sagemaker_port=0, stop_grace_s=2.0))
    cloud.up()
    yield cloud
    cloud.down()
