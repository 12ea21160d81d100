"""The entry point answers every request it can, and says plainly which it could not."""

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from containers.processing.__main__ import main
from containers.processing.arguments import UsageError, parse_arguments
from containers.processing.layout import MlTree
from containers.processing.pulse import Pulse
from containers.processing.run import run
from containers.processing.supervise import Supervisor
from containers.processing.worker import Answer
from contracts.messages import InferenceRequest, Model
from contracts.models import resolve_model
from contracts.outcomes import ExitCode, Outcome, RejectionCode
from tests.containers.ml_tree import Tree
from tests.vision.attempts import NUMBER_MODEL, NumberModel, any_request
from tests.vision.bad_videos import BAD_VIDEOS
from tests.vision.videos import VideoSpec, make_video
from vision.frames import FrameBatch
from vision.models.base import ModelInput, Prediction, VisionModel
from vision.models.bundle import BundleError
from vision.results import read_detections

PEOPLE = resolve_model("builtin:people")


def load_number(identity: Model, /, *, bundle: Path | None = None) -> VisionModel:
    assert identity == NUMBER_MODEL
    return NumberModel()


class InThisProcess(Supervisor):
    """Tests bring models and threads, which a forked process would not have."""

    def answers(self, count: int) -> Iterator[Answer]:
        yield from self.work(0, Pulse())


def run_here(tree: Tree, *argv: str, model: VisionModel | None = None) -> ExitCode:
    """Run in this process, with a model that reads the frames' numbers."""

    def load(identity: Model, /, *, bundle: Path | None = None) -> VisionModel:
        return model or load_number(identity)

    return run(parse_arguments(argv), MlTree(tree.root), load=load, supervisor=InThisProcess)


def video_request(tree: Tree, name: str, spec: VideoSpec | None = None) -> InferenceRequest:
    """A whole video among the inputs, and the request for it."""
    path = tree.videos / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return any_request(make_video(path, spec or VideoSpec(frame_count=6)), key=name)


def test_every_request_gets_its_own_frames_in_its_own_folder(tree: Tree) -> None:
    requests = [
        video_request(tree, f"{i}.mp4", VideoSpec(frame_count=4, numbers=range(i, i + 4)))
        for i in (10, 20, 30)
    ]
    tree.ask(*requests)
    assert run_here(tree) is ExitCode.SUCCEEDED
    for request, first in zip(requests, (10, 20, 30), strict=True):
        assert tree.attempt(request).answers(request)
        lines = read_detections(tree.attempt_folder(request) / "detections.jsonl.gz")
        assert [line.detections[0].class_id for line in lines] == list(range(first, first + 4))
    assert not (tree.root / "output/message").exists()


@pytest.mark.parametrize("stored", ["clip.mp4", "b/clip.mp4", "a/b/clip.mp4"])
def test_a_video_is_found_by_whatever_part_of_its_key_was_kept(tree: Tree, stored: str) -> None:
    path = tree.videos / stored
    path.parent.mkdir(parents=True)
    request = any_request(make_video(path), key="a/b/clip.mp4")
    tree.ask(request)
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert tree.attempt(request).outcome is Outcome.SUCCEEDED


def test_the_longest_part_of_the_key_wins(tree: Tree) -> None:
    video_request(tree, "clip.mp4", VideoSpec(frame_count=4, numbers=range(100, 104)))
    request = video_request(tree, "a/clip.mp4", VideoSpec(frame_count=4))
    tree.ask(request)
    assert run_here(tree) is ExitCode.SUCCEEDED
    lines = read_detections(tree.attempt_folder(request) / "detections.jsonl.gz")
    assert [line.detections[0].class_id for line in lines] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "key",
    ["a b/c+d%20e.mp4", "файл/動画 🎬.mp4", "/".join(["x" * 200] * 4) + "/long.mp4"],
    ids=["signs", "unicode", "long"],
)
def test_any_storable_key_is_answered(tree: Tree, key: str) -> None:
    request = video_request(tree, key)
    tree.ask(request)
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert tree.attempt(request).source.key == key


def test_a_missing_video_is_rejected_where_no_other_instance_can_have_it(tree: Tree) -> None:
    request = any_request(key="gone.mp4")
    tree.ask(request)
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert tree.attempt(request).code == RejectionCode.SOURCE_MISSING


def test_an_instance_answers_only_for_the_videos_it_has(tree: Tree) -> None:
    tree.configure(hosts=["algo-1", "algo-2"])
    here, elsewhere = video_request(tree, "here.mp4"), any_request(key="elsewhere.mp4")
    tree.ask(here, elsewhere)
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert [attempt.source.key for attempt in tree.attempts()] == ["here.mp4"]


