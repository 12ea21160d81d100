"""Two hundred uploads at once: two hundred answers, none lost, none doubled."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contracts.outcomes import JobState
from tests.e2e.stage import LocalStage
from tests.vision.videos import VideoSpec, make_video

UPLOADS = 200

pytestmark = pytest.mark.embedded_cloud


def test_two_hundred_uploads_at_once_end_in_two_hundred_terminal_jobs(
    stage: LocalStage, tmp_path: Path
) -> None:
    body = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=5)).read_bytes()
    keys = [f"burst/{number:03d}.mp4" for number in range(UPLOADS)]
    with ThreadPoolExecutor(16) as uploaders:
        list(uploaders.map(lambda key: stage.upload(key, body), keys))
    jobs = stage.settled("burst/", count=UPLOADS)
    assert sorted(job.source.key for job in jobs) == keys
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert {job.attempt for job in jobs} == {1}
    assert len(stage.result_keys(jobs)) == UPLOADS
    assert stage.dead_letters() == 0
