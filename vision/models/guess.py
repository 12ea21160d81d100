"""A first `model.json` for a graph, guessed from its shapes and from what its exporter noted."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort

from vision.models.base import ResizeMode, Task
from vision.models.bundle import BundleError
from vision.models.session import open_session
from vision.models.spec import BundleSpec, ColorOrder, DecoderSpec, InputSpec, InputType, Layout

DEFAULT_SIDE_PX = 640
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TYPES = {
    "tensor(float)": InputType.FLOAT32,
    "tensor(float16)": InputType.FLOAT16,
    "tensor(uint8)": InputType.UINT8,
}
_YOLO = ("yolov5", "yolov8", "yolo_end_to_end")

Shapes = Mapping[str, tuple[int | None, ...]]


@dataclass(frozen=True, slots=True)
class _Reading:
    decoder: str
    task: Task
    class_count: int | None
    outputs: dict[str, str]


def guess_spec(graph: bytes, name: str) -> BundleSpec:
    """
    What `model.json` may have to say of a graph; normalisation, labels and thresholds want a look.

    Raises:
        BundleError: The graph cannot be loaded, or its outputs are like none that are known.
    """
    session = open_session(graph, threads=1).runtime
    notes = session.get_modelmeta().custom_metadata_map
    reading = _reading({node.name: _sides(node.shape) for node in session.get_outputs()}, notes)
    spec_input = _input(session, reading.decoder, notes)
    outputs = {role: found for role, found in reading.outputs.items() if role != found}
    return BundleSpec(
        name=name,
        task=reading.task,
        input=spec_input,
        decoder=DecoderSpec(
            reading.decoder,
            score=0.25 if reading.decoder in _YOLO else 0.5,
            iou=0.45 if reading.decoder in ("yolov5", "yolov8") else None,
            outputs=outputs or None,
        ),
        labels=_labels(notes, reading.class_count),
    )


def _reading(shapes: Shapes, notes: Mapping[str, str]) -> _Reading:
    names = set(shapes)
    if {"boxes", "labels", "scores"} <= names:
        task = Task.INSTANCE_SEGMENTATION if "masks" in names else Task.DETECTION
        return _Reading("torchvision", task, None, {})
    boxes = next((name for name in ("pred_boxes", "boxes") if name in names), None)
    logits = next((name for name in ("logits", "pred_logits") if name in names), None)
    if boxes and logits:
        # A no-object class cannot be seen; all of the kind but the first DETR do without.
        return _Reading(
            "rt_detr", Task.DETECTION, shapes[logits][-1], {"logits": logits, "pred_boxes": boxes}
        )
    by_rank = {rank: [name for name in shapes if len(shapes[name]) == rank] for rank in (3, 4)}
    if len(by_rank[3]) == 1 and len(by_rank[4]) <= 1:
        return _yolo(shapes, by_rank[3][0], by_rank[4][0] if by_rank[4] else None, notes)
    if len(by_rank[4]) == 1 and len(shapes) == 1:
        (only,) = by_rank[4]
        return _Reading(
            "class_logits", Task.SEMANTIC_SEGMENTATION, shapes[only][1], {"logits": only}
        )
    shown = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    raise BundleError(f"no decoder is known for outputs like {shown}; see docs/models.md")


def _yolo(shapes: Shapes, boxes: str, masks: str | None, notes: Mapping[str, str]) -> _Reading:
    _, rows, columns = shapes[boxes]
    coefficients = (shapes[masks][1] or 0) if masks else 0
    outputs = {"output0": boxes} | ({"output1": masks} if masks else {})
    task = Task.INSTANCE_SEGMENTATION if masks else Task.DETECTION
    if columns == 6 + coefficients:
        return _Reading("yolo_end_to_end", task, None, outputs)
    # Boxes outnumber the values of one. Ultralytics leaves both open in dynamic exports.
    if "names" in notes or (rows is not None and (columns is None or rows < columns)):
        count = None if rows is None else rows - 4 - coefficients
        return _Reading("yolov8", task, count, outputs)
    count = None if columns is None else columns - 5 - coefficients
    return _Reading("yolov5", task, count, outputs)


def _input(session: ort.InferenceSession, decoder: str, notes: Mapping[str, str]) -> InputSpec:
    node = session.get_inputs()[0]
    sides = _sides(node.shape)[-3:]
    layout = Layout.NHWC if len(sides) == 3 and sides[-1] == 3 and sides[0] != 3 else Layout.NCHW
    spatial = sides[:2] if layout is Layout.NHWC else sides[1:]
    noted = _literal(notes.get("imgsz"))
    sizes = noted if isinstance(noted, list) and len(noted) == 2 else [DEFAULT_SIDE_PX] * 2
    height, width = (side or int(size) for side, size in zip(spatial, sizes, strict=True))
    dtype = _TYPES.get(node.type, InputType.FLOAT32)
    plain = decoder in (*_YOLO, "torchvision") or dtype is InputType.UINT8
    return InputSpec(
        width=width,
        height=height,
        resize=ResizeMode.LETTERBOX if decoder in _YOLO else ResizeMode.STRETCH,
        color_order=ColorOrder.RGB,
        scale=1.0 if dtype is InputType.UINT8 else 1 / 255,
        mean=(0.0, 0.0, 0.0) if plain else _IMAGENET_MEAN,
        std=(1.0, 1.0, 1.0) if plain else _IMAGENET_STD,
        layout=layout,
        dtype=dtype,
    )


def _labels(notes: Mapping[str, str], count: int | None) -> tuple[str, ...]:
    names = _literal(notes.get("names"))
    if isinstance(names, dict) and names and set(names) == set(range(len(names))):
        return tuple(str(names[i]) for i in range(len(names)))
    return tuple(f"class {i}" for i in range(max(count or 1, 1)))


def _literal(text: str | None) -> Any:
    """What an exporter noted as a Python literal."""
    try:
        return None if text is None else ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _sides(shape: list[Any]) -> tuple[int | None, ...]:
    return tuple(side if isinstance(side, int) else None for side in shape)
