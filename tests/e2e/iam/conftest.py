"""One cloud that enforces IAM, for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud import EmbeddedCloud
from local.config import CloudConfig
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.flow import INSTANCE_QUOTA


@pytest.fixture(scope="package")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnforcedStage]:
    """The stage, deployed from the real templates, its roles and policies in force."""
    root = tmp_path_factory.mktemp("enforced-cloud")
    cloud = enforced_cloud(root)
    try:
        cloud.up()
        yield EnforcedStage(cloud, tmp_path_factory.mktemp("enforced"))
    finally:
        cloud.down()


def enforced_cloud(root: Path) -> EmbeddedCloud:
    """A cloud of its own on free ports; not up yet."""
    config = CloudConfig(
        root=root,
        port=0,
        sagemaker_port=0,
        instance_quota=INSTANCE_QUOTA,
        stop_grace_s=2.0,
        enforce_iam=True,
    )
    return EmbeddedCloud(config)
