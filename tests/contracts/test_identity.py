"""Job identity, names of a stage, models: the same inputs give the same, and each one counts."""

import string

import pytest
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from contracts import messages
from contracts.documents import to_json
from contracts.env import Names, check_stage, parse_processing_job
from contracts.keys import attempt_prefix
from contracts.messages import (
    MAX_REQUEST_BYTES,
    Model,
    Source,
    inference_request,
    job_id,
    pipeline_digest,
)
from contracts.models import BUILTIN_VERSIONS, bundle_model, is_bundle, resolve_model
from contracts.selection import MAX_FRAME_INDEX, MAX_INDICES, Selection, SelectionKind
from tests.contracts.strategies import hex_digits, job_ids, models, selections, sources

SOURCE = Source(bucket="b", key="v.mp4", etag="e", size_bytes=3, version_id="v1")
MODEL = Model("builtin:people", "0" * 64)
SELECTION = Selection.parse("every_seconds=1")
stages = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from(string.ascii_lowercase),
    st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=9),
)


def identity(
    source: Source = SOURCE, model: Model = MODEL, selection: Selection = SELECTION
) -> str:
    return job_id(source, pipeline_digest(model, selection))


@given(source=sources, model=models, selection=selections)
def test_the_same_object_and_pipeline_are_the_same_job(
    source: Source, model: Model, selection: Selection
) -> None:
    found = identity(source, model, selection)
    assert found == identity(source, model, selection)
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "other",
    [
        {"bucket": "c"},
        {"key": "w.mp4"},
        {"version_id": "v2"},
        {"version_id": None},
    ],
)
def test_another_bucket_key_or_version_is_another_job(other: dict[str, str]) -> None:
    fields = {"bucket": "b", "key": "v.mp4", "etag": "e", "size_bytes": 3, "version_id": "v1"}
    assert identity(Source(**{**fields, **other})) != identity()  # type: ignore[arg-type]


def test_another_model_or_selection_is_another_job() -> None:
    assert identity(model=Model("builtin:people", "1" * 64)) != identity()
    assert identity(selection=Selection.parse("every_seconds=2")) != identity()


def test_another_schema_of_results_is_another_job(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity()
    monkeypatch.setattr(messages, "RESULT_SCHEMA", "framewright/results/2")
    assert identity() != before


def test_a_models_name_does_not_count_only_what_it_is() -> None:
    assert identity(model=Model("alias", "0" * 64)) == identity()


def test_without_a_version_etag_and_size_stand_in_and_with_one_they_do_not() -> None:
    def plain(etag: str, size: int, version: str | None = None) -> str:
        return identity(Source("b", "v.mp4", etag, size, version))

    assert plain("e", 3) != plain("f", 3)
    assert plain("e", 3) != plain("e", 4)
    assert plain("e", 3, "v1") == plain("f", 4, "v1")


@given(one=st.text(), two=st.text())
def test_bucket_and_key_cannot_be_shifted_into_each_other(one: str, two: str) -> None:
    first = job_id(Source("b" + one, "k" + two, "e", 1, "v"), "p")
    second = job_id(Source("b" + one + "k", two or "x", "e", 1, "v"), "p")
    assert first != second


@given(source=sources, model=models, selection=selections, attempt=st.integers(1, 99))
def test_a_request_carries_its_identity_and_its_folder(
    source: Source, model: Model, selection: Selection, attempt: int
) -> None:
    request = inference_request(
        source=source, model=model, selection=selection, attempt=attempt, results_bucket="r"
    )
    assert request.job_id == identity(source, model, selection)
    assert request.output.prefix == attempt_prefix(source.key, request.job_id, attempt)


def test_the_longest_request_fits_every_backend() -> None:
    indices = tuple(range(MAX_FRAME_INDEX - MAX_INDICES + 1, MAX_FRAME_INDEX + 1))
    request = inference_request(
        source=Source("b" * 63, "\x01" * 1024, "e" * 64, 2**53, "v" * 1024),
        model=bundle_model("0" * 64),
        selection=Selection(SelectionKind.INDICES, indices=indices),
        attempt=10**6,
        results_bucket="r" * 63,
    )
    assert len(to_json(request).encode()) <= MAX_REQUEST_BYTES


def test_a_request_that_fits_no_backend_is_refused_with_its_size() -> None:
    source = Source("b", "k", "e" * MAX_REQUEST_BYTES, 1)
    with pytest.raises(ValueError, match=r"the request is \d+ bytes long; at most 100000 fit"):
        inference_request(
            source=source, model=MODEL, selection=SELECTION, attempt=1, results_bucket="r"
        )


@given(stage=stages, job=job_ids, attempt=st.integers(1, 10**6), start=st.integers(1, 10**6))
def test_a_processing_jobs_name_is_taken_apart_as_it_was_built(
    stage: str, job: str, attempt: int, start: int
) -> None:
    name = Names(stage, "123456789012", "eu-west-1").processing_job(job, attempt, start)
    assert parse_processing_job(name) == (stage, job, attempt, start)
    assert len(name) <= 63
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-")


@pytest.mark.parametrize(
    "name", ["", "fw-dev", "fw-dev-" + "0" * 32, "fw-dev-" + "0" * 32 + "-a0", "x-fw-dev-1-a1"]
)
def test_the_name_of_anothers_job_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a processing job of Framewright"):
        parse_processing_job(name)


def test_every_name_fits_the_longest_stage_and_region() -> None:
    regions = [
        region
        for partition in get_session().get_available_partitions()
        for region in get_session().get_available_regions("s3", partition)
    ]
    names = Names("abcdefghij", "123456789012", max(regions, key=len))
    buckets = (names.uploads_bucket, names.results_bucket, names.models_bucket)
    assert all(len(bucket) <= 63 for bucket in (*buckets, names.access_logs_bucket))
    assert len(names.role("reconcile-schedule")) <= 64
    assert len(names.function("dispatch")) <= 64


@pytest.mark.parametrize("stage", ["", "d", "Dev", "1dev", "dev-1", "a" * 11, "dév", "dev\n"])
def test_a_stage_that_cannot_be_in_names_is_refused(stage: str) -> None:
    with pytest.raises(ValueError, match="2 to 10 lower-case letters and digits"):
        check_stage(stage)


@given(digest=hex_digits)
def test_a_bundle_is_named_by_its_digest(digest: str) -> None:
    model = bundle_model(digest)
    assert resolve_model(model.name) == model
    assert is_bundle(model)


@pytest.mark.parametrize("name", sorted(BUILTIN_VERSIONS))
def test_a_built_in_model_has_a_digest_of_its_name_and_version(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = resolve_model(f"builtin:{name}")
    assert not is_bundle(model)
    monkeypatch.setitem(BUILTIN_VERSIONS, name, BUILTIN_VERSIONS[name] + 1)
    assert resolve_model(f"builtin:{name}").digest != model.digest


@pytest.mark.parametrize("name", ["", "people", "builtin:", "builtin:cats", "bundle:", "bundle:0"])
def test_an_unknown_model_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="known are builtin:people"):
        resolve_model(name)


def test_the_identity_is_pinned() -> None:
    """A change here would re-process everything ever stored: raise RESULT_SCHEMA on purpose."""
    assert identity() == "210c8f95ddf3e74ce4c7e047488457d7"
