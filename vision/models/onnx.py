"""ONNX bundles, run in process by ONNX Runtime."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.messages import Model
from contracts.results import Engine
from vision.frames import FrameBatch, Pixels, Placement, stretch
from vision.models.agreement import check_input, check_outputs, check_shapes, check_spec
from vision.models.base import ModelInput, Prediction, Task
from vision.models.bundle import Bundle, BundleError
from vision.models.class_maps import source_class_map
from vision.models.decoders.base import ClassMap, Outputs
from vision.models.decoders.registry import decoder_named
from vision.models.detections import detections_from
from vision.models.session import open_session
from vision.models.spec import BundleSpec, ColorOrder, InputSpec, Layout

MAX_DYNAMIC_BATCH = 4
"""Where a graph takes any number of frames: more gain nothing on a CPU and cost memory."""


class OnnxModel:
    """
    The model of a bundle.

    A graph may have a fixed batch size (the last batch is filled up), any batch size, or no batch
    axis at all, as torchvision's exports have it.
    """

    identity: Model
    task: Task
    input: ModelInput
    engine: Engine
    spec: BundleSpec

    def __init__(self, identity: Model, bundle: Bundle, *, threads: int | None = None) -> None:
        """
        Load the graph and run it once, on noise: what would fail on the first frame fails here.

        Raises:
            BundleError: The graph cannot be loaded, or is not what `model.json` says.
        """
        spec = bundle.spec
        self.identity, self.task, self.spec = identity, spec.task, spec
        self._decoder = decoder_named(spec.decoder.name)
        self._outputs = check_spec(self._decoder, spec)
        self._session = open_session(bundle.graph, threads=threads)
        self.engine = self._session.engine
        runtime = self._session.runtime
        self._input_name, dimensions = check_input(runtime, spec.input)
        batched = check_outputs(runtime, self._decoder, spec, self._outputs)
        self._has_batch_axis = len(dimensions) == 4
        fixed = dimensions[0] if self._has_batch_axis else 1
        self._fixed_batch = fixed if isinstance(fixed, int) else None
        self.input = ModelInput(
            size=(spec.input.width, spec.input.height),
            resize=spec.input.resize,
            max_batch=self._warm_up(self._fixed_batch or (MAX_DYNAMIC_BATCH if batched else 1)),
            pad_value=spec.input.pad_value,
        )

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """
        One prediction for each frame of the batch, in its order.

        Raises:
            BundleError: The graph fails, or its outputs are not what its decoder reads.
            MemoryError: There is not enough memory for the graph.
        """
        return self._predict(batch.pixels, batch.placement)

    def tensors(self) -> dict[str, list[str]]:
        """The graph's `inputs` and `outputs`, each as its name, type and shape, for people."""
        runtime = self._session.runtime
        nodes = {"inputs": runtime.get_inputs(), "outputs": runtime.get_outputs()}
        return {
            side: [f"{node.name} {node.type} {list(node.shape)}" for node in found]
            for side, found in nodes.items()
        }

    def _predict(self, pixels: Pixels, placement: Placement) -> list[Prediction]:
        tensor = input_tensor(pixels, self.spec.input)
        count = len(tensor)
        if self._fixed_batch is not None and count < self._fixed_batch:
            filling = np.zeros((self._fixed_batch - count, *tensor.shape[1:]), tensor.dtype)
            tensor = np.concatenate([tensor, filling])
        values = self._session.run(
            list(self._outputs.values()),
            self._input_name,
            tensor if self._has_batch_axis else tensor[0],
        )
        outputs = dict(zip(self._outputs, values, strict=True))
        return [
            self._decoded(
                {role: self._of_frame(role, value, i) for role, value in outputs.items()}, placement
            )
            for i in range(count)
        ]

    def _decoded(self, outputs: Outputs, placement: Placement) -> Prediction:
        spec = self.spec
        shapes = {role: value.shape for role, value in outputs.items()}
        check_shapes(shapes, self._decoder, spec, self._outputs)
        found = self._decoder.decode(outputs, spec.decoder, placement.canvas_size)
        if isinstance(found, ClassMap):
            return Prediction(class_map=source_class_map(found.values, len(spec.labels), placement))
        return Prediction(detections_from(found, spec.decoder, spec.labels, placement))

    def _of_frame(self, role: str, value: NDArray[Any], i: int) -> NDArray[Any]:
        rank = len(self._decoder.axes[self.task][role])
        if value.ndim == rank + 1 and i < len(value):
            frame: NDArray[Any] = value[i]
            return frame
        if value.ndim == rank and i == 0:
            return value
        raise BundleError(
            f"output {self._outputs[role]!r}: expected {rank} axes, or {rank + 1} with the batch's "
            f"first, got shape {value.shape}"
        )

    def _warm_up(self, max_batch: int) -> int:
        """Run once; how many frames the graph really takes at a time."""
        size = self.spec.input.width, self.spec.input.height
        # Noise: on one colour alone normalisation may divide by nothing.
        pixels = np.random.default_rng(0).integers(
            0, 256, (min(2, max_batch), size[1], size[0], 3), np.uint8
        )
        placement = stretch(size, size)
        try:
            self._predict(pixels, placement)
        except BundleError:
            if len(pixels) == 1:
                raise
            # Some exports promise any batch size and have 1 written into a Reshape.
            self._predict(pixels[:1], placement)
            return 1
        return max_batch


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