def test_another_version_of_the_object_is_not_taken_for_it(tree: Tree) -> None:
    request = video_request(tree, "clip.mp4")
    with (tree.videos / "clip.mp4").open("ab") as file:
        file.write(b"more")
    tree.ask(request)
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert tree.attempt(request).code == RejectionCode.SOURCE_REPLACED


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("the engine broke"), OSError(28, "full")]
)
def test_what_befalls_one_video_does_not_reach_the_others(tree: Tree, error: Exception) -> None:
    class Failing(NumberModel):
        def predict(self, batch: FrameBatch) -> list[Prediction]:
            if batch.placement.source_size == (48, 48):
                raise error
            return super().predict(batch)

    names = ("a.mp4", "b.mp4", "c.mp4")
    sizes = ((96, 64), (48, 48), (96, 64))
    requests = [
        video_request(tree, name, VideoSpec(frame_count=3, size=size))
        for name, size in zip(names, sizes, strict=True)
    ]
    tree.ask(*requests)
    assert run_here(tree, model=Failing()) is ExitCode.RETRYABLE
    assert [attempt.source.key for attempt in tree.attempts()] == ["a.mp4", "c.mp4"]
    folder = tree.attempt_folder(requests[1])
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert tree.message.startswith("1 of 3 videos could not be processed")
    assert "b.mp4" in tree.message
    # What turns a failed job into "out of memory" is this word in its message.
    assert ("memory" in tree.message) == isinstance(error, MemoryError)


def test_a_models_fault_alone_has_a_code_of_its_own(tree: Tree) -> None:
    class Failing(NumberModel):
        def predict(self, batch: FrameBatch) -> list[Prediction]:
            raise BundleError("output 'boxes' has shape [3]")

    tree.ask(video_request(tree, "clip.mp4"))
    assert run_here(tree, model=Failing()) is ExitCode.MODEL_FAULT
    assert "another attempt would do no better" in tree.message
    assert "output 'boxes' has shape [3]" in tree.message


@pytest.mark.parametrize(
    "prefix",
    [
        "../outside/",
        "results/../../../outside/",
        "/outside/",
        "results//x/",
        "./",
        "results/a/link/x/",
        "other/x/",
    ],
)
def test_no_output_prefix_leads_out_of_the_results(tree: Tree, prefix: str) -> None:
    outside = tree.root / "elsewhere"
    outside.mkdir()
    (tree.results / "a").mkdir(parents=True)
    (tree.results / "a/link").symlink_to(outside)
    request = video_request(tree, "clip.mp4")
    before = {path for path in tree.root.rglob("*") if path.is_file()}
    tree.ask(
        dataclasses.replace(request, output=dataclasses.replace(request.output, prefix=prefix))
    )
    assert run_here(tree) is ExitCode.RETRYABLE
    after = {path for path in tree.root.rglob("*") if path.is_file()} - before
    assert {path.relative_to(tree.root).as_posix() for path in after} == {
        "output/message",
        "processing/input/requests/requests.json",
    }


def test_no_source_key_reads_a_file_outside_the_inputs(tree: Tree) -> None:
    make_video(tree.root / "secret.mp4")
    tree.videos.mkdir(parents=True)
    request = any_request(tree.root / "secret.mp4", key="../../../secret.mp4")
    inside = dataclasses.replace(request.output, prefix="results/x/")
    tree.ask(dataclasses.replace(request, output=inside))
    assert run_here(tree) is ExitCode.SUCCEEDED
    assert tree.attempts()[0].code == RejectionCode.SOURCE_MISSING


def test_without_requests_every_video_of_the_formats_is_processed(tree: Tree) -> None:
    tree.configure(videos="s3://uploads/cameras/")
    for name in ("one.MP4", "two.mkv", "sub/three.mov", "notes.txt", "four.webm"):
        path = tree.videos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make_video(path.with_suffix(".mp4"), VideoSpec(frame_count=20)).rename(path)
    ended = tree.run("--video-formats", ".mp4,MKV,mov", "--frame-time-interval", "500")
    assert (ended.code, ended.stderr) == (ExitCode.SUCCEEDED, "")
    attempts = tree.attempts()
    names = ["one.MP4", "sub/three.mov", "two.mkv"]
    assert [attempt.source.key for attempt in attempts] == [f"cameras/{name}" for name in names]
    for attempt, name in zip(attempts, names, strict=True):
        content = (tree.videos / name).read_bytes()
        assert attempt.source.bucket == "uploads"
        assert attempt.source.etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert (attempt.model, str(attempt.selection)) == (PEOPLE, "every_seconds=0.5")
        assert attempt.counts.frames_processed == 4


