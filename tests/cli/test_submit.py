import hashlib
import itertools
from functools import partial
from pathlib import Path

import boto3
import pytest

from cli.errors import UserError
from cli.jobs import exit_code, follow
from cli.progress import follow_shown
from cli.sending import Submitted
from cli.stage import Stage
from cli.submit import ask_for, send
from cli.uploads import ask, find_uploads
from contracts.keys import bundle_key
from contracts.messages import METADATA_MODEL, METADATA_SELECT, METADATA_SHA256
from contracts.models import bundle_model
from contracts.outcomes import JobState
from lambdas.dispatch.intake import Job, Upload, take_in
from tests.cli.commands import Commands, received_job
from tests.vision.models.graphs import a_bundle, a_spec, constant_graph, plain_outputs

MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 200


def a_file(path: Path, content: bytes = MP4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def dispatched_id(stage: Stage, submitted: Submitted) -> str:
    """The id that dispatch gives to the object, as S3's event tells of it."""
    source = submitted.source
    upload = Upload(source.bucket, source.key, source.etag, source.size_bytes, source.version_id)
    assert stage.settings is not None
    job = take_in(upload, s3=stage.s3, names=stage.names, settings=stage.settings)
    assert isinstance(job, Job)
    assert job.fault is None
    return job.job_id


@pytest.mark.parametrize(
    ("model", "select"),
    [
        (None, None),
        ("builtin:people", None),
        (None, "every_seconds=0.50"),
        ("builtin:people", "indices=0,5"),
    ],
)
def test_the_job_id_told_at_once_is_the_one_that_dispatch_gives(
    stage: Stage, tmp_path: Path, model: str | None, select: str | None
) -> None:
    uploads = find_uploads([a_file(tmp_path / "a b+ü%.mp4")], "some/")

    (submitted,) = send(stage, uploads, ask_for(stage, model, select), again=False)

    assert submitted.job_id == dispatched_id(stage, submitted)


def test_a_file_sent_in_parts_has_the_id_that_dispatch_gives(stage: Stage, tmp_path: Path) -> None:
    uploads = find_uploads([a_file(tmp_path / "long.mp4", MP4 + bytes(9_000_000))], "")

    (submitted,) = send(stage, uploads, ask_for(stage, None, None), again=False)

    assert submitted.source.etag.endswith("-2")
    assert submitted.job_id == dispatched_id(stage, submitted)


def test_each_upload_of_a_key_is_known_by_its_own_version(stage: Stage, tmp_path: Path) -> None:
    uploads = find_uploads([a_file(tmp_path / "a.mp4")], "")
    asked = ask_for(stage, None, None)

    (first,) = send(stage, uploads, asked, again=True)
    (second,) = send(stage, uploads, asked, again=True)

    assert first.source.version_id != second.source.version_id
    assert first.job_id != second.job_id


def test_the_same_file_asking_for_the_same_stays_the_same_job(stage: Stage, tmp_path: Path) -> None:
    uploads = find_uploads([a_file(tmp_path / "a.mp4"), a_file(tmp_path / "b.mp4")], "")
    first = send(stage, uploads, ask_for(stage, None, None), again=False)
    a_file(tmp_path / "b.mp4", MP4 + b"more")

    again = send(
        stage,
        find_uploads([tmp_path / "a.mp4", tmp_path / "b.mp4"], ""),
        ask_for(stage, None, None),
        again=False,
    )

    assert [one.was_there for one in (*first, *again)] == [False, False, True, False]
    assert again[0].source == first[0].source
    assert again[0].job_id == first[0].job_id
    assert again[1].job_id != first[1].job_id


def test_the_same_file_asking_for_other_frames_is_another_job(stage: Stage, tmp_path: Path) -> None:
    uploads = find_uploads([a_file(tmp_path / "a.mp4")], "")
    (first,) = send(stage, uploads, ask_for(stage, None, None), again=False)

    (other,) = send(stage, uploads, ask_for(stage, None, "key_frames"), again=False)

    assert not other.was_there
    assert other.job_id != first.job_id


def test_a_folder_is_searched_for_videos_in_any_case_and_keeps_their_places(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    for name in ("clips/one.MP4", "clips/deep/two.Mov", "clips/notes.txt", "clips/deep/x.mp4.bak"):
        a_file(tmp_path / name)

    done = commands("submit", tmp_path / "clips", "--stage", "dev", "--prefix", "p/", "--json")

    assert done.exit_code == 0
    assert sorted(it["key"] for it in done.json) == ["p/clips/deep/two.Mov", "p/clips/one.MP4"]
    listed = stage.s3.list_objects_v2(Bucket=stage.names.uploads_bucket)["Contents"]
    assert [it["Key"] for it in listed] == ["p/clips/deep/two.Mov", "p/clips/one.MP4"]


def test_what_is_asked_for_goes_with_the_object(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    file = a_file(tmp_path / "a.mp4")

    done = commands(
        "submit", file, "--stage", "dev", "--model", "builtin:people", "--select", "every_nth=7"
    )

    assert done.exit_code == 0
    head = stage.s3.head_object(Bucket=stage.names.uploads_bucket, Key="a.mp4")
    assert head["Metadata"] == {
        METADATA_MODEL: "builtin:people",
        METADATA_SELECT: "every_nth=7",
        METADATA_SHA256: hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def test_nothing_asked_for_leaves_the_choice_to_the_stage(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    done = commands("submit", a_file(tmp_path / "a.mp4"), "--stage", "dev", "--json")

    assert done.json[0]["job_id"] is None
    head = stage.s3.head_object(Bucket=stage.names.uploads_bucket, Key="a.mp4")
    assert not {METADATA_MODEL, METADATA_SELECT} & set(head["Metadata"])


def test_a_bundle_file_is_pushed_before_its_name_is_asked_for(stage: Stage, tmp_path: Path) -> None:
    graph = constant_graph(plain_outputs([[0, 0, 1, 1]], [1], [0.9]))
    bundle = a_bundle(tmp_path, graph, a_spec())

    asked = ask_for(stage, str(bundle), None)

    digest = (asked.model or "").removeprefix("bundle:")
    assert asked.model == bundle_model(digest).name
    kept = stage.s3.get_object(Bucket=stage.names.models_bucket, Key=bundle_key(digest))
    assert kept["Body"].read() == bundle.read_bytes()


def test_a_bundle_that_is_there_is_not_sent_again(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    graph = constant_graph(plain_outputs([[0, 0, 1, 1]], [1], [0.9]))
    bundle = a_bundle(tmp_path, graph, a_spec())
    push = ("model", "push", bundle, "--stage", "dev", "--json")

    first, second = commands(*push), commands(*push)

    assert (first.json["sent"], second.json["sent"]) == (True, False)
    assert first.json["model"] == second.json["model"]


def test_a_file_that_is_no_bundle_is_not_pushed(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    done = commands("model", "push", a_file(tmp_path / "m.tar.gz", b"hello"), "--stage", "dev")

    assert done.exit_code == 64
    assert "KeyCount" in (listed := stage.s3.list_objects_v2(Bucket=stage.names.models_bucket))
    assert listed["KeyCount"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("missing.mp4",), 69, "There is no file"),
        (("notes.txt",), 64, "is no video"),
        (("empty",), 69, "There is no video in"),
        (("one/a.mp4", "two/a.mp4"), 64, "would both take the key 'a.mp4'"),
        (("one/a.mp4", "--select", "sometimes"), 64, "unknown selection 'sometimes'"),
        (("one/a.mp4", "--model", "builtin:cats"), 64, "unknown model 'builtin:cats'"),
        (("one/a.mp4", "--prefix", "/../"), 64, "is no file name"),
        (("one/a.mp4", "--prefix", "clips"), 64, "Write --prefix clips/"),
        ((), 64, "Missing argument"),
    ],
)
def test_what_cannot_be_submitted_is_refused_with_a_reason_and_nothing_is_sent(
    stage: Stage,
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    for name in ("one/a.mp4", "two/a.mp4"):
        a_file(tmp_path / name)
    a_file(tmp_path / "notes.txt", b"only words")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)

    done = commands("submit", *arguments, "--stage", "dev")

    assert done.exit_code == code
    assert said.lower() in done.errors.lower()
    assert stage.s3.list_objects_v2(Bucket=stage.names.uploads_bucket)["KeyCount"] == 0


def test_a_stage_whose_settings_are_known_refuses_what_it_does_not_offer(stage: Stage) -> None:
    with pytest.raises(UserError, match=r"does not offer index_api"):
        ask(None, "index_api", stage.settings)


def test_selections_that_no_stage_can_offer_yet_are_not_advised(stage: Stage) -> None:
    with pytest.raises(UserError, match="known are") as refused:
        ask(None, "sometimes", stage.settings)

    assert "index_api" not in refused.value.what


def test_a_selection_too_long_for_metadata_is_refused(stage: Stage) -> None:
    many = "indices=" + ",".join(map(str, range(1000)))

    with pytest.raises(UserError, match=r"S3 holds 2048"):
        ask(None, many, stage.settings)


def test_following_ends_when_every_job_has_ended(stage: Stage) -> None:
    jobs = [received_job(stage, f"{i}.mp4") for i in range(2)]
    submitted = [Submitted(Path(job.source.key), job.source, job.job_id) for job in jobs]
    polls = itertools.count()

    def end_the_next(_seconds: float) -> None:
        if next(polls) == 0:
            stage.ledger.succeed(jobs[0].job_id, 1, result_key="r")
        else:
            stage.ledger.reject(jobs[1].job_id, 1, code="truncated", message="Cut.")

    snapshots = list(follow(stage.ledger, submitted, interval_s=1, sleep=end_the_next))

    states = [[job.state if job else None for job in jobs] for jobs in snapshots]
    assert states == [
        [JobState.RECEIVED, JobState.RECEIVED],
        [JobState.SUCCEEDED, JobState.RECEIVED],
        [JobState.SUCCEEDED, JobState.REJECTED],
    ]
    assert exit_code(snapshots[-1]) == 65
    assert exit_code(snapshots[0]) == 75


def test_a_job_whose_id_was_not_foreseen_is_found_by_its_version(stage: Stage) -> None:
    job = received_job(stage)
    stage.ledger.succeed(job.job_id, 1, result_key="r")
    submitted = [Submitted(Path("street.mp4"), job.source, None)]

    *_, (found,) = follow(stage.ledger, submitted, interval_s=1, sleep=lambda _: None)

    assert found is not None
    assert found.job_id == job.job_id


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["succeed", "succeed"], 0),
        (["succeed", "reject"], 65),
        (["reject", "fail"], 75),
        (["succeed", None], 75),
    ],
)
def test_the_exit_code_tells_how_the_worst_job_ended(
    stage: Stage, states: list[str | None], code: int
) -> None:
    jobs = []
    for i, state in enumerate(states):
        job = received_job(stage, f"{i}.mp4")
        if state == "succeed":
            stage.ledger.succeed(job.job_id, 1, result_key="r")
        elif state is not None:
            getattr(stage.ledger, state)(job.job_id, 1, code="c", message="m")
        jobs.append(stage.ledger.get(job.job_id))

    assert exit_code(jobs) == code


def test_waiting_ends_at_its_time_limit(stage: Stage, commands: Commands, tmp_path: Path) -> None:
    done = commands(
        "submit", a_file(tmp_path / "a.mp4"), "--stage", "dev", "--wait", "--timeout", "0", "--json"
    )

    assert done.exit_code == 75
    assert done.json[0]["key"] == "a.mp4"


@pytest.mark.parametrize("wait", [(), ("--wait", "--timeout", "0")])
def test_a_file_that_was_there_already_is_said_to_have_been(
    stage: Stage, commands: Commands, tmp_path: Path, wait: tuple[str, ...]
) -> None:
    submit: tuple[str | Path, ...] = ("submit", a_file(tmp_path / "a.mp4"), "--stage", "dev", *wait)

    first, second = commands(*submit), commands(*submit)

    assert "was there already" not in first.output
    assert "was there already" in second.output


def test_off_a_terminal_each_change_of_a_job_is_a_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = received_job(stage)

    def step(_seconds: float) -> None:
        if (now := stage.ledger.get(job.job_id)) and now.state is JobState.RECEIVED:
            stage.ledger.dispatched(
                job.job_id, 1, route="processing", reason="Only.", backend_ref="x"
            )
        else:
            stage.ledger.succeed(job.job_id, 1, result_key="r")

    monkeypatch.setattr("cli.progress.follow", partial(follow, sleep=step))
    submitted = [Submitted(Path("street.mp4"), job.source, job.job_id)]

    follow_shown(stage.ledger, submitted, interval_s=1)

    shown = capsys.readouterr()
    assert shown.out == ""
    states = [line.split()[1] for line in shown.err.splitlines()]
    assert states == ["RECEIVED", "DISPATCHED", "SUCCEEDED"]


def test_a_stage_that_is_not_deployed_is_named(
    account: str, commands: Commands, tmp_path: Path
) -> None:
    done = commands("submit", a_file(tmp_path / "a.mp4"), "--stage", "dev")

    assert done.exit_code == 69
    assert "not deployed" in done.errors
    assert boto3.client("s3").list_buckets()["Buckets"] == []


def test_scripts_that_wait_learn_whether_a_file_was_there_already(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    asked = ("--model", "builtin:people", "--select", "every_seconds=1", "--stage", "dev", "--json")
    file = a_file(tmp_path / "a.mp4")
    (submitted,) = commands("submit", file, *asked).json
    job = received_job(stage, "a.mp4", submitted["version_id"])
    assert job.job_id == submitted["job_id"]
    stage.ledger.succeed(job.job_id, 1, result_key="r")

    (waited,) = commands("submit", file, *asked, "--wait").json

    assert (waited["state"], waited["was_there"]) == ("SUCCEEDED", True)
