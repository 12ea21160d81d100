"""
Detectors of any cost: a stack of convolutions that finds one box in every frame.

They take uint8 RGB as it comes from the decoder, so that what is measured is the graph.
"""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks import ours
from benchmarks.inputs import CACHE
from benchmarks.measure import Answer, Stopwatch, in_worker
from contracts.results import FrameRecord
from vision.frames import FrameBatch, stretch
from vision.models.base import ResizeMode, Task, VisionModel
from vision.models.bundle import pack_bundle
from vision.models.spec import BundleSpec, ColorOrder, DecoderSpec, InputSpec, InputType, Layout

_STRIDE = 8
_CHANNELS = 48
_PROBED_LAYERS = (2, 10)
_PROBED_FRAMES = 16


def bundle_of_cost(side: int, batch: int, frame_s: float, cores: int) -> Path:
    """A bundle whose inference takes about so many seconds a frame on so many cores."""
    few, many = _PROBED_LAYERS
    least_s, most_s = (_frame_s(side, batch, layers, cores) for layers in _PROBED_LAYERS)
    slope = max((most_s - least_s) / (many - few), 1e-6)
    return make_bundle(side, batch, max(1, round(few + (frame_s - least_s) / slope)))


@cache
def _frame_s(side: int, batch: int, layers: int, cores: int) -> float:
    bundle = make_bundle(side, batch, layers)
    answer = in_worker(inference, cores, bundle=str(bundle), frames=_PROBED_FRAMES)
    return float(answer["wall_s"] / answer["frames"])


def make_bundle(side: int, batch: int, layers: int) -> Path:
    """A bundle for square canvases, with a fixed batch size."""
    path = CACHE / f"convolutions-{side}-b{batch}-l{layers}-c{_CHANNELS}.tar.gz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        graph = path.with_suffix(".onnx")
        onnx.save(_graph(side, batch, layers), str(graph))
        pack_bundle(graph, _spec(side), path)
        graph.unlink()
    return path


def inference(bundle: str, frames: int) -> Answer:
    """In a worker: a loaded model on frames that are in memory."""
    model = ours.load(Path(bundle))
    given = _batch(model)
    calls = -(-frames // model.input.max_batch)
    model.predict(given)
    watch = Stopwatch()
    with watch.running():
        for _ in range(calls):
            model.predict(given)
    return watch.answer(frames=calls * model.input.max_batch)


def _batch(model: VisionModel) -> FrameBatch:
    assert model.input.size is not None
    width, height = model.input.size
    count = model.input.max_batch
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (count, height, width, 3), np.uint8)
    record = FrameRecord(
        frame_index=0,
        pts=0,
        time_base=Fraction(1, 30),
        time_s=0.0,
        is_key_frame=True,
        width=width,
        height=height,
    )
    placement = stretch((width, height), (width, height))
    return FrameBatch(pixels, (record,) * count, placement)


def _spec(side: int) -> BundleSpec:
    return BundleSpec(
        name=f"convolutions-{side}",
        task=Task.DETECTION,
        input=InputSpec(
            width=side,
            height=side,
            resize=ResizeMode.STRETCH,
            color_order=ColorOrder.RGB,
            scale=1.0,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            layout=Layout.NHWC,
            dtype=InputType.UINT8,
        ),
        decoder=DecoderSpec(
            name="boxes_labels_scores",
            score=0.0,
            outputs={"boxes": "boxes_out", "labels": "labels_out", "scores": "scores"},
        ),
        labels=("thing",),
    )


def _graph(side: int, batch: int, layers: int) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "Conv",
            ["planes", "stem"],
            ["layer0"],
            strides=[_STRIDE] * 2,
            kernel_shape=[_STRIDE] * 2,
        ),
    ]
    stem = random.normal(0, 0.002, (_CHANNELS, 3, _STRIDE, _STRIDE))
    weights = {"stem": stem.astype(np.float32)}
    for layer in range(layers):
        name = f"weights{layer}"
        # Variance kept from layer to layer (He et al. 2015, https://arxiv.org/abs/1502.01852).
        spread = np.sqrt(2 / (9 * _CHANNELS))
        shape = (_CHANNELS, _CHANNELS, 3, 3)
        weights[name] = random.normal(0, spread, shape).astype(np.float32)
        nodes += [
            helper.make_node("Conv", [f"layer{layer}", name], [f"sum{layer}"], pads=[1] * 4),
            helper.make_node("Relu", [f"sum{layer}"], [f"layer{layer + 1}"]),
        ]
    weights["flat"] = np.array([batch, -1], np.int64)
    weights["boxes"] = np.tile(np.array([1, 1, side / 2, side / 2], np.float32), (batch, 1, 1))
    weights["labels"] = np.zeros((batch, 1), np.int64)
    nodes += [
        helper.make_node("Reshape", [f"layer{layers}", "flat"], ["features"]),
        helper.make_node("ReduceMean", ["features"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Sigmoid", ["mean"], ["scores"]),
        helper.make_node("Identity", ["boxes"], ["boxes_out"]),
        helper.make_node("Identity", ["labels"], ["labels_out"]),
    ]
    return _model(nodes, weights, side, batch)


def _model(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], side: int, batch: int
) -> onnx.ModelProto:
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [batch, side, side, 3])
    outputs = [
        helper.make_tensor_value_info("boxes_out", TensorProto.FLOAT, [batch, 1, 4]),
        helper.make_tensor_value_info("labels_out", TensorProto.INT64, [batch, 1]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 1]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "convolutions", [picture], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
