"""Making bundles and trying them, as somebody does who has an ONNX file and nothing else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cli.errors import Exit
from contracts.documents import from_json, to_json
from tests.cli.commands import Commands
from tests.vision.models.graphs import a_spec, constant_graph, plain_outputs
from tests.vision.videos import make_video
from vision.models.bundle import read_bundle
from vision.models.spec import BundleSpec

CAR = plain_outputs([[2, 1, 6, 5]], [1], [0.9])
SIDES = (1, 3, 64, 96)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph that finds the same car in every picture."""
    onnx.save(constant_graph(CAR), tmp_path / "cars.onnx")
    return tmp_path / "cars.onnx"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "cars.json").write_text(to_json(a_spec()))
    return tmp_path / "cars.json"


def zeros(**shapes: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def test_a_graph_and_its_spec_become_a_bundle_that_runs(
    commands: Commands, graph: Path, spec: Path, tmp_path: Path
) -> None:
    bundle, picture = tmp_path / "cars.tar.gz", tmp_path / "seen.png"
    packed = commands("model", "pack", graph, "--spec", spec, "-o", bundle, "--json")
    assert packed.exit_code == 0
    assert read_bundle(bundle).spec == a_spec()

    checked = commands("model", "check", bundle, "--picture", picture, "--json").json

    assert checked["model"] == packed.json["model"]
    assert checked["engine"]["name"] == "onnxruntime"
    assert checked["outputs"][0] == "boxes tensor(float) [1, 4]"
    assert (checked["frames"], checked["detections"]) == (1, 1)
    assert checked["frame_ms"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_bundle_is_tried_on_a_video(
    commands: Commands, graph: Path, spec: Path, tmp_path: Path
) -> None:
    bundle, video = tmp_path / "cars.tar.gz", make_video(tmp_path / "numbers.mp4")
    commands("model", "pack", graph, "--spec", spec, "-o", bundle)

    done = commands("model", "check", bundle, video, "--picture", tmp_path / "seen.png")

    assert done.exit_code == 0
    assert "labels   3: background, car, person" in done.output
    assert "3 objects in 3 frames" in done.output


def test_a_graph_that_does_not_fit_its_spec_leaves_no_bundle(
    commands: Commands, graph: Path, tmp_path: Path
) -> None:
    spec, bundle = tmp_path / "wrong.json", tmp_path / "cars.tar.gz"
    spec.write_text(to_json(a_spec(width=9)))

    done = commands("model", "pack", graph, "--spec", spec, "-o", bundle)

    assert done.exit_code == Exit.USAGE
    assert "model.json says nchw 9×6" in done.errors
    assert not bundle.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"cars.onnx", "wrong.json"}


def test_a_spec_with_a_wrong_field_is_named(
    commands: Commands, graph: Path, tmp_path: Path
) -> None:
    spec = tmp_path / "wrong.json"
    spec.write_text(to_json(a_spec()).replace('"score"', '"scores"'))

    done = commands("model", "pack", graph, "--spec", spec, "-o", tmp_path / "cars.tar.gz")

    assert done.exit_code == Exit.USAGE
    assert "decoder.score: missing" in done.errors


@pytest.mark.parametrize("taken", ["cars.json", "model.zip"])
def test_only_a_new_bundle_is_written(
    commands: Commands, graph: Path, spec: Path, tmp_path: Path, taken: str
) -> None:
    done = commands("model", "pack", graph, "--spec", spec, "-o", tmp_path / taken)
    assert done.exit_code == Exit.USAGE
    assert "Let it end in .tar.gz or .tgz" in done.errors
    bundle = tmp_path / "cars.tar.gz"
    bundle.write_text("kept")
    assert commands("model", "pack", graph, "--spec", spec, "-o", bundle).exit_code == Exit.USAGE
    assert bundle.read_text() == "kept"


@pytest.mark.parametrize(
    ("outputs", "task", "decoder", "label_count"),
    [
        (CAR, "detection", "torchvision", 1),
        (zeros(output0=(1, 84, 8400)), "detection", "yolov8", 80),
        (zeros(output0=(1, 25200, 85)), "detection", "yolov5", 80),
        (zeros(output0=(1, 300, 6)), "detection", "yolo_end_to_end", 1),
        (
            zeros(output0=(1, 116, 8400), output1=(1, 32, 160, 160)),
            "instance_segmentation", "yolov8", 80,
        ),
        (zeros(logits=(1, 300, 80), pred_boxes=(1, 300, 4)), "detection", "rt_detr", 80),
        (zeros(out=(1, 19, 16, 24)), "semantic_segmentation", "class_logits", 19),
    ],
)  # fmt: skip
def test_a_first_spec_is_guessed_from_the_graph(
    commands: Commands,
    tmp_path: Path,
    outputs: dict[str, NDArray[Any]],
    task: str,
    decoder: str,
    label_count: int,
) -> None:
    onnx.save(constant_graph(outputs, SIDES), tmp_path / "graph.onnx")

    done = commands("model", "init", tmp_path / "graph.onnx", "-o", tmp_path / "first.json")

    assert done.exit_code == 0
    guessed = from_json(BundleSpec, (tmp_path / "first.json").read_bytes())
    assert (guessed.task, guessed.decoder.name) == (task, decoder)
    assert (guessed.input.width, guessed.input.height) == (96, 64)
    assert len(guessed.labels) == label_count


def test_labels_and_size_that_an_exporter_noted_are_used(
    commands: Commands, tmp_path: Path
) -> None:
    graph = constant_graph(
        zeros(output0=(1, 6, 9)),
        ("N", 3, "height", "width"),
        declared={"output0": ("N", "values", "boxes")},
    )
    notes = {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[320, 480]"}
    onnx.helper.set_model_props(graph, notes)
    onnx.save(graph, tmp_path / "graph.onnx")

    commands("model", "init", tmp_path / "graph.onnx", "-o", tmp_path / "first.json")

    guessed = from_json(BundleSpec, (tmp_path / "first.json").read_bytes())
    assert guessed.labels == ("cat", "dog")
    assert (guessed.input.width, guessed.input.height) == (480, 320)
    assert guessed.decoder.name == "yolov8"


@pytest.mark.parametrize("content", [b"no graph", None])
def test_what_no_spec_can_be_guessed_for_is_told(
    commands: Commands, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "graph.onnx"
    if content is None:
        onnx.save(constant_graph(zeros(a=(1,), b=(2,))), path)
    else:
        path.write_bytes(content)
    done = commands("model", "init", path, "-o", tmp_path / "first.json")
    assert done.exit_code == Exit.USAGE
    assert "docs/models.md" in done.errors
    assert not (tmp_path / "first.json").exists()


def test_a_spec_in_place_is_kept(commands: Commands, graph: Path, spec: Path) -> None:
    before = spec.read_text()
    assert commands("model", "init", graph, "-o", spec).exit_code == Exit.USAGE
    assert spec.read_text() == before
    assert json.loads(before)["name"] == "tiny"
