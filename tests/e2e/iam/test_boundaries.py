"""Nobody can do more than their part needs, and nobody reaches anything without TLS."""

import re

import pytest

from tests.e2e.iam.boundaries import boundaries
from tests.e2e.iam.enforced import EnforcedStage
from tests.e2e.iam.principals import Principals

pytestmark = pytest.mark.embedded_cloud


def test_every_boundary_holds(enforced: EnforcedStage) -> None:
    principals = Principals(enforced)
    attempted = list(boundaries(enforced))
    assert len(attempted) > 50
    assert [str(boundary) for boundary in attempted if not boundary.holds(principals)] == []


def test_an_administrator_can_do_all_that_no_resource_forbids(enforced: EnforcedStage) -> None:
    client = Principals(enforced).client("administrator", "s3")
    assert client.list_objects_v2(Bucket=enforced.names.uploads_bucket)["KeyCount"] >= 0


def test_the_cloud_listens_on_its_own_ports_alone(enforced: EnforcedStage) -> None:
    log = enforced.cloud.config.ministack_log.read_text()
    endpoint = enforced.cloud.environment()["AWS_ENDPOINT_URL"]
    assert set(re.findall(r"Running on (\S+)", log)) == {endpoint}
