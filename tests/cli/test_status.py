import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.stage import Stage
from lambdas.common.ledger import Ledger
from tests.cli.commands import Commands, put, received_job


def test_without_jobs_the_next_step_is_told(stage: Stage, commands: Commands) -> None:
    done = commands("status", "--stage", "dev")

    assert done.exit_code == 0
    assert "framewright submit" in done.output


def test_the_latest_jobs_are_listed_with_counts_by_state(stage: Stage, commands: Commands) -> None:
    jobs = [received_job(stage, f"[red] {i}.mp4") for i in range(3)]
    stage.ledger.reject(jobs[0].job_id, 1, code="truncated", message="Cut.")

    done = commands("status", "--stage", "dev")

    assert "1 REJECTED" in done.output
    assert "2 RECEIVED" in done.output
    assert all(job.source.key in done.output for job in jobs)
    assert "truncated" in done.output


def test_scripts_get_the_same_as_json(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)

    listed, one = (
        commands("status", *it, "--stage", "dev", "--json") for it in ((), ("street.mp4",))
    )

    assert listed.json["counts"] == {"RECEIVED": 1}
    assert listed.json["jobs"] == [one.json]
    assert one.json["job_id"] == job.job_id


def test_a_job_is_told_with_its_whole_story(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)
    ledger = stage.ledger
    ledger.dispatched(job.job_id, 1, route="processing", reason="The only.", backend_ref="fw-1")
    ledger.retry(job.job_id, 1, code="out_of_memory", message="It was killed.")
    ledger.fail(job.job_id, 2, code="time_limit", message="It took too long.")

    done = commands("status", job.job_id, "--stage", "dev")

    for fact in (
        job.source.uri,
        "processing: The only.",
        "fw-1",
        "attempt 1: out_of_memory: It was killed.",
        "time_limit: It took too long.",
        "FAILED",
    ):
        assert fact in done.output


@pytest.mark.parametrize("digits", [6, 12, 31, 32])
def test_the_beginning_of_an_id_names_a_job(stage: Stage, commands: Commands, digits: int) -> None:
    job = received_job(stage)
    received_job(stage, "other.mp4")

    done = commands("status", job.job_id[:digits], "--stage", "dev", "--json")

    assert done.json["job_id"] == job.job_id


@pytest.mark.parametrize("command", ["status", "results"])
def test_a_beginning_too_short_to_search_for_is_told_from_one_that_fits_none(
    stage: Stage, commands: Commands, command: str
) -> None:
    job = received_job(stage)

    done = commands(command, job.job_id[:5], "--stage", "dev")

    assert done.exit_code == 64
    assert "at least 6 digits; these are 5" in done.errors
    assert "6 hex digits" in commands(command, "--help").output


def test_a_file_may_be_named_like_the_beginning_of_an_id(stage: Stage, commands: Commands) -> None:
    job = received_job(stage, "clips/abc")

    assert commands("status", "abc", "--stage", "dev", "--json").json["job_id"] == job.job_id


def test_lines_in_a_pipe_end_with_their_text(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)

    for arguments in (("status",), ("status", job.job_id), ("watch", "--timeout", "0")):
        lines = commands(*arguments, "--stage", "dev").output.splitlines()
        assert any("street.mp4" in line for line in lines)
        assert [line for line in lines if line != line.rstrip()] == []


def test_a_file_name_a_key_and_a_uri_name_the_latest_job_of_the_key(
    stage: Stage, commands: Commands
) -> None:
    received_job(stage, "deep/street.mp4", "v1")
    latest = received_job(stage, "deep/street.mp4", "v2")

    for name in ("street.mp4", "deep/street.mp4", latest.source.uri):
        done = commands("status", name, "--stage", "dev", "--json")
        assert done.json["source"]["version_id"] == "v2"


