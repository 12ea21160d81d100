"""Every bad input gets a clear answer, costs one attempt, and disturbs nothing else."""

from pathlib import Path

import pytest

from contracts.outcomes import JobState, RejectionCode, WarningCode
from tests.e2e.stage import LocalStage
from tests.vision.bad_videos import BAD_VIDEOS
from tests.vision.videos import VideoSpec, cut, make_video

pytestmark = pytest.mark.embedded_cloud


def test_each_bad_video_is_rejected_once_with_its_code_and_a_sentence(
    stage: LocalStage, tmp_path: Path
) -> None:
    for name, (make, _) in BAD_VIDEOS.items():
        make(tmp_path / f"{name}.mp4")
        stage.upload(f"bad/{name}.mp4", (tmp_path / f"{name}.mp4").read_bytes())
    stage.upload("bad/good.mp4", make_video(tmp_path / "good.mp4").read_bytes())
    jobs = {job.source.key: job for job in stage.settled("bad/", count=len(BAD_VIDEOS) + 1)}
    assert jobs.pop("bad/good.mp4").state is JobState.SUCCEEDED
    found = {key: (job.state, job.code, job.attempt) for key, job in jobs.items()}
    assert found == {
        f"bad/{name}.mp4": (JobState.REJECTED, code, 1) for name, (_, code) in BAD_VIDEOS.items()
    }
    for job in jobs.values():
        assert job.message
        assert job.message.endswith(".")
        assert job.result_key is None
    assert stage.dead_letters() == 0


@pytest.mark.parametrize("size", [(1, 1), (97, 63), (2, 2), (16, 400)])
def test_odd_sizes_are_processed(stage: LocalStage, tmp_path: Path, size: tuple[int, int]) -> None:
    spec = VideoSpec(size=size, pixel_format="yuv444p", codec="ffv1", options={}, frame_count=5)
    name = f"sizes/{size[0]}x{size[1]}.mkv"
    stage.upload(name, make_video(tmp_path / "video.mkv", spec).read_bytes())
    (job,) = stage.settled(name, count=1)
    assert job.state is JobState.SUCCEEDED
    (line,) = stage.frames(stage.result(job))
    assert (line.frame.width, line.frame.height) == size


def test_a_file_cut_in_mid_stream_succeeds_with_a_warning(
    stage: LocalStage, tmp_path: Path
) -> None:
    whole = make_video(
        tmp_path / "whole.mp4",
        VideoSpec(frame_count=60, container_options={"movflags": "faststart"}),
    )
    cut(whole, tmp_path / "cut.mp4", 0.7)
    stage.upload("cut/cut.mp4", (tmp_path / "cut.mp4").read_bytes())
    (job,) = stage.settled("cut/", count=1)
    assert job.state is JobState.SUCCEEDED
    codes = [warning.code for warning in stage.result(job).warnings]
    assert WarningCode.STREAM_CUT_SHORT in codes


NAMES = {
    "spaces": "a street  with spaces.mp4",
    "plus": "1+1=2.mp4",
    "percent": "100%25 %2B.mp4",
    "unicode": "Straße/街道/شارع/🚗.mp4",
    "capitals": "CLIP.MP4",
    "quotes": 'it\'s "quoted" & <tagged>.mp4',
    "many_levels": "/".join(["level-" + "x" * 40] * 20) + "/" + "v" * 36 + ".mp4",
}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_can_be_a_file_is_processed_under_that_name(
    stage: LocalStage, tmp_path: Path, name: str
) -> None:
    key = f"names/{name}/{NAMES[name]}"
    stage.upload(key, make_video(tmp_path / "video.mp4", VideoSpec(frame_count=3)).read_bytes())
    (job,) = stage.settled(f"names/{name}/", count=1)
    assert job.source.key == key
    assert job.state is JobState.SUCCEEDED, job.message
    stage.verified_files(stage.result(job))


@pytest.mark.parametrize(
    "key", ["storable/" + "n" * 991 + ".mp4", "storable/a//b.mp4", "storable/../../b.mp4"]
)
def test_a_name_that_cannot_be_a_file_is_rejected(
    stage: LocalStage, tmp_path: Path, key: str
) -> None:
    stage.upload(key, make_video(tmp_path / "video.mp4", VideoSpec(frame_count=3)).read_bytes())
    (job,) = stage.settled(key, count=1)
    assert (job.state, job.code) == (JobState.REJECTED, RejectionCode.KEY_NOT_STORABLE)
