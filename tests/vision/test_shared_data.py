"""Real videos, kept beside the checkout, have the facts and the frames that they are known for."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from contracts.models import resolve_model
from contracts.outcomes import Outcome, WarningCode
from contracts.selection import Selection
from tests.vision.attempts import NumberModel, any_request
from tests.vision.models.test_fastestdet import DATA, fastestdet_spec
from vision.decode import decode_frames
from vision.models.base import ModelInput, VisionModel
from vision.models.bundle import pack_bundle
from vision.models.load import load_bundle, load_model
from vision.pipeline import process_video
from vision.report import DecodeReport, decode_warnings
from vision.results import read_detections
from vision.selection import make_selector
from vision.video import open_video

VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "videos"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no real videos in {VIDEOS}"),
]


def test_people_walking_is_sampled_once_a_second(tmp_path: Path) -> None:
    path = VIDEOS / "people-walking.mp4"
    document = process_video(
        path=path,
        request=any_request(path, select="every_seconds=1"),
        model=NumberModel(ModelInput((64, 64), max_batch=8)),
        folder=tmp_path,
    )
    assert (document.outcome, document.warnings) == (Outcome.SUCCEEDED, ())
    assert document.video is not None
    assert (document.video.width, document.video.height) == (768, 432)
    assert (document.video.frame_count or 0) >= document.counts.frames_decoded
    times = [line.frame.time_s for line in read_detections(tmp_path / "detections.jsonl.gz")]
    assert len(times) == document.counts.frames_processed >= 138
    # At 10 frames a second the first frame at or after k seconds comes less than 0.1 s later.
    assert all(0 <= time - k < 0.1 + 1e-9 for k, time in enumerate(times))


def test_highway_gives_the_frames_that_opencv_reads() -> None:
    capture = cv2.VideoCapture(str(VIDEOS / "highway.mp4"))
    selector, report = make_selector(Selection.parse("all")), DecodeReport()
    with open_video(VIDEOS / "highway.mp4") as video:
        for frame in decode_frames(video, selector, ModelInput(None), report):
            found, peer = capture.read()
            assert found
            difference = np.abs(frame.pixels[..., ::-1].astype(int) - peer)
            assert difference.mean() < 2.0
        assert not capture.read()[0]
        assert decode_warnings(video, selector, report) == ()
    assert report.frames_decoded >= 37


def real_model(name: str, folder: Path) -> VisionModel:
    if name != "fastestdet":
        return load_model(resolve_model(name))
    pack_bundle(DATA / "models" / "fastestdet.onnx", fastestdet_spec(), folder / "model.tar.gz")
    return load_bundle(folder / "model.tar.gz")


@pytest.mark.parametrize("name", ["fastestdet", "builtin:people"])
@pytest.mark.parametrize(
    ("video", "select"), [("people-walking.mp4", "every_seconds=7"), ("highway.mp4", "every_nth=9")]
)
def test_a_plan_finds_the_objects_that_sequential_decoding_finds(
    name: str, video: str, select: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = real_model(name, tmp_path)
    found = {}
    for way in ("planned", "sequential"):
        if way == "sequential":
            monkeypatch.setattr("vision.index._PARSERS", {})
        path = VIDEOS / video
        request = any_request(path, select=select, model=model.identity)
        document = process_video(path=path, request=request, model=model, folder=tmp_path / way)
        is_sequential = WarningCode.SEQUENTIAL_DECODING in [w.code for w in document.warnings]
        assert is_sequential == (way == "sequential")
        found[way] = list(read_detections(tmp_path / way / "detections.jsonl.gz"))
    assert found["planned"] == found["sequential"]
    assert any(line.detections for line in found["planned"])