def test_an_ambiguous_beginning_is_refused(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version, job in (("v1", "abcdef0" + "0" * 25), ("v2", "abcdef1" + "0" * 25)):
        monkeypatch.setattr("tests.cli.commands.job_id", lambda *_, job=job: job)
        received_job(stage, version=version)

    done = commands("status", "abcdef", "--stage", "dev")

    assert done.exit_code == 64
    assert "2 jobs begin with abcdef" in done.errors
    assert commands("status", "abcdef1", "--stage", "dev").exit_code == 0


@pytest.mark.parametrize("name", ["0" * 32, "0" * 8, "nothing.mp4"])
def test_a_job_that_is_not_there_is_said_so(stage: Stage, commands: Commands, name: str) -> None:
    done = commands("status", name, "--stage", "dev")

    assert done.exit_code == 69
    assert "framewright status" in done.errors


def test_watching_ends_when_all_have_ended_and_tells_how(stage: Stage, commands: Commands) -> None:
    job = received_job(stage)
    stage.ledger.reject(job.job_id, 1, code="truncated", message="Cut.")

    done = commands("watch", "--stage", "dev", "--until-done")

    assert done.exit_code == 65
    assert "REJECTED" in done.output


def test_watching_named_jobs_looks_at_no_others(stage: Stage, commands: Commands) -> None:
    rejected, other = received_job(stage, "a.mp4"), received_job(stage, "b.mp4")
    stage.ledger.reject(rejected.job_id, 1, code="truncated", message="Cut.")
    stage.ledger.succeed(other.job_id, 1, result_key="results/b.mp4/x/result.json")

    done = commands("watch", other.job_id, "--stage", "dev", "--until-done")

    assert done.exit_code == 0
    assert "REJECTED" not in done.output


def test_a_named_job_is_waited_for_although_the_ledger_lacks_it(
    stage: Stage, commands: Commands
) -> None:
    watching = ("watch", "0" * 32, "--stage", "dev", "--until-done", "--timeout", "0", "--json")

    done = commands(*watching)

    assert done.output == ""
    assert commands("watch", "nonsense", "--stage", "dev").exit_code == 64


def test_watching_for_scripts_prints_a_line_for_each_change(
    stage: Stage, commands: Commands
) -> None:
    jobs = [received_job(stage, f"{i}.mp4") for i in range(2)]

    done = commands("watch", "--stage", "dev", "--timeout", "0", "--json")

    told = [json.loads(line) for line in done.output.splitlines()]
    assert {it["job_id"] for it in told} == {job.job_id for job in jobs}


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows the time of New York in winter."""
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_say_which_clock_they_are_of(
    stage: Stage, commands: Commands, new_york: None
) -> None:
    ledger = Ledger(
        client=stage.client("dynamodb"),
        table=stage.names.jobs_table,
        now=lambda: "2026-01-02T03:04:05.678Z",
    )
    job = received_job(stage)
    ledger.reject(job.job_id, 1, code="truncated", message="Cut.")

    here, utc = (commands("status", job.job_id, "--stage", "dev", *it) for it in ((), ("--utc",)))

    assert "Time (UTC-05:00)" in here.output
    assert "2026-01-01 22:04:05.678" in here.output
    assert "Time (UTC)" in utc.output
    assert "2026-01-02 03:04:05.678" in utc.output


def test_a_story_tells_what_it_waits_for_and_what_it_leaves_out(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdas.common.writing.MAX_HISTORY", 4)
    job = received_job(stage)
    for attempt in range(1, 5):
        stage.ledger.retry(job.job_id, attempt, code="job_failed", message=f"Fault {attempt}.")
    stage.ledger.wait(job.job_id, 5, start=1, waits=3, reason="processing is busy: quota.")

    lines = commands("status", job.job_id, "--stage", "dev").output.splitlines()

    assert any("put off 3 times: processing is busy: quota." in line for line in lines)
    assert any("1 step left out" in line for line in lines)
    assert not any("Fault 1." in line for line in lines)
    assert any("Fault 4." in line for line in lines)


def test_a_stage_is_looked_over(stage: Stage, commands: Commands) -> None:
    oldest, other, _ = [received_job(stage, f"{number}.mp4") for number in range(3)]
    stage.ledger.dispatched(other.job_id, 1, route="r", reason="Only.", backend_ref="x")
    names = stage.names
    put(stage, names.uploads_queue, "{}")
    put(stage, names.dead_letter_queue(names.completions_queue), "{}")

    shown, told = (commands("status", "--stage", "dev", *it) for it in ((), ("--json",)))

    assert f"{oldest.job_id[:12]} 0.mp4, RECEIVED, unchanged for" in shown.output
    assert "1 dead letter. Look with: framewright redrive --dry-run --stage dev" in shown.output
    assert told.json["counts"] == {"RECEIVED": 2, "DISPATCHED": 1}
    assert told.json["oldest_open"] == oldest.job_id
    waiting = {name: depth["waiting"] for name, depth in told.json["queues"].items()}
    assert waiting[names.uploads_queue] == 1
    assert waiting[names.dead_letter_queue(names.completions_queue)] == 1
    assert sum(waiting.values()) == 2


def test_jobs_beyond_the_bound_are_not_said_to_be_all(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.overview.MAX_COUNTED", 1)
    for number in range(20):
        received_job(stage, f"{number}.mp4")

    assert re.search(r"\b[1-8]\+ RECEIVED", commands("status", "--stage", "dev").output)


def test_a_queue_that_is_gone_is_seen(stage: Stage, commands: Commands) -> None:
    queue = stage.names.completions_queue
    stage.sqs.delete_queue(QueueUrl=stage.sqs.get_queue_url(QueueName=queue)["QueueUrl"])

    done = commands("status", "--stage", "dev")

    assert done.exit_code == 0
    (line,) = [it for it in done.output.splitlines() if it.startswith(f"{queue} ")]
    assert "NonExistentQueue" in line or "QueueDoesNotExist" in line


def test_whoever_may_only_read_jobs_is_shown_those(
    stage: Stage, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    received_job(stage)

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetQueueUrl")

    monkeypatch.setattr("cli.overview._depth", refuse)
    monkeypatch.setattr("cli.switches.Switches.read", refuse)

    done = commands("status", "--stage", "dev")

    assert done.exit_code == 0
    assert "street.mp4" in done.output
    assert "these credentials may not look" in done.output
