"""Making model bundles, and finding out whether they work."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from cli.errors import Exit, UserError
from cli.output import program
from contracts.documents import DocumentError, from_json, to_dict
from contracts.results import FrameRecord, FrameResult
from contracts.selection import Selection
from vision.decode import decode_frames
from vision.frames import FrameBatch, Pixels, Placement, letterbox, stretch
from vision.models.base import ModelInput, Prediction, ResizeMode, VisionModel
from vision.models.bundle import BundleError, pack_bundle
from vision.models.guess import guess_spec
from vision.models.load import load_bundle
from vision.models.spec import BundleSpec
from vision.render import annotate, write_annotated_picture
from vision.report import DecodeReport
from vision.selection import make_selector
from vision.video import open_video

MAX_FRAMES = 8
"""Of a video that a bundle is tried on; enough to see whether boxes sit and how long it takes."""

Picture = tuple[Pixels, FrameRecord]


@dataclass(frozen=True, slots=True)
class Trial:
    """
    How a model did.

    Attributes:
        picture: Where the frame in which most was found was drawn.
        frame_ms: Median time of one frame, from pixels on the canvas to detections.
    """

    picture: Path
    frames: int
    detections: int
    frame_ms: float


def read_spec(path: Path) -> BundleSpec:
    """
    The `model.json` in a file of its own.

    Raises:
        UserError: It is none.
    """
    try:
        return from_json(BundleSpec, path.read_bytes())
    except DocumentError as error:
        raise UserError(
            f"{path} is no model.json: {error}.",
            remedy=f"docs/models.md lists all fields; `{program()} model init` writes a first one.",
            code=Exit.USAGE,
        ) from None


def first_spec(onnx: Path) -> BundleSpec:
    """
    A `model.json` guessed from a graph.

    Raises:
        UserError: The graph cannot be read, or is like none that is known.
    """
    try:
        return guess_spec(onnx.read_bytes(), onnx.stem)
    except BundleError as error:
        raise UserError(
            f"{onnx}: {error}.",
            remedy="Write model.json by hand; docs/models.md lists decoders and fields.",
            code=Exit.USAGE,
        ) from None


def pack(onnx: Path, spec: BundleSpec, target: Path) -> VisionModel:
    """
    Write a bundle that loads; nothing is left where it does not.

    Raises:
        UserError: The graph and the spec do not go together.
    """
    with tempfile.TemporaryDirectory(prefix=".framewright-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        try:
            pack_bundle(onnx, spec, made)
            model = load_bundle(made)
        except BundleError as error:
            raise UserError(
                f"{onnx} and its model.json make no bundle that can be used: {error}.",
                remedy="docs/models.md lists every field, and the shapes each decoder reads.",
                code=Exit.USAGE,
            ) from None
        made.replace(target)
    return model


def try_out(model: VisionModel, video: Path | None, picture: Path) -> Trial:
    """Run a model on a video, or on a drawn street, and draw the frame in which most was found."""
    best: tuple[float, Pixels, FrameResult, Prediction] | None = None
    times_ms, detections = [], 0
    for pixels, record in itertools.islice(_pictures(video), MAX_FRAMES):
        batch = _on_canvas(pixels, record, model.input)
        start = time.perf_counter()
        (prediction,) = model.predict(batch)
        times_ms.append((time.perf_counter() - start) * 1000)
        detections += len(prediction.detections)
        found = sum(detection.score for detection in prediction.detections)
        if prediction.class_map is not None:
            found = float(np.count_nonzero(prediction.class_map))
        if best is None or found > best[0]:
            best = found, pixels, FrameResult(record, prediction.detections), prediction
    if best is None:
        raise UserError(f"{video} has no frame to try.", remedy="Give another video.")
    _, pixels, result, prediction = best
    drawn = annotate(pixels, result, prediction.class_map)
    write_annotated_picture(drawn, FrameResult(result.frame, ()), picture)
    return Trial(picture, len(times_ms), detections, statistics.median(times_ms))


def _pictures(video: Path | None) -> Iterator[Picture]:
    if video is None:
        from cli.street import street

        pixels = next(street(seed=1))[0]
        height, width = pixels.shape[:2]
        yield pixels, FrameRecord(0, 0, Fraction(1, 25), 0.0, True, width, height)
        return
    selector = make_selector(Selection.parse("every_seconds=1"))
    with open_video(video) as opened:
        for frame in decode_frames(opened, selector, ModelInput(size=None), DecodeReport()):
            yield frame.pixels, frame.record


def _on_canvas(pixels: Pixels, record: FrameRecord, wanted: ModelInput) -> FrameBatch:
    height, width = pixels.shape[:2]
    if wanted.size is None:
        return FrameBatch(pixels[None], (record,), stretch((width, height), (width, height)))
    boxed = wanted.resize is ResizeMode.LETTERBOX
    placement: Placement = (letterbox if boxed else stretch)((width, height), wanted.size)
    x, y, inner_width, inner_height = placement.inner
    canvas = np.full((wanted.size[1], wanted.size[0], 3), wanted.pad_value, np.uint8)
    canvas[y : y + inner_height, x : x + inner_width] = cv2.resize(
        pixels, (inner_width, inner_height), interpolation=cv2.INTER_AREA
    )
    return FrameBatch(canvas[None], (record,), placement)


def described(model: VisionModel) -> dict[str, object]:
    """What is known of a loaded model, as JSON values."""
    known: dict[str, object] = {"model": model.identity.name, "engine": to_dict(model.engine)}
    spec, tensors = getattr(model, "spec", None), getattr(model, "tensors", None)
    if spec is not None and tensors is not None:
        known |= {"spec": to_dict(spec), **tensors()}
    return known
