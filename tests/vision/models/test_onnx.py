from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.models import bundle_model
from tests.vision.models.graphs import (
    CANVAS,
    a_batch,
    a_bundle,
    a_spec,
    an_input,
    as_half_precision,
    channel_mean_graph,
    constant_graph,
    grey,
    plain_outputs,
    with_quantised_input,
)
from vision.frames import Pixels, letterbox, stretch
from vision.masks import decode_mask
from vision.models.base import Task
from vision.models.bundle import BundleError, pack_bundle
from vision.models.load import load_bundle, load_model
from vision.models.onnx import input_tensor
from vision.models.spec import BoxOrder, BoxUnits, BundleSpec, ColorOrder, DecoderSpec, Layout

CAR = plain_outputs([[2, 1, 6, 5]], [1], [0.9])


def red_green_blue(count: int = 1) -> Pixels:
    pixels = np.empty((count, CANVAS[1], CANVAS[0], 3), np.uint8)
    pixels[:] = [51, 102, 204]
    return pixels


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize(
    ("order", "scores"),
    [(ColorOrder.RGB, (0.2, 0.4, 0.8)), (ColorOrder.BGR, (0.8, 0.4, 0.2))],
)
def test_the_graph_gets_the_channels_in_the_order_it_asks_for(
    tmp_path: Path, order: ColorOrder, scores: tuple[float, ...], layout: Layout
) -> None:
    for channel, expected in enumerate(scores):
        spec = a_spec(DecoderSpec("boxes_labels_scores", 0.0), color_order=order, layout=layout,
                      scale=1 / 255)  # fmt: skip
        graph = channel_mean_graph(channel, layout=layout)
        model = load_bundle(a_bundle(tmp_path, graph, spec))
        ((detection,),) = (p.detections for p in model.predict(a_batch(red_green_blue())))
        assert detection.score == pytest.approx(expected, abs=1e-5)


