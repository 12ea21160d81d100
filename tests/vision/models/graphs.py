"""Tiny ONNX graphs whose outputs are known, and bundles of them."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.results import FrameRecord
from vision.frames import FrameBatch, Pixels, Placement, stretch
from vision.models.base import ResizeMode, Task
from vision.models.bundle import pack_bundle
from vision.models.spec import (
    BundleSpec,
    ColorOrder,
    DecoderSpec,
    InputSpec,
    InputType,
    Layout,
)

CANVAS = (8, 6)


def an_input(**changes: Any) -> InputSpec:
    values: dict[str, Any] = {
        "width": CANVAS[0],
        "height": CANVAS[1],
        "resize": ResizeMode.STRETCH,
        "color_order": ColorOrder.RGB,
        "scale": 1.0,
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "layout": Layout.NCHW,
        "dtype": InputType.FLOAT32,
    }
    return InputSpec(**{**values, **changes})


def a_spec(
    decoder: DecoderSpec | None = None,
    *,
    task: Task = Task.DETECTION,
    labels: tuple[str, ...] = ("background", "car", "person"),
    **input_changes: Any,
) -> BundleSpec:
    decoder = decoder or DecoderSpec("boxes_labels_scores", 0.25)
    return BundleSpec("tiny", task, an_input(**input_changes), decoder, labels)


def constant_graph(
    outputs: Mapping[str, NDArray[Any]],
    input_shape: Sequence[int | str] = (1, 3, CANVAS[1], CANVAS[0]),
    *,
    declared: Mapping[str, Sequence[int | str]] | None = None,
) -> onnx.ModelProto:
    """A graph that answers the same to every picture, and may declare other shapes than it has."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in outputs.items()
    ]
    shapes = {name: value.shape for name, value in outputs.items()} | dict(declared or {})
    return _model(nodes, shapes, outputs, input_shape)


def channel_mean_graph(
    channel: int, *, layout: Layout = Layout.NCHW, batch: int | str = "N"
) -> onnx.ModelProto:
    """One box a frame whose score is the mean of a channel of the input tensor."""
    width, height = CANVAS
    axes, channel_axis = ([2, 3], 1) if layout is Layout.NCHW else ([1, 2], 3)
    shape: tuple[int | str, ...] = (batch, 3, height, width)
    if layout is Layout.NHWC:
        shape = (batch, height, width, 3)
    constants: dict[str, NDArray[Any]] = {
        "channel": np.array([channel], np.int64),
        "axes": np.array(axes, np.int64),
        "flat": np.array([-1, 1], np.int64),
        "one_box": np.array([[[1, 2, 5, 4]]], np.float32),
        "zero": np.array([[0]], np.float32),
        "unit": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["picture", "channel"], ["plane"], axis=channel_axis),
        helper.make_node("ReduceMean", ["plane", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "flat"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["none"]),
        helper.make_node("Unsqueeze", ["none", "unit"], ["none_3"]),
        helper.make_node("Add", ["none_3", "one_box"], ["boxes"]),
        helper.make_node("Cast", ["none"], ["labels"], to=TensorProto.INT64),
    ]
    shapes = {"boxes": (batch, 1, 4), "labels": (batch, 1), "scores": (batch, 1)}
    kinds: dict[str, NDArray[Any]] = {
        "boxes": np.zeros(0, np.float32),
        "labels": np.zeros(0, np.int64),
        "scores": np.zeros(0, np.float32),
    }
    return _model(nodes, shapes, kinds, shape, constants)


def _model(
    nodes: list[Any],
    shapes: Mapping[str, Sequence[int | str]],
    kinds: Mapping[str, NDArray[Any]],
    input_shape: Sequence[int | str],
    constants: Mapping[str, NDArray[Any]] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, list(input_shape))],
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(kinds[name].dtype), list(shape)
            )
            for name, shape in shapes.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def plain_outputs(
    boxes: Sequence[Sequence[float]], labels: Sequence[int], scores: Sequence[float]
) -> dict[str, NDArray[Any]]:
    return {
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.array(labels, np.int64),
        "scores": np.array(scores, np.float32),
    }


def a_bundle(folder: Path, graph: onnx.ModelProto, spec: BundleSpec) -> Path:
    onnx.save(graph, folder / "graph.onnx")
    target = folder / "model.tar.gz"
    pack_bundle(folder / "graph.onnx", spec, target)
    return target


def a_batch(pixels: Pixels, placement: Placement | None = None) -> FrameBatch:
    """Frames of these pixels (N, H, W, 3)."""
    count, height, width = pixels.shape[:3]
    placement = placement or stretch((width, height), (width, height))
    frames = tuple(
        FrameRecord(i, i, Fraction(1, 25), i / 25, True, *placement.source_size)
        for i in range(count)
    )
    return FrameBatch(pixels, frames, placement)


def grey(count: int = 1, placement: Placement | None = None) -> FrameBatch:
    return a_batch(np.full((count, CANVAS[1], CANVAS[0], 3), 90, np.uint8), placement)


def a_placed(size: tuple[int, int]) -> Placement:
    """A picture of the canvas's own size."""
    return stretch(size, size)


def as_half_precision(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with float16 inside, at its input and at its outputs."""
    half = onnx.ModelProto()
    half.CopyFrom(graph)
    for value in (*half.graph.input, *half.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for constant in half.graph.initializer:
        array = numpy_helper.to_array(constant)
        if array.dtype == np.float32:
            constant.CopyFrom(numpy_helper.from_array(array.astype(np.float16), constant.name))
    return half


def with_quantised_input(graph: onnx.ModelProto, scale: float) -> onnx.ModelProto:
    """The same graph whose input goes through 8 bits and back first, as in an int8 (QDQ) model."""
    quantised = onnx.ModelProto()
    quantised.CopyFrom(graph)
    for node in quantised.graph.node:
        node.input[:] = ["restored" if name == "picture" else name for name in node.input]
    constants: dict[str, NDArray[Any]] = {
        "step": np.array(scale, np.float32),
        "origin": np.array(0, np.uint8),
    }
    quantised.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items()
    )
    nodes = list(quantised.graph.node)
    del quantised.graph.node[:]
    quantised.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", ["picture", "step", "origin"], ["eight_bits"]),
            helper.make_node("DequantizeLinear", ["eight_bits", "step", "origin"], ["restored"]),
            *nodes,
        ]
    )
    return quantised
