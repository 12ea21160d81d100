"""ONNX bundles, run in process by ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contracts.messages import Model
from vision.frames import FrameBatch, Pixels
from vision.models.base import ModelInput, Prediction, Task
from vision.models.bundle import Bundle, BundleError
from vision.models.decoders import Decoder, decoder_named
from vision.models.detections import detections_from
from vision.models.spec import BundleSpec, ColorOrder, InputSpec, Layout

MAX_DYNAMIC_BATCH = 4
"""Where a graph takes any number of frames: more gain nothing on a CPU and cost memory."""

_TENSOR_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "uint8": "tensor(uint8)"}


class OnnxModel:
    """
    The model of a bundle.

    A graph may have a fixed batch size (the last batch is filled up), any batch size, or no batch
    axis at all, as torchvision's exports have it.
    """

    identity: Model
    task: Task
    input: ModelInput

    def __init__(self, identity: Model, bundle: Bundle) -> None:
        """
        Raises:
            BundleError: The graph cannot be loaded, or is not what `model.json` says.
        """
        spec = bundle.spec
        self.identity, self.task, self._spec = identity, spec.task, spec
        self._decoder = decoder_named(spec.decoder.name)
        self._outputs = _output_names(self._decoder, spec)
        self._session = _open_session(bundle.graph)
        self._input_name, dimensions = _check_input(self._session, spec.input)
        batched = _check_outputs(self._session, self._decoder, spec, self._outputs)
        self._has_batch_axis = len(dimensions) == 4
        fixed = dimensions[0] if self._has_batch_axis else 1
        self._fixed_batch = fixed if isinstance(fixed, int) else None
        self.input = ModelInput(
            size=(spec.input.width, spec.input.height),
            resize=spec.input.resize,
            max_batch=self._fixed_batch or (MAX_DYNAMIC_BATCH if batched else 1),
            pad_value=spec.input.pad_value,
        )

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """
        One prediction for each frame of the batch, in its order.

        Raises:
            BundleError: The graph fails, or its outputs are not what its decoder reads.
        """
        tensor = input_tensor(batch.pixels, self._spec.input)
        count = len(tensor)
        if self._fixed_batch is not None and count < self._fixed_batch:
            filling = np.zeros((self._fixed_batch - count, *tensor.shape[1:]), tensor.dtype)
            tensor = np.concatenate([tensor, filling])
        outputs = self._run(tensor if self._has_batch_axis else tensor[0])
        predictions = []
        for i in range(count):
            of_frame = {role: self._of_frame(role, value, i) for role, value in outputs.items()}
            found = self._decoder.decode(of_frame, self._spec.decoder, self._spec_size)
            predictions.append(
                Prediction(
                    detections_from(found, self._spec.decoder, self._spec.labels, batch.placement)
                )
            )
        return predictions

    @property
    def _spec_size(self) -> tuple[int, int]:
        return self._spec.input.width, self._spec.input.height

    def _run(self, tensor: NDArray[Any]) -> dict[str, NDArray[Any]]:
        names = list(self._outputs.values())
        try:
            values = self._session.run(names, {self._input_name: tensor})
        except Exception as error:
            raise BundleError(f"the graph failed on {tensor.shape}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def _of_frame(self, role: str, value: NDArray[Any], i: int) -> NDArray[Any]:
        rank = self._decoder.ranks[self.task][role]
        if value.ndim == rank + 1 and i < len(value):
            frame: NDArray[Any] = value[i]
            return frame
        if value.ndim == rank and i == 0:
            return value
        raise BundleError(
            f"output {self._outputs[role]!r}: expected {rank} axes, or {rank + 1} with the batch's "
            f"first, got shape {value.shape}"
        )


def input_tensor(pixels: Pixels, spec: InputSpec) -> NDArray[Any]:
    """RGB pictures (N, H, W, 3) as the graph wants them: order, scale, type, axes."""
    ordered = pixels if spec.color_order is ColorOrder.RGB else pixels[..., ::-1]
    if spec.layout is Layout.NCHW:
        ordered = ordered.transpose(0, 3, 1, 2)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(ordered)
    shape = (3, 1, 1) if spec.layout is Layout.NCHW else (3,)
    std = np.array(spec.std)
    factor = (spec.scale / std).astype(np.float32).reshape(shape)
    offset = (-np.array(spec.mean) / std).astype(np.float32).reshape(shape)
    tensor = np.empty(ordered.shape, np.float32)
    np.multiply(ordered, factor, out=tensor)
    tensor += offset
    return tensor.astype(spec.dtype, copy=False)


def _open_session(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # Waiting threads that spin take the cores away from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"ONNX Runtime cannot load model.onnx: {error}") from error


def _check_input(session: ort.InferenceSession, spec: InputSpec) -> tuple[str, list[Any]]:
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
    if node.type != _TENSOR_TYPES[spec.dtype]:
        raise BundleError(
            f"graph input {node.name!r} is {node.type}, but model.json says {spec.dtype}"
        )
    return node.name, dimensions


def _output_names(decoder: Decoder, spec: BundleSpec) -> dict[str, str]:
    if spec.task not in decoder.ranks:
        raise BundleError(
            f"decoder {spec.decoder.name!r} serves {', '.join(decoder.ranks)}, not {spec.task}"
        )
    roles = decoder.ranks[spec.task]
    given = spec.decoder.outputs or {}
    if unknown := set(given) - set(roles):
        raise BundleError(
            f"decoder {spec.decoder.name!r} reads {', '.join(roles)}; "
            f"model.json maps {sorted(unknown)[0]!r}"
        )
    return {role: given.get(role, role) for role in roles}


def _check_outputs(
    session: ort.InferenceSession, decoder: Decoder, spec: BundleSpec, names: Mapping[str, str]
) -> bool:
    """Whether every output has a batch axis."""
    shapes = {node.name: list(node.shape) for node in session.get_outputs()}
    ranks = decoder.ranks[spec.task]
    for role, name in names.items():
        if name not in shapes:
            raise BundleError(
                f"the graph has no output {name!r} for {role!r}; it has {', '.join(shapes)}: "
                "name it under decoder.outputs"
            )
        # ONNX Runtime gives an unknown rank and a scalar alike, as no axes at all.
        if shapes[name] and len(shapes[name]) - ranks[role] not in (0, 1):
            raise BundleError(
                f"output {name!r} has shape {shapes[name]}; decoder {spec.decoder.name!r} needs "
                f"{ranks[role]} axes, or {ranks[role] + 1} with the batch's"
            )
    if decoder.channels is not None:
        role, channels = decoder.channels(len(spec.labels))
        shape = shapes[names[role]][-ranks[role] :]
        if shape and not _fits(shape[:1], (channels,)):
            raise BundleError(
                f"{len(spec.labels)} labels need {channels} channels in output {names[role]!r}, "
                f"the graph has {shape[0]}"
            )
    return all(len(shapes[name]) == ranks[role] + 1 for role, name in names.items())


def _fits(dimensions: list[Any], expected: tuple[int, ...]) -> bool:
    """Whether fixed dimensions are as expected; a name or None stands for any."""
    return all(
        not isinstance(found, int) or found == wanted
        for found, wanted in zip(dimensions, expected, strict=True)
    )
