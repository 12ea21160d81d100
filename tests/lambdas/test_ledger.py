"""The ledger by itself: a bounded story, walks by age, a lookup by source."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.messages import Source, job_id, pipeline_digest
from contracts.models import resolve_model
from contracts.outcomes import JobState
from contracts.selection import Selection
from lambdas.common.ledger import JobRecord, Ledger, new_record
from lambdas.common.record import ledger_time
from lambdas.common.writing import MAX_HISTORY, MAX_NOTE_CHARACTERS
from tests.lambdas.stage import NAMES, Stage

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> str:
    return ledger_time(START + timedelta(seconds=second))


def entered(ledger: Ledger, number: int, *, second: float = 0) -> JobRecord:
    """A job that was received at a time."""
    model, selection = resolve_model("builtin:people"), Selection.parse("every_seconds=1")
    source = Source(NAMES.uploads_bucket, f"{number}.mp4", "etag", 10, f"v{number}")
    identity = job_id(source, pipeline_digest(model, selection))
    record = new_record(
        job_id=identity, source=source, model=model, selection=selection, now=at(second)
    )
    assert ledger.create(record)
    return record


def found(ledger: Ledger, job: JobRecord) -> JobRecord:
    record = ledger.get(job.job_id)
    assert record is not None
    return record


def test_a_long_story_keeps_its_beginning_and_its_latest_and_counts_the_rest(
    stage: Stage,
) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    for start in range(1, MAX_HISTORY + 11):
        assert ledger.restart(job.job_id, 1, start=start, reason=f"full {start}")
    story = found(ledger, job)
    assert len(story.history) == MAX_HISTORY
    assert story.history_left_out == 11
    assert story.history[0] == job.history[0]
    assert (story.history[1].note or "").endswith("full 12")
    assert (story.history[-1].note or "").endswith(f"full {MAX_HISTORY + 10}")


def test_a_refused_step_changes_nothing_of_a_full_story_but_its_room(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    for start in range(1, MAX_HISTORY):
        ledger.restart(job.job_id, 1, start=start, reason="full")
    assert not ledger.retry(job.job_id, 7, code="x", message="y")
    assert found(ledger, job).state is JobState.RECEIVED
    assert ledger.retry(job.job_id, 1, code="x", message="y")
    assert (found(ledger, job).attempt, found(ledger, job).start) == (2, 1)


def test_a_note_is_cut_where_an_item_could_not_hold_many_like_it(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    ledger.reject(job.job_id, 1, code="x", message="y" * 10 * MAX_NOTE_CHARACTERS)
    assert len(found(ledger, job).history[-1].note or "") == MAX_NOTE_CHARACTERS


def test_waiting_is_counted_and_makes_the_story_no_longer(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    for waits in (1, 2, 3):
        assert ledger.wait(job.job_id, 1, start=1, waits=waits, reason=f"busy {waits}")
        assert not ledger.wait(job.job_id, 1, start=1, waits=waits, reason="again")
    waiting = found(ledger, job)
    assert (waiting.waits, waiting.waiting, len(waiting.history)) == (3, "busy 3", 1)
    assert waiting.updated_at > job.updated_at


def test_the_walk_by_age_goes_from_the_oldest_of_all_partitions_page_by_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdas.common.reading.PAGE_JOBS", 2)
    ledger = stage.ledger()
    jobs = [entered(ledger, n, second=(7 * n) % 40) for n in range(40)]
    expected = sorted((job for job in jobs if job.updated_at < at(30)), key=lambda j: j.updated_at)
    walked = list(ledger.older_than(JobState.RECEIVED, before=at(30), limit=100))
    assert walked == expected
    assert list(ledger.older_than(JobState.RECEIVED, before=at(30), limit=5)) == expected[:5]
    assert list(ledger.older_than(JobState.DISPATCHED, before=at(30), limit=5)) == []


def test_a_backend_that_took_an_earlier_start_is_not_the_one_that_runs_now(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)

    def dispatched(attempt: int, start: int) -> bool:
        return ledger.dispatched(
            job.job_id, attempt, start=start, route="processing", reason="Only.", backend_ref="x"
        )

    assert ledger.restart(job.job_id, 1, start=1, reason="full")
    assert not dispatched(1, 1)
    assert ledger.retry(job.job_id, 1, code="x", message="y")
    assert not dispatched(1, 2)
    assert dispatched(2, 1)
    assert not dispatched(2, 1)


def test_a_job_that_was_looked_at_is_young_again_but_not_one_that_moved(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    assert ledger.touch(job, note="It still runs.")
    assert found(ledger, job).checked == "It still runs."
    assert list(ledger.older_than(JobState.RECEIVED, before=at(60), limit=5)) == []
    assert not ledger.touch(job, note="too late")
    ledger.dispatched(job.job_id, 1, route="processing", reason="Only.", backend_ref="x")
    assert found(ledger, job).checked is None


def test_a_job_is_untold_from_its_end_until_it_is_told_and_again_after_a_redrive(
    stage: Stage,
) -> None:
    ledger = stage.ledger()
    job, later = entered(ledger, 1), ledger_time(datetime.now(UTC) + timedelta(minutes=1))

    def untold() -> list[str]:
        return [record.job_id for record in ledger.untold(before=later, limit=5)]

    assert untold() == []
    ledger.fail(job.job_id, 1, code="x", message="y")
    assert untold() == [job.job_id]
    failed = found(ledger, job)
    assert ledger.mark_published(failed)
    assert untold() == []
    assert ledger.redrive(job.job_id, 1, note="Again.")
    redriven = found(ledger, job)
    assert (redriven.attempt, redriven.first_attempt, redriven.published) == (2, 2, False)
    assert not ledger.mark_published(failed)  # it is another life that was told of
    ledger.fail(job.job_id, 2, code="x", message="y")
    assert untold() == [job.job_id]


@pytest.mark.parametrize("state", ["RECEIVED", "SUCCEEDED", "REJECTED"])
def test_only_a_failed_job_is_redriven(stage: Stage, state: str) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    ends: dict[str, Any] = {
        "SUCCEEDED": lambda: ledger.succeed(job.job_id, 1, result_key="k"),
        "REJECTED": lambda: ledger.reject(job.job_id, 1, code="x", message="y"),
        "RECEIVED": lambda: True,
    }
    assert ends[state]()
    before = found(ledger, job)
    assert not ledger.redrive(job.job_id, 1, note="Again.")
    assert found(ledger, job) == before


def test_a_job_that_is_being_committed_can_only_succeed(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    assert ledger.claim(job.job_id, 1)
    assert ledger.claim(job.job_id, 1)
    assert not ledger.claim(job.job_id, 2)
    assert not ledger.reject(job.job_id, 1, code="cancelled", message="y")
    assert not ledger.fail(job.job_id, 1, code="x", message="y")
    assert not ledger.retry(job.job_id, 1, code="x", message="y")
    assert ledger.succeed(job.job_id, 1, result_key="k")
    assert found(ledger, job).committing is None


def test_whether_a_version_has_a_job_is_known_whatever_the_pipeline(stage: Stage) -> None:
    ledger = stage.ledger()
    job = entered(ledger, 1)
    assert ledger.has_source(job.source)
    other = Source(job.source.bucket, job.source.key, "etag", 10, "another")
    assert not ledger.has_source(other)
