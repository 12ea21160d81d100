"""ONNX Runtime sessions: which provider computes, and with how many threads."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contracts.results import Engine
from vision.models.bundle import BundleError

PROVIDERS = {
    "CUDAExecutionProvider": "cuda",
    "OpenVINOExecutionProvider": "openvino",
    "CPUExecutionProvider": "cpu",
}
"""Those that are used where they are installed, best first, and what results call them."""


@dataclass(frozen=True, slots=True)
class Session:
    """A graph that is ready to run, and what runs it."""

    runtime: ort.InferenceSession
    engine: Engine

    def run(self, names: list[str], input_name: str, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """
        The outputs of these names.

        Raises:
            BundleError: The graph fails.
            MemoryError: There is not enough memory for it.
        """
        try:
            values = self.runtime.run(names, {input_name: tensor})
        except Exception as error:
            if "Failed to allocate memory" in str(error):
                raise MemoryError(f"the graph needs more memory on {tensor.shape}") from error
            raise BundleError(f"the graph failed on {tensor.shape}: {error}") from error
        return [np.asarray(value) for value in values]


def open_session(graph: bytes, *, threads: int | None) -> Session:
    """
    A session with the best provider that is installed and works here.

    Args:
        threads: For one operator; as many as cores unless given.

    Raises:
        BundleError: ONNX Runtime cannot load the graph.
    """
    options = ort.SessionOptions()
    # Waiting threads that spin take the cores away from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    available = [name for name in PROVIDERS if name in ort.get_available_providers()]
    try:
        runtime = ort.InferenceSession(
            graph, options, providers=[(name, _options(name, threads)) for name in available]
        )
    except Exception as error:
        raise BundleError(_load_fault(str(error))) from error
    # A provider that is installed but has no device is left out by ONNX Runtime itself.
    used = next(name for name in runtime.get_providers() if name in PROVIDERS)
    return Session(runtime, Engine("onnxruntime", ort.__version__, PROVIDERS[used], threads))


def _options(provider: str, threads: int | None) -> dict[str, str]:
    if provider != "OpenVINOExecutionProvider":
        return {}
    # On a CPU with bfloat16 OpenVINO computes in it unless told; the answers would differ by CPU.
    chosen = {"device_type": "CPU", "precision": "FP32"}
    return chosen if threads is None else {**chosen, "num_of_threads": str(threads)}


def _load_fault(reason: str) -> str:
    text = f"ONNX Runtime cannot load model.onnx: {reason}"
    if "external" in reason.lower():
        text += (
            " (weights beside the .onnx file do not travel in a bundle: export them into it, such "
            "as with torch.onnx.export(…, external_data=False))"
        )
    return text