def test_mean_and_std_follow_the_colour_order() -> None:
    spec = an_input(
        color_order=ColorOrder.BGR, scale=1 / 255, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.4)
    )
    tensor = input_tensor(red_green_blue(), spec)
    assert tensor.shape == (1, 3, CANVAS[1], CANVAS[0])
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    expected = [(0.8 - 0.5) / 0.1, (0.4 - 0.4) / 0.2, (0.2 - 0.3) / 0.4]
    assert tensor[0, :, 0, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_the_tensor_has_the_type_the_graph_wants(dtype: str) -> None:
    tensor = input_tensor(red_green_blue(), an_input(dtype=dtype))
    assert tensor.dtype == dtype
    assert tensor[0, :, 0, 0].tolist() == [51, 102, 204]


@pytest.mark.parametrize(("batch", "max_batch"), [("N", 4), (1, 1), (3, 3)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_frame_of_a_batch_gets_its_own_answer(
    tmp_path: Path, batch: int | str, max_batch: int, count: int
) -> None:
    spec = a_spec(DecoderSpec("boxes_labels_scores", 0.0), scale=1 / 255)
    model = load_bundle(a_bundle(tmp_path, channel_mean_graph(0, batch=batch), spec))
    assert model.input.max_batch == max_batch
    pixels = red_green_blue(min(count, max_batch))
    for i, picture in enumerate(pixels):
        picture[..., 0] = 60 + 30 * i
    predictions = model.predict(a_batch(pixels))
    found = [prediction.detections[0].score for prediction in predictions]
    assert found == pytest.approx([(60 + 30 * i) / 255 for i in range(len(pixels))], abs=1e-5)


def test_a_graph_without_a_batch_axis_takes_one_frame_at_a_time(tmp_path: Path) -> None:
    graph = constant_graph(CAR, input_shape=(3, "height", "width"))
    model = load_bundle(a_bundle(tmp_path, graph, a_spec()))
    assert model.input.max_batch == 1
    ((detection,),) = (p.detections for p in model.predict(grey()))
    assert (detection.class_id, detection.class_name) == (1, "car")
    assert detection.box == (2, 1, 6, 5)


def test_boxes_come_in_source_pixels_of_a_stretched_picture(tmp_path: Path) -> None:
    model = load_bundle(a_bundle(tmp_path, constant_graph(CAR), a_spec()))
    (prediction,) = model.predict(grey(placement=stretch((80, 30), CANVAS)))
    assert prediction.detections[0].box == (20, 5, 60, 25)


def test_boxes_come_in_source_pixels_of_a_letterboxed_picture(tmp_path: Path) -> None:
    placement = letterbox((80, 20), CANVAS)
    assert placement.inner == (0, 2, 8, 2)
    outputs = plain_outputs([[2, 1, 6, 3], [1, 0, 5, 1.5]], [1, 2], [0.9, 0.8])
    model = load_bundle(a_bundle(tmp_path, constant_graph(outputs), a_spec()))
    (prediction,) = model.predict(grey(placement=placement))
    # The second box lies in the padding alone.
    assert [found.box for found in prediction.detections] == [(20, 0, 60, 10)]


@given(
    source=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    canvas=st.tuples(st.integers(32, 1300), st.integers(32, 1300)),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
    boxed=st.booleans(),
)
def test_a_source_box_laid_on_the_canvas_comes_back(
    source: tuple[int, int],
    canvas: tuple[int, int],
    corners: tuple[float, float, float, float],
    boxed: bool,
) -> None:
    placement = (letterbox if boxed else stretch)(source, canvas)
    x, y, width, height = placement.inner
    a, b, c, d = corners
    box = (min(a, c), min(b, d), max(a, c), max(b, d))
    on_canvas = (x + box[0] * width, y + box[1] * height, x + box[2] * width, y + box[3] * height)
    expected = [box[0] * source[0], box[1] * source[1], box[2] * source[0], box[3] * source[1]]
    assert placement.to_source(on_canvas) == pytest.approx(expected, abs=1e-6 * max(source))
    assert 0 <= x <= canvas[0] - width
    assert 0 <= y <= canvas[1] - height


@pytest.mark.parametrize(
    ("units", "order", "box"),
    [
        (BoxUnits.FRACTIONS, BoxOrder.XYXY, [0.25, 1 / 6, 0.75, 5 / 6]),
        (BoxUnits.FRACTIONS, BoxOrder.YXYX, [1 / 6, 0.25, 5 / 6, 0.75]),
        (BoxUnits.PIXELS, BoxOrder.YXYX, [1, 2, 5, 6]),
    ],
)
def test_boxes_may_come_as_fractions_and_y_first(
    tmp_path: Path, units: BoxUnits, order: BoxOrder, box: list[float]
) -> None:
    decoder = DecoderSpec("boxes_labels_scores", 0.25, box_units=units, box_order=order)
    graph = constant_graph(plain_outputs([box], [1], [0.9]))
    (prediction,) = load_bundle(a_bundle(tmp_path, graph, a_spec(decoder))).predict(grey())
    assert prediction.detections[0].box == pytest.approx((2, 1, 6, 5), abs=1e-5)


def test_masks_of_the_head_are_pasted_into_the_source_frame(tmp_path: Path) -> None:
    masks = np.zeros((1, 1, 28, 28), np.float32)
    masks[..., :14] = 1.0
    graph = constant_graph({**CAR, "masks": masks})
    spec = a_spec(DecoderSpec("torchvision", 0.5), task=Task.INSTANCE_SEGMENTATION)
    model = load_bundle(a_bundle(tmp_path, graph, spec))
    (prediction,) = model.predict(grey(placement=stretch((80, 60), CANVAS)))
    found = prediction.detections[0].mask
    assert found is not None
    bitmap = decode_mask(found)
    assert bitmap.shape == (60, 80)
    assert bitmap[30, 21:39].all()
    assert not bitmap[:, 42:].any()
    assert not bitmap[:, :18].any()
    assert not bitmap[:8].any()


def test_masks_of_the_canvas_come_at_source_size(tmp_path: Path) -> None:
    masks = np.zeros((1, 1, CANVAS[1], CANVAS[0]), np.float32)
    masks[0, 0, 2:4, 0:4] = 1.0
    graph = constant_graph({**CAR, "masks": masks})
    spec = a_spec(DecoderSpec("torchvision", 0.5), task=Task.INSTANCE_SEGMENTATION)
    model = load_bundle(a_bundle(tmp_path, graph, spec))
    (prediction,) = model.predict(grey(placement=letterbox((80, 20), CANVAS)))
    found = prediction.detections[0].mask
    assert found is not None
    bitmap = decode_mask(found)
    assert bitmap[:, :40].all()
    assert not bitmap[:, 40:].any()


@pytest.mark.parametrize("count", [1, 2])
def test_a_half_precision_graph_is_fed_and_read(tmp_path: Path, count: int) -> None:
    spec = a_spec(DecoderSpec("boxes_labels_scores", 0.0), scale=1 / 255, dtype="float16")
    graph = as_half_precision(channel_mean_graph(2))
    model = load_bundle(a_bundle(tmp_path, graph, spec))
    predictions = model.predict(a_batch(red_green_blue(count)))
    assert [p.detections[0].score for p in predictions] == [pytest.approx(0.8, abs=2e-3)] * count
    assert predictions[0].detections[0].box == (1, 2, 5, 4)


def test_a_quantised_graph_is_fed_and_read(tmp_path: Path) -> None:
    spec = a_spec(DecoderSpec("boxes_labels_scores", 0.0), scale=1 / 255)
    graph = with_quantised_input(channel_mean_graph(1), scale=1 / 255)
    (prediction,) = load_bundle(a_bundle(tmp_path, graph, spec)).predict(a_batch(red_green_blue()))
    assert prediction.detections[0].score == pytest.approx(0.4, abs=1e-5)


def test_a_batch_size_that_the_graph_only_promises_is_not_used(tmp_path: Path) -> None:
    outputs = {name: value[None] for name, value in CAR.items()}
    shapes: dict[str, tuple[int | str, ...]] = {
        "boxes": ("N", 1, 4), "labels": ("N", 1), "scores": ("N", 1)
    }  # fmt: skip
    graph = constant_graph(outputs, ("N", 3, CANVAS[1], CANVAS[0]), declared=shapes)
    model = load_bundle(a_bundle(tmp_path, graph, a_spec()))
    assert model.input.max_batch == 1
    assert len(model.predict(grey())[0].detections) == 1


def test_what_runs_the_model_is_told(tmp_path: Path) -> None:
    path = a_bundle(tmp_path, constant_graph(CAR), a_spec())
    engine = load_bundle(path, threads=1).engine
    assert (engine.name, engine.version) == ("onnxruntime", ort.__version__)
    assert (engine.provider, engine.threads) == ("cpu", 1)
    assert load_bundle(path).engine.threads is None


def test_threads_are_given_to_the_engine_and_do_not_spin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_bundle(tmp_path, constant_graph(CAR), a_spec())
    made: list[ort.SessionOptions] = []
    session = ort.InferenceSession

    def kept(graph: bytes, options: ort.SessionOptions, **others: Any) -> Any:
        made.append(options)
        return session(graph, options, **others)

    monkeypatch.setattr(ort, "InferenceSession", kept)
    load_bundle(path, threads=1)
    load_bundle(path)
    assert [options.intra_op_num_threads for options in made] == [1, 0]
    for options in made:
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("installed", "wanted"),
    [
        (["CPUExecutionProvider"], ["CPU"]),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
         ["CUDA", "CPU"]),
        (["AzureExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"],
         ["OpenVINO", "CPU"]),
    ],
)  # fmt: skip
def test_providers_are_chosen_from_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: list[str], wanted: list[str]
) -> None:
    asked: list[list[tuple[str, dict[str, str]]]] = []
    session = ort.InferenceSession

    def kept(graph: bytes, options: ort.SessionOptions, *, providers: Any) -> Any:
        asked.append(providers)
        return session(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "InferenceSession", kept)
    monkeypatch.setattr(ort, "get_available_providers", lambda: installed)
    model = load_bundle(a_bundle(tmp_path, constant_graph(CAR), a_spec()), threads=3)
    assert [name.removesuffix("ExecutionProvider") for name, _ in asked[0]] == wanted
    # What was asked for may not work here: told is what computes.
    assert model.engine.provider == "cpu"
    settings = dict(asked[0]).get("OpenVINOExecutionProvider")
    assert settings in (None, {"device_type": "CPU", "precision": "FP32", "num_of_threads": "3"})


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([np.nan, np.nan], "none of the frame's 2 scores is a finite number: does the graph over"),
        ([0.5, 7.25], r"gives a score of 7\.25; scores are 0 to 1: are these raw logits"),
    ],
)
def test_scores_that_cannot_be_are_refused_at_load(
    tmp_path: Path, scores: list[float], sentence: str
) -> None:
    graph = constant_graph(plain_outputs([[2, 1, 6, 5]] * 2, [1, 1], scores))
    with pytest.raises(BundleError, match=sentence):
        load_bundle(a_bundle(tmp_path, graph, a_spec()))


