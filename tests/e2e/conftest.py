"""One stage for all end-to-end tests; each keeps to a prefix of its own."""

import pytest

from local.cloud import EmbeddedCloud
from tests.e2e.stage import LocalStage


@pytest.fixture(scope="session")
def stage(embedded_cloud: EmbeddedCloud) -> LocalStage:
    """The embedded cloud's stage, deployed from the real templates."""
    return LocalStage(embedded_cloud)
