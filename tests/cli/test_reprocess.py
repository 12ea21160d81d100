"""What lies in the bucket becomes new jobs, and only what is meant."""

from typing import TYPE_CHECKING, Any

import pytest

from cli.stage import Stage
from contracts.documents import from_json
from contracts.keys import bundle_key
from contracts.requests import ReprocessRequest
from lambdas.dispatch.intake import Job, Upload, take_in
from tests.cli.commands import Commands, bodies, received_job
from tests.vision.models.graphs import a_bundle, a_spec, constant_graph, plain_outputs

if TYPE_CHECKING:
    from pathlib import Path

MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 200
REPROCESS = ("reprocess", "--stage", "dev")
ASKED = ("--model", "builtin:people", "--select", "key_frames")


def uploaded(stage: Stage, key: str, **metadata: str) -> str:
    """An object of the uploads bucket; its version."""
    put = stage.s3.put_object(
        Bucket=stage.names.uploads_bucket,
        Key=key,
        Body=MP4,
        Metadata={f"framewright-{name}": value for name, value in metadata.items()},
    )
    return put["VersionId"]


def requests(stage: Stage) -> list[ReprocessRequest]:
    return [from_json(ReprocessRequest, it) for it in bodies(stage, stage.names.uploads_queue)]


def test_the_latest_version_of_each_object_below_a_prefix_is_asked_for_again(
    stage: Stage, commands: Commands
) -> None:
    uploaded(stage, "in/a.mp4")
    latest = uploaded(stage, "in/a.mp4")
    uploaded(stage, "in/gone.mp4")
    stage.s3.delete_object(Bucket=stage.names.uploads_bucket, Key="in/gone.mp4")
    for key in ("in/folder/", "in/deep/b ü+%.mp4", "inside.mp4", "other/c.mp4"):
        uploaded(stage, key)

    commands(*REPROCESS, "in/", "--model", "builtin:people")

    sent = sorted(requests(stage), key=lambda it: it.source.key)
    assert [it.source.key for it in sent] == ["in/a.mp4", "in/deep/b ü+%.mp4"]
    assert sent[0].source.version_id == latest
    assert {(it.model, it.selection) for it in sent} == {("builtin:people", None)}


def test_the_whole_bucket_is_a_slash_and_big_ones_are_paged_through(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"{number:03}.mp4" for number in range(23)]
    for key in keys:
        uploaded(stage, key)
    _page_by(stage, 5, monkeypatch)

    done = commands(*REPROCESS, "/", *ASKED, "--json")

    assert [it["key"] for it in done.json["jobs"]] == keys
    assert sorted(it.source.key for it in requests(stage)) == keys


def test_the_job_id_told_is_the_one_that_dispatch_gives_whatever_the_upload_asked_for(
    stage: Stage, commands: Commands
) -> None:
    uploaded(stage, "a.mp4", select="every_seconds=2", model="builtin:lanes")

    told = commands(*REPROCESS, "a.mp4", *ASKED, "--json").json["jobs"][0]["job_id"]

    (request,) = requests(stage)
    assert stage.settings is not None
    job = take_in(
        Upload.from_source(request.source),
        s3=stage.s3,
        names=stage.names,
        settings=stage.settings,
        asked={
            "framewright-model": str(request.model),
            "framewright-select": str(request.selection),
        },
    )
    assert isinstance(job, Job)
    assert told == job.job_id


def test_of_a_job_what_is_not_asked_for_anew_stays_as_it_was(
    stage: Stage, commands: Commands
) -> None:
    job = received_job(stage, "a.mp4", "an-older-version")

    commands(*REPROCESS, job.job_id[:12], "--select", "key_frames")

    (request,) = requests(stage)
    assert request == ReprocessRequest(job.source, "builtin:people", "key_frames")


def test_the_same_of_a_job_is_the_same_job_and_refused(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)

    done = commands(*REPROCESS, job.job_id)

    assert done.exit_code == 64
    assert "the same job" in done.errors
    assert requests(stage) == []


def test_what_has_such_a_job_already_is_said_to(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)

    done = commands(*REPROCESS, job.job_id, "--model", "builtin:people")

    assert "there already: RECEIVED" in done.output
    assert "there already" not in commands(*REPROCESS, job.job_id, *ASKED).output


def test_a_dry_run_sends_nothing_and_pushes_no_model(
    stage: Stage, commands: Commands, tmp_path: "Path"
) -> None:
    uploaded(stage, "a.mp4")
    graph = constant_graph(plain_outputs([[1, 1, 4, 4]], [1], [0.9]))
    bundle = a_bundle(tmp_path, graph, a_spec())

    told = commands(*REPROCESS, "/", "--model", bundle, "--dry-run", "--json").json

    assert told["jobs"][0]["model"].startswith("bundle:")
    assert requests(stage) == []
    assert stage.s3.list_objects_v2(Bucket=stage.names.models_bucket)["KeyCount"] == 0
    commands(*REPROCESS, "/", "--model", bundle)
    digest = told["jobs"][0]["model"].removeprefix("bundle:")
    stage.s3.head_object(Bucket=stage.names.models_bucket, Key=bundle_key(digest))


def test_many_objects_are_not_sent_unasked(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.reprocess.MAX_UNASKED", 1)
    for key in ("a.mp4", "b.mp4"):
        uploaded(stage, key)

    refused = commands(*REPROCESS, "/", *ASKED)

    assert refused.exit_code == 64
    assert "2 objects" in refused.errors
    assert requests(stage) == []
    assert commands(*REPROCESS, "/", *ASKED, "--yes").exit_code == 0
    assert len(requests(stage)) == 2


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("nowhere/", 69, "nothing below"),
        ("nothing.mp4", 69, "named 'nothing.mp4'"),
        ("s3://another-bucket/a.mp4", 64, "not in the stage's uploads bucket"),
    ],
)
def test_what_is_not_there_is_said_so(
    stage: Stage, commands: Commands, what: str, code: int, said: str
) -> None:
    done = commands(*REPROCESS, what, *ASKED)

    assert done.exit_code == code
    assert said in done.errors


def _page_by(stage: Stage, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let S3 answer in small pages."""
    real: Any = type(stage.s3).get_paginator

    def paged(client: Any, name: str) -> Any:
        paginator = real(client, name)
        paginate = paginator.paginate
        paginator.paginate = lambda **asked: paginate(**asked, PaginationConfig={"PageSize": size})
        return paginator

    monkeypatch.setattr("botocore.client.BaseClient.get_paginator", paged)