def test_one_score_that_is_no_number_costs_its_box_alone(tmp_path: Path) -> None:
    graph = constant_graph(plain_outputs([[2, 1, 6, 5]] * 2, [1, 2], [np.nan, 0.5]))
    (prediction,) = load_bundle(a_bundle(tmp_path, graph, a_spec())).predict(grey())
    assert [found.class_name for found in prediction.detections] == ["person"]


def test_shapes_that_only_the_run_shows_are_refused_at_load(tmp_path: Path) -> None:
    graph = constant_graph(
        {"output0": np.zeros((1, 84, 9), np.float32)}, declared={"output0": (1, "a", "b")}
    )
    spec = a_spec(DecoderSpec("yolov8", 0.5, 0.45), labels=("car", "person"))
    with pytest.raises(
        BundleError, match=r"80 classes, .* 2 labels.*\[84, 9\] read as \(4 \+ classes, boxes\)"
    ):
        load_bundle(a_bundle(tmp_path, graph, spec))


def test_an_output_that_is_no_tensor_of_numbers_is_refused(tmp_path: Path) -> None:
    graph = constant_graph({**CAR, "labels": np.array([True])})
    with pytest.raises(BundleError, match=r"output 'labels' is tensor\(bool\), not a tensor of n"):
        load_bundle(a_bundle(tmp_path, graph, a_spec()))


