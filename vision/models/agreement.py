"""Whether a graph is what its `model.json` says, in the sentences that help when it is not."""

from collections.abc import Mapping
from typing import Any

import onnxruntime as ort

from vision.models.base import Task
from vision.models.bundle import BundleError
from vision.models.class_maps import MAX_CLASSES
from vision.models.decoders.base import Decoder, Shapes
from vision.models.spec import BundleSpec, InputSpec, Layout

_INPUT_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "uint8": "tensor(uint8)"}
_OUTPUT_TYPES = frozenset(
    f"tensor({name})"
    for name in ("float", "float16", "double", "uint8", "int8", "uint16", "int16", "int32", "int64")
)


def check_input(session: ort.InferenceSession, spec: InputSpec) -> tuple[str, list[Any]]:
    """
    The picture's name and dimensions in the graph.

    Raises:
        BundleError: The graph has other inputs, or one of another shape or type.
    """
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = [node.name for node in inputs]
        raise BundleError(f"the graph must have one input, the picture; it has {names}")
    (node,) = inputs
    picture: tuple[int, ...] = (3, spec.height, spec.width)
    if spec.layout is Layout.NHWC:
        picture = (spec.height, spec.width, 3)
    dimensions = list(node.shape)
    if len(dimensions) not in (3, 4) or not _fits(dimensions[-3:], picture):
        expected = ", ".join(map(str, picture))
        raise BundleError(
            f"graph input {node.name!r} has shape {dimensions}, but model.json says {spec.layout} "
            f"{spec.width}×{spec.height}: expected [N, {expected}]"
        )
    if node.type != _INPUT_TYPES[spec.dtype]:
        raise BundleError(
            f"graph input {node.name!r} is {node.type}, but model.json says {spec.dtype}"
        )
    return node.name, dimensions


def check_spec(decoder: Decoder, spec: BundleSpec) -> dict[str, str]:
    """
    The graph's output for each one that the decoder reads.

    Raises:
        BundleError: The decoder does not go with the rest of `model.json`.
    """
    if spec.task not in decoder.axes:
        raise BundleError(
            f"decoder {spec.decoder.name!r} serves {', '.join(decoder.axes)}, not {spec.task}"
        )
    roles = decoder.axes[spec.task]
    given = spec.decoder.outputs or {}
    if unknown := set(given) - set(roles):
        raise BundleError(
            f"decoder {spec.decoder.name!r} reads {', '.join(roles)}; "
            f"model.json maps {sorted(unknown)[0]!r}"
        )
    if not decoder.suppresses and spec.decoder.iou is None:
        raise BundleError(
            f"decoder {spec.decoder.name!r} reads many boxes of one object: give decoder.iou, such "
            "as 0.45"
        )
    if spec.task is Task.SEMANTIC_SEGMENTATION and len(spec.labels) > MAX_CLASSES:
        raise BundleError(f"a class map has {MAX_CLASSES} classes at most, got {len(spec.labels)}")
    return {role: given.get(role, role) for role in roles}


def check_outputs(
    session: ort.InferenceSession, decoder: Decoder, spec: BundleSpec, names: Mapping[str, str]
) -> bool:
    """
    Whether every output has a batch axis, as far as the graph says.

    Raises:
        BundleError: An output is missing, or has another type or shape than the decoder reads.
    """
    found = {node.name: node for node in session.get_outputs()}
    axes = decoder.axes[spec.task]
    shapes: dict[str, tuple[int | None, ...]] = {}
    batched = True
    for role, name in names.items():
        if name not in found:
            raise BundleError(
                f"the graph has no output {name!r} for {role!r}; it has {', '.join(found)}: name "
                "the one that is meant under decoder.outputs, or another decoder"
            )
        if found[name].type not in _OUTPUT_TYPES:
            raise BundleError(f"output {name!r} is {found[name].type}, not a tensor of numbers")
        shape = [side if isinstance(side, int) else None for side in found[name].shape]
        rank = len(axes[role])
        # ONNX Runtime gives an unknown rank and a scalar alike, as no axes at all.
        if shape and len(shape) - rank not in (0, 1):
            raise BundleError(_wrong_axes(name, found[name].shape, axes[role], spec))
        batched &= len(shape) == rank + 1
        shapes[role] = tuple(shape[-rank:]) if shape else (None,) * rank
    check_shapes(shapes, decoder, spec, names)
    return batched


def check_shapes(
    shapes: Shapes, decoder: Decoder, spec: BundleSpec, names: Mapping[str, str]
) -> None:
    """
    Outputs of one frame against what the decoder reads, and against the labels.

    Raises:
        BundleError: They do not go together.
    """
    axes = decoder.axes[spec.task]
    for role, shape in shapes.items():
        fixed = [int(axis) if axis.isdigit() else None for axis in axes[role]]
        if any(
            side is not None and wanted is not None and side != wanted
            for side, wanted in zip(shape, fixed, strict=True)
        ):
            raise BundleError(_wrong_axes(names[role], shape, axes[role], spec))
    classes = decoder.class_count(shapes) if decoder.class_count else None
    if classes is not None and classes != len(spec.labels):
        told = ", ".join(
            f"{names[role]!r} {_shown(shape)} read as ({', '.join(axes[role])})"
            for role, shape in shapes.items()
        )
        raise BundleError(
            f"the graph knows {classes} classes, but model.json names {len(spec.labels)} labels; "
            f"decoder {spec.decoder.name!r}: {told}"
        )


def _wrong_axes(name: str, shape: Any, axes: tuple[str, ...], spec: BundleSpec) -> str:
    return (
        f"output {name!r} has shape {_shown(shape)}; decoder {spec.decoder.name!r} needs "
        f"{len(axes)} axes ({', '.join(axes)}), or {len(axes) + 1} with the batch's first"
    )


def _shown(shape: Any) -> str:
    return "[" + ", ".join("?" if side is None else str(side) for side in shape) + "]"


def _fits(dimensions: list[Any], expected: tuple[int, ...]) -> bool:
    """Whether fixed dimensions are as expected; a name or None stands for any."""
    return all(
        not isinstance(found, int) or found == wanted
        for found, wanted in zip(dimensions, expected, strict=True)
    )
