"""A model by its identity; engines are imported only when a model needs them."""

from pathlib import Path

from contracts.messages import Model
from contracts.models import bundle_model, is_bundle, resolve_model
from vision.models.base import VisionModel
from vision.models.bundle import BundleError, bundle_digest, read_bundle


def load_model(
    identity: Model, *, bundle: Path | None = None, threads: int | None = None
) -> VisionModel:
    """
    The model of this identity, ready to predict.

    Args:
        bundle: The model.tar.gz, for a `bundle:<SHA-256>`.
        threads: Of a bundle's engine, which takes as many as there are cores unless told; built-in
            models share OpenCV's, which are the process's.

    Raises:
        BundleError: The bundle is missing, is another one, or cannot be used.
        ValueError: No such built-in model.
    """
    if is_bundle(identity):
        if bundle is None:
            raise BundleError(f"{identity.name}: give the model.tar.gz that has this SHA-256")
        return _load(bundle, expected_digest=identity.digest, threads=threads)
    if identity != resolve_model(identity.name):
        raise ValueError(
            f"{identity.name}: this version has digest {resolve_model(identity.name).digest}, "
            f"but {identity.digest} is asked for"
        )
    from vision.models.builtin import builtin_model

    return builtin_model(identity)


def load_bundle(path: Path, *, threads: int | None = None) -> VisionModel:
    """
    The model in a model.tar.gz, whose digest becomes its identity; `threads` as for `load_model`.

    Raises:
        BundleError: The file cannot be used.
    """
    return _load(path, expected_digest=None, threads=threads)


def _load(path: Path, *, expected_digest: str | None, threads: int | None) -> VisionModel:
    digest = bundle_digest(path)
    if expected_digest not in (None, digest):
        raise BundleError(f"{path.name} has SHA-256 {digest}, but {expected_digest} is asked for")
    content = read_bundle(path)
    from vision.models.onnx import OnnxModel

    return OnnxModel(bundle_model(digest), content, threads=threads)
