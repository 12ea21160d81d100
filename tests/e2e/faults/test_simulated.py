"""A part of `make faults` that needs no process, and proof that it would see what it looks for."""

import boto3
import pytest
from moto import mock_aws

from contracts.keys import DETECTIONS_FILE, attempt_prefix, result_key
from contracts.outcomes import JobState
from tests.e2e.faults.concurrent import ConcurrentFaults
from tests.e2e.faults.report import table
from tests.e2e.faults.simulated import SimulatedFaults, upload_all_kinds
from tests.e2e.faults.simulation import delivery
from tests.e2e.faults.simulation.dynamodb import DynamoDb
from tests.e2e.faults.simulation.functions import FUNCTIONS
from tests.e2e.faults.simulation.laboratory import Laboratory, laboratory
from tests.e2e.faults.simulation.verdict import judge
from tests.e2e.faults.simulation.world import World
from tests.lambdas.stage import NAMES, REGION

ONE_IN = 10
ORDERS = 5


def test_no_fault_loses_or_doubles_a_job() -> None:
    with laboratory() as made:
        experiments = [
            *SimulatedFaults(made, one_in=ONE_IN).experiments(),
            *ConcurrentFaults(made, orders=ORDERS).experiments(),
        ]
        rows = [experiment.run() for experiment in experiments]
    bad = [row for row in rows if not row.verdict.is_good]
    assert not bad, "\n".join([table(bad), *(s for row in bad for s in row.verdict.sentences)])


def test_without_reconcile_lost_events_would_lose_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FUNCTIONS, "reconcile")
    with laboratory() as made:
        world = made.world(delivery=delivery.never)
        upload_all_kinds(world)
        world.run()
        verdict = judge(world, injected=1)
    assert len(verdict.lost) == verdict.jobs == 5


def test_a_second_result_would_be_seen() -> None:
    with laboratory() as made:
        world = _whole_world(made)
        (good,) = (job for job in world.records if job.source.key == "good.mp4")
        key = result_key(good.source.key, good.job_id)
        world.s3.put_object(Bucket=NAMES.results_bucket, Key=key, Body=b"{}")
        (doubled,) = judge(world, injected=1).doubled
    assert doubled == "good.mp4: 2 results were committed"


def test_a_result_that_names_a_damaged_file_would_be_seen() -> None:
    with laboratory() as made:
        world = _whole_world(made)
        (good,) = (job for job in world.records if job.source.key == "good.mp4")
        file = attempt_prefix(good.source.key, good.job_id, 1) + DETECTIONS_FILE
        world.s3.put_object(Bucket=NAMES.results_bucket, Key=file, Body=b"else")
        (lost,) = judge(world, injected=1).lost
    assert "not what it should be" in lost


def test_the_simulated_dynamodb_agrees_with_motos(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws(), laboratory() as made:
        ledgers = []
        for client in (DynamoDb(), boto3.client("dynamodb", region_name=REGION)):
            world = made.world(delivery=delivery.unreliable, seed=3, dynamodb=client)
            upload_all_kinds(world)
            world.run()
            ledgers.append(sorted(world.records, key=lambda job: job.job_id))
    ours, motos = ledgers
    assert ours == motos
    assert {job.state for job in ours} == {JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED}


def _whole_world(made: Laboratory) -> World:
    world = made.world()
    upload_all_kinds(world)
    world.run()
    assert judge(world, injected=1).is_good
    return world