def test_every_kind_of_bad_video_is_answered_beside_good_ones(tree: Tree) -> None:
    requests = [video_request(tree, "good.mp4")]
    for name, (make, _) in BAD_VIDEOS.items():
        folder = tree.root / "made" / name
        folder.mkdir(parents=True)
        make(folder / f"{name}.mp4")
        requests.append(any_request(tree.add_video(folder / f"{name}.mp4"), key=f"{name}.mp4"))
    requests.append(video_request(tree, "last.mp4"))
    for position, request in enumerate(requests):
        requests[position] = any_request(
            tree.videos / request.source.key, key=request.source.key, model=PEOPLE
        )
    tree.ask(*requests)
    ended = tree.run()
    assert (ended.code, ended.stderr) == (ExitCode.SUCCEEDED, "")
    for request in requests:
        expected = BAD_VIDEOS.get(request.source.key.removesuffix(".mp4"))
        attempt = tree.attempt(request)
        assert attempt.code == (expected[1] if expected else None), request.source.key
    ends = [line for line in ended.lines if line["message"] == "attempt ended"]
    assert [line["job_id"] for line in ends] == [request.job_id for request in requests]


def test_odd_and_tiny_pictures_are_processed_by_a_real_model(tree: Tree) -> None:
    lossless = VideoSpec(codec="ffv1", options={})
    requests = []
    for size in ((1, 1), (97, 65), (41, 9)):
        path = tree.videos / f"{size[0]}x{size[1]}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        make_video(path, lossless, drawn=[np.full((size[1], size[0], 3), 200, np.uint8)] * 2)
        requests.append(any_request(path, model=PEOPLE))
    tree.ask(*requests)
    ended = tree.run()
    assert ended.code == ExitCode.SUCCEEDED, ended.lines
    assert {attempt.outcome for attempt in tree.attempts()} == {Outcome.SUCCEEDED}


def test_a_wrong_model_is_named_and_not_tried_again(tree: Tree) -> None:
    request = video_request(tree, "clip.mp4")
    missing = Model(f"bundle:{'0' * 64}", "0" * 64)
    tree.ask(any_request(tree.videos / "clip.mp4", model=missing))
    assert request.source.key == "clip.mp4"
    assert tree.run().code == ExitCode.MODEL_FAULT
    assert "model.tar.gz" in tree.message


@pytest.mark.parametrize(
    "argv",
    [
        ["--nonsense"],
        ["--image-width", "640"],
        ["--decode-workers", "0"],
        ["--model-threads", "many"],
        ["--image-width", "0", "--image-height", "3"],
        ["--frame-time-interval", "0"],
        ["--frame-time-interval", "-5"],
        ["--frame-time-interval", "0.0000001"],
        ["--frame-time-interval", "soon"],
        ["--video-formats", "mp4,,mkv"],
        ["--model", "builtin:unicorns"],
    ],
)
def test_a_wrong_argument_is_a_fault_of_use_with_a_message(
    tree: Tree, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv, {"ML_ROOT": str(tree.root)}) is ExitCode.USAGE
    assert tree.message.startswith("The job cannot run so: ")
    assert argv[0] in tree.message
    assert '"level": "ERROR"' in capsys.readouterr().out


def test_broken_requests_are_a_fault_of_use(tree: Tree) -> None:
    tree.ask()
    (tree.root / "processing/input/requests/requests.json").write_text("{}")
    assert tree.run().code == ExitCode.USAGE
    assert "requests.json" in tree.message


def test_an_image_size_against_the_models_own_is_a_fault_of_use(tree: Tree) -> None:
    tree.ask(video_request(tree, "clip.mp4"))
    model = NumberModel(ModelInput((32, 32)))
    with pytest.raises(UsageError, match="32×32"):
        run_here(tree, "--image-width", "64", "--image-height", "64", model=model)


def test_the_interval_is_exact() -> None:
    for text, expected in (("1000", "1"), ("40", "0.04"), ("33.3", "0.0333"), ("1", "0.001")):
        arguments = parse_arguments(["--frame-time-interval", text])
        assert str(arguments.selection) == f"every_seconds={expected}"


@pytest.mark.parametrize(
    "text", ["x" + "é" * 1000, "漢" * 1000, "xx" + "🎬" * 300, "a\ud800b", "short"]
)
def test_the_exit_message_is_short_and_whole(tree: Tree, text: str) -> None:
    MlTree(tree.root).write_message(text)
    content = (tree.root / "output/message").read_bytes()
    assert len(content) <= 1024
    assert content.decode()
    assert len(content) == len(text.encode("utf-8", "replace")) or len(content) > 1020


def test_the_process_that_watches_loads_no_decoder_engine_or_network_library() -> None:
    probe = (
        "import sys, containers.processing.run; heavy = {'onnxruntime', 'cv2', 'boto3', 'av', "
        "'numpy', 'pycocotools', 'asyncio'}; print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.check_output([sys.executable, "-c", probe], text=True)
    assert printed.strip() == "[]"