def test_boxes_that_do_not_go_with_their_scores_are_refused_at_load(tmp_path: Path) -> None:
    graph = constant_graph(plain_outputs([[2, 1, 6, 5]], [1, 1], [0.5, 0.5]))
    with pytest.raises(BundleError, match=r"must have shapes \(N, 4\), \(N,\), \(N,\)"):
        load_bundle(a_bundle(tmp_path, graph, a_spec()))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (a_spec(DecoderSpec("yolo", 0.5)), "unknown decoder 'yolo'; known are boxes_labels_scores"),
        (a_spec(width=9), "model.json says nchw 9×6: expected"),
        (a_spec(layout=Layout.NHWC), "expected \\[N, 6, 8, 3\\]"),
        (a_spec(dtype="uint8"), "is tensor\\(float\\), but model.json says uint8"),
        (
            a_spec(DecoderSpec("fastestdet", 0.5, 0.45)),
            "no output 'output' for 'output'; it has boxes",
        ),
        (
            a_spec(DecoderSpec("torchvision", 0.5, outputs={"boxes": "b"})),
            "no output 'b' for 'boxes'",
        ),
        (
            a_spec(DecoderSpec("torchvision", 0.5, outputs={"box": "boxes"})),
            "reads boxes, labels, scores; model.json maps 'box'",
        ),
        (
            a_spec(DecoderSpec("yolov8", 0.5, outputs={"output0": "boxes"})),
            r"reads many boxes of one object: give decoder\.iou, such as 0\.45",
        ),
        (
            a_spec(
                DecoderSpec("class_ids", 0.5),
                task=Task.SEMANTIC_SEGMENTATION,
                labels=tuple(map(str, range(257))),
            ),
            "a class map has 256 classes at most, got 257",
        ),
        (
            a_spec(DecoderSpec("yolo_end_to_end", 0.5, outputs={"output0": "boxes"})),
            r"'boxes' has shape \[1, 4\]; decoder 'yolo_end_to_end' needs 2 axes \(boxes, 6\)",
        ),
        (
            a_spec(DecoderSpec("fastestdet", 0.5), task=Task.INSTANCE_SEGMENTATION),
            "serves detection, not instance_segmentation",
        ),
        (
            a_spec(DecoderSpec("fastestdet", 0.5, 0.45, outputs={"output": "labels"})),
            "needs 3 axes \\(5 \\+ classes, h, w\\), or 4",
        ),
    ],
)
def test_a_model_json_that_does_not_fit_the_graph_is_refused(
    tmp_path: Path, spec: BundleSpec, sentence: str
) -> None:
    with pytest.raises(BundleError, match=sentence):
        load_bundle(a_bundle(tmp_path, constant_graph(CAR), spec))


def test_labels_are_counted_against_the_graph(tmp_path: Path) -> None:
    graph = constant_graph({"output": np.zeros((1, 85, 2, 2), np.float32)})
    spec = a_spec(DecoderSpec("fastestdet", 0.5, 0.45), labels=("car", "person"))
    with pytest.raises(
        BundleError, match=r"knows 80 classes, but model\.json names 2 labels.*\[85, 2, 2\] read as"
    ):
        load_bundle(a_bundle(tmp_path, graph, spec))


def test_a_class_without_a_label_is_an_error(tmp_path: Path) -> None:
    graph = constant_graph(plain_outputs([[2, 1, 6, 5]], [3], [0.9]))
    with pytest.raises(BundleError, match=r"class 3, but model\.json names 3 labels, 0 to 2"):
        load_bundle(a_bundle(tmp_path, graph, a_spec()))


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    graph = constant_graph(CAR)
    path = a_bundle(tmp_path, graph, a_spec())
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    pack_bundle(tmp_path / "graph.onnx", a_spec(), path)
    with pytest.raises(BundleError, match=r"cannot load model\.onnx"):
        load_bundle(path)


def test_a_bundle_other_than_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    path = a_bundle(tmp_path, constant_graph(CAR), a_spec())
    identity = load_bundle(path).identity
    assert load_model(identity, bundle=path).identity == identity
    with pytest.raises(BundleError, match=f"has SHA-256 {identity.digest}, but {'0' * 64}"):
        load_model(bundle_model("0" * 64), bundle=path)
    with pytest.raises(BundleError, match=r"give the model\.tar\.gz"):
        load_model(identity)
