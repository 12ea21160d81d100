"""Real videos through the built-in model and a real detector; both are kept beside the checkout."""

import pytest

from cli.bundles import push_bundle
from contracts.messages import METADATA_MODEL, METADATA_SELECT
from contracts.outcomes import JobState
from tests.e2e.stage import LocalStage
from tests.vision.models.test_fastestdet import DATA, fastestdet_spec
from vision.models.bundle import pack_bundle

pytestmark = [
    pytest.mark.embedded_cloud,
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real videos and models in ../{DATA.name}"),
]

VIDEOS = ("people-walking", "highway")


@pytest.fixture(scope="module")
def detector(stage: LocalStage, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a real COCO detector, pushed as a bundle."""
    bundle = tmp_path_factory.mktemp("bundle") / "model.tar.gz"
    pack_bundle(DATA / "models" / "fastestdet.onnx", fastestdet_spec(), bundle)
    name, _ = push_bundle(bundle, s3=stage.s3, bucket=stage.names.models_bucket)
    return name


def test_real_videos_end_in_results_with_both_models(stage: LocalStage, detector: str) -> None:
    for model in ("builtin:people", detector):
        for video in VIDEOS:
            stage.upload(
                f"real/{model[:7]}/{video}.mp4",
                (DATA / "videos" / f"{video}.mp4").read_bytes(),
                metadata={METADATA_MODEL: model, METADATA_SELECT: "every_seconds=10"},
            )
    jobs = stage.settled("real/", count=4)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    for job in jobs:
        frames = stage.frames(stage.result(job))
        expected = range(0, 1400, 100) if "people" in job.source.key else [0]
        assert [line.frame.frame_index for line in frames] == list(expected)


def test_the_highway_has_cars_in_every_frame(stage: LocalStage, detector: str) -> None:
    stage.upload(
        "cars/highway.mp4",
        (DATA / "videos" / "highway.mp4").read_bytes(),
        metadata={METADATA_MODEL: detector, METADATA_SELECT: "every_nth=3"},
    )
    (job,) = stage.settled("cars/", count=1)
    frames = stage.frames(stage.result(job))
    assert [line.frame.frame_index for line in frames] == list(range(0, 38, 3))
    for line in frames:
        cars = [found for found in line.detections if found.class_name == "car"]
        assert cars
        assert all(0 <= x <= 1280 and 0 <= y <= 720 for x, y, *_ in (car.box for car in cars))
