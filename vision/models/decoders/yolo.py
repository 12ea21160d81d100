"""
Exports of the YOLO family, under the output names that Ultralytics gives them.

https://docs.ultralytics.com/modes/export: `output0` holds boxes in canvas pixels, `output1` the
prototypes of the segmentation models, whose coefficients end each box's values.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.models.bundle import BundleError
from vision.models.decoders.base import (
    Candidates,
    Floats,
    Outputs,
    Shapes,
    canvas_pixels,
    confident_rows,
    corners,
    whole_ids,
)
from vision.models.decoders.masks import PrototypeMasks
from vision.models.spec import DecoderSpec

Rows = NDArray[Any]


def decode_yolov5(outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]) -> Candidates:
    """
    YOLOv5 to v7: `output0` (boxes, 5 + classes) of centre, size, objectness and class scores.

    A box's class is the one with the highest score, which counts times the objectness.
    """
    rows = outputs["output0"]
    classes = rows[:, 5 : rows.shape[1] - _coefficients(outputs)]
    scores = rows[:, 4] * _best(classes, "5 + classes")
    kept = confident_rows(scores, spec.score)
    return _candidates(outputs, spec, canvas_size, rows[kept], scores[kept], classes[kept])


def decode_yolov8(outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]) -> Candidates:
    """
    YOLOv8 to v12: `output0` (4 + classes, boxes) of centre, size and class scores, a column a box.
    """
    rows = outputs["output0"].T
    classes = rows[:, 4 : rows.shape[1] - _coefficients(outputs)]
    scores = _best(classes, "4 + classes")
    kept = confident_rows(scores, spec.score)
    return _candidates(outputs, spec, canvas_size, rows[kept], scores[kept], classes[kept])


def decode_yolo_end_to_end(
    outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]
) -> Candidates:
    """
    YOLOv10, YOLO26 and exports with `nms=True`: `output0` (boxes, 6) of corners, score and class.

    Unused rows have a score of 0.
    """
    rows = outputs["output0"]
    scores = rows[:, 4]
    kept = confident_rows(scores, spec.score)
    boxes = canvas_pixels(rows[kept, :4].astype(np.float64), spec, canvas_size)
    return Candidates(
        boxes,
        scores[kept].astype(np.float64),
        whole_ids(rows[kept, 5]),
        _masks(outputs, rows[kept], 6),
    )


def yolov5_classes(shapes: Shapes) -> int | None:
    """Values of a box beyond its place, objectness and mask coefficients."""
    return _beyond(shapes, shapes["output0"][1], 5)


def yolov8_classes(shapes: Shapes) -> int | None:
    """Values of a box beyond its place and mask coefficients."""
    return _beyond(shapes, shapes["output0"][0], 4)


def _beyond(shapes: Shapes, values: int | None, first: int) -> int | None:
    coefficients = shapes["output1"][0] if "output1" in shapes else 0
    return None if values is None or coefficients is None else values - first - coefficients


def _coefficients(outputs: Outputs) -> int:
    return len(outputs["output1"]) if "output1" in outputs else 0


def _best(classes: Rows, form: str) -> Rows:
    if classes.shape[1] == 0:
        raise BundleError(f"output0 has no class scores: a box needs {form} values")
    return np.asarray(classes.max(axis=1))


def _candidates(
    outputs: Outputs,
    spec: DecoderSpec,
    canvas_size: tuple[int, int],
    rows: Rows,
    scores: Rows,
    classes: Rows,
) -> Candidates:
    centered: Floats = rows[:, :4].astype(np.float64)
    return Candidates(
        canvas_pixels(corners(centered), spec, canvas_size),
        scores.astype(np.float64),
        classes.argmax(axis=1).astype(np.int64),
        _masks(outputs, rows, rows.shape[1] - _coefficients(outputs)),
    )


def _masks(outputs: Outputs, rows: Rows, first: int) -> PrototypeMasks | None:
    if "output1" not in outputs:
        return None
    prototypes = outputs["output1"]
    coefficients = rows[:, first:]
    if coefficients.shape[1] != len(prototypes):
        raise BundleError(
            f"a box has {coefficients.shape[1]} mask coefficients, but output1 has "
            f"{len(prototypes)} prototypes"
        )
    return PrototypeMasks(coefficients.astype(np.float32), prototypes.astype(np.float32))
