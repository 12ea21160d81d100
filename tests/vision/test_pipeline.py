"""One attempt at one video: its document, its files, and nothing where it failed."""

import hashlib
import json
from pathlib import Path

import pytest

from contracts.outcomes import Outcome, RejectionCode, WarningCode
from tests.vision.attempts import NUMBER_MODEL, NumberModel, any_request
from tests.vision.bad_videos import BAD_VIDEOS
from tests.vision.videos import B_FRAMES, VideoSpec, make_video
from vision.frames import FrameBatch
from vision.limits import Limits
from vision.models.base import ModelInput, Prediction, ResizeMode, Task
from vision.pipeline import Progress, peak_memory_bytes, process_video
from vision.results import read_attempt, read_class_map, read_detections


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_video_ends_in_a_document_that_describes_its_files(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES))
    request = any_request(path, select="every_seconds=1")
    folder = tmp_path / "attempt"
    document = process_video(path=path, request=request, model=NumberModel(), folder=folder)
    assert document == read_attempt(folder)
    assert document.answers(request)
    assert (document.outcome, document.code) == (Outcome.SUCCEEDED, None)
    counts = document.counts
    assert (counts.frames_decoded, counts.frames_processed, counts.detections) == (16, 3, 3)
    assert document.video is not None
    assert document.video.frame_count == 30
    assert document.warnings == ()
    assert set(document.timings_s) == {"decode", "inference", "write", "total"}
    assert 0 < max(document.timings_s.values()) == document.timings_s["total"]
    assert 10e6 < document.peak_memory_bytes <= peak_memory_bytes()
    for file in document.files:
        content = (folder / file.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256


def test_each_line_is_the_result_of_the_very_frame_it_names(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(options=B_FRAMES))
    model = NumberModel(ModelInput((60, 60), ResizeMode.LETTERBOX, max_batch=7))
    process_video(path=path, request=any_request(path), model=model, folder=tmp_path / "out")
    results = list(read_detections(tmp_path / "out/detections.jsonl.gz"))
    assert [r.frame.frame_index for r in results] == list(range(30))
    assert [r.detections[0].class_id for r in results] == list(range(30))
    assert all(r.detections[0].box == (0.0, 0.0, 96.0, 64.0) for r in results)
    assert model.batch_sizes == [7, 7, 7, 7, 2]


def test_class_maps_are_at_source_size_beside_the_detections(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=4))
    model = NumberModel(ModelInput((32, 32)), Task.SEMANTIC_SEGMENTATION)
    folder = tmp_path / "out"
    document = process_video(
        path=path, request=any_request(path, select="indices=1,3"), model=model, folder=folder
    )
    assert [file.name for file in document.files] == [
        "detections.jsonl.gz",
        "segmentation/00000001.png",
        "segmentation/00000003.png",
    ]
    class_map = read_class_map(folder / "segmentation/00000003.png")
    assert class_map.shape == (64, 96)
    assert (class_map == 3).all()


@pytest.mark.parametrize("name", BAD_VIDEOS)
def test_a_bad_video_is_an_outcome_that_is_written_too(name: str, tmp_path: Path) -> None:
    make, code = BAD_VIDEOS[name]
    path = tmp_path / "bad.mp4"
    make(path)
    folder = tmp_path / "out"
    document = process_video(
        path=path, request=any_request(path), model=NumberModel(), folder=folder
    )
    assert (document.outcome, document.code) == (Outcome.REJECTED, code)
    assert document.message
    assert document == read_attempt(folder)
    assert files_below(folder) == ["attempt.json"]


def test_a_selection_without_frames_is_rejected_with_what_was_missing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4")
    request = any_request(path, select="indices=30,31")
    document = process_video(
        path=path, request=request, model=NumberModel(), folder=tmp_path / "out"
    )
    assert document.code == RejectionCode.NOTHING_SELECTED
    assert "30 frames" in (document.message or "")
    assert [w.code for w in document.warnings] == [WarningCode.FRAME_NOT_FOUND]
    assert files_below(tmp_path / "out") == ["attempt.json"]


def test_a_video_that_turns_out_too_long_leaves_no_results(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.h264")
    document = process_video(
        path=path,
        request=any_request(path),
        model=NumberModel(task=Task.SEMANTIC_SEGMENTATION),
        folder=tmp_path / "out",
        limits=Limits(max_duration_s=1.0),
    )
    assert document.code == RejectionCode.TOO_LARGE
    assert document.files == ()
    assert files_below(tmp_path / "out") == ["attempt.json"]


def test_a_fault_of_the_model_leaves_nothing_and_is_raised(tmp_path: Path) -> None:
    class Failing(NumberModel):
        def predict(self, batch: FrameBatch) -> list[Prediction]:
            if batch.frames[0].frame_index >= 8:
                raise MemoryError
            return super().predict(batch)

    path = make_video(tmp_path / "video.mp4")
    model = Failing(task=Task.SEMANTIC_SEGMENTATION)
    with pytest.raises(MemoryError):
        process_video(path=path, request=any_request(path), model=model, folder=tmp_path / "out")
    assert files_below(tmp_path / "out") == []


def test_the_image_size_is_the_canvas_of_a_model_that_has_none(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=2))
    shapes = []

    class Watching(NumberModel):
        def predict(self, batch: FrameBatch) -> list[Prediction]:
            shapes.append(batch.pixels.shape)
            return super().predict(batch)

    arguments = {"path": path, "request": any_request(path), "folder": tmp_path / "out"}
    process_video(model=Watching(), image_size=(40, 20), **arguments)  # type: ignore[arg-type]
    assert shapes == [(2, 20, 40, 3)]
    with pytest.raises(ValueError, match="32×32"):
        process_video(
            model=NumberModel(ModelInput((32, 32))),
            image_size=(40, 20),
            **arguments,  # type: ignore[arg-type]
        )


def test_progress_tells_how_far_it_is(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=10))
    seen: list[Progress] = []
    process_video(
        path=path,
        request=any_request(path),
        model=NumberModel(),
        folder=tmp_path / "out",
        progress=seen.append,
    )
    assert [(p.frames_processed, p.time_s) for p in seen] == [(4, 0.3), (8, 0.7), (10, 0.9)]
    assert seen[0].duration_s == 1.0


def test_attempt_json_is_plain_json_with_the_model(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", VideoSpec(frame_count=2))
    process_video(
        path=path, request=any_request(path), model=NumberModel(), folder=tmp_path / "out"
    )
    plain = json.loads((tmp_path / "out/attempt.json").read_text(encoding="utf-8"))
    assert plain["schema"] == "framewright/attempt/1"
    assert plain["model"]["digest"] == NUMBER_MODEL.digest
