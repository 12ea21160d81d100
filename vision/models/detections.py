"""From candidates on the canvas to detections in the source picture, the same for all decoders."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.results import Box, Detection
from vision.frames import Placement
from vision.models.bundle import BundleError
from vision.models.decoders.base import Candidates, Floats
from vision.models.nms import Indices, non_maximum_suppression
from vision.models.spec import DecoderSpec

MAX_CANDIDATES = 3000
"""Most candidates, the best ones, that enter suppression: it takes time by their square."""


def detections_from(
    candidates: Candidates, spec: DecoderSpec, labels: Sequence[str], placement: Placement
) -> tuple[Detection, ...]:
    """
    What is left after cleaning, thresholds and suppression; highest score first.

    Cleaning: a box or score that is not finite, a box with swapped corners and one outside the
    picture are dropped; one that reaches beyond the picture's edge is cut there.

    Raises:
        BundleError: A class id has no label.
    """
    width, height = placement.canvas_size
    boxes = np.clip(candidates.boxes, 0, [width, height, width, height])
    rows = _usable(candidates, boxes, spec.score, placement)
    _check_labels(candidates.class_ids[rows], labels)
    rows = rows[np.argsort(-candidates.scores[rows], kind="stable")][:MAX_CANDIDATES]
    if spec.iou is not None:
        rows = rows[
            non_maximum_suppression(
                boxes[rows], candidates.scores[rows], candidates.class_ids[rows], iou=spec.iou
            )
        ]
    return tuple(
        _detection(candidates, int(row), _corners(boxes[row]), labels, placement)
        for row in rows[: spec.max_detections]
    )


def _usable(
    candidates: Candidates, on_canvas: Floats, least_score: float, placement: Placement
) -> Indices:
    finite = np.isfinite(candidates.boxes).all(axis=1) & np.isfinite(candidates.scores)
    x, y, inner_width, inner_height = placement.inner
    low = np.maximum(on_canvas[:, :2], [x, y])
    high = np.minimum(on_canvas[:, 2:], [x + inner_width, y + inner_height])
    # Also false for swapped corners.
    in_picture = (low < high).all(axis=1)
    return np.flatnonzero(finite & in_picture & (candidates.scores >= least_score))


def _check_labels(class_ids: NDArray[np.int64], labels: Sequence[str]) -> None:
    wrong = class_ids[(class_ids < 0) | (class_ids >= len(labels))]
    if wrong.size:
        raise BundleError(
            f"the model found class {wrong[0]}, but model.json names {len(labels)} labels, "
            f"0 to {len(labels) - 1}"
        )


def _detection(
    candidates: Candidates, row: int, box: Box, labels: Sequence[str], placement: Placement
) -> Detection:
    class_id = int(candidates.class_ids[row])
    return Detection(
        class_id=class_id,
        class_name=labels[class_id],
        score=float(candidates.scores[row]),
        box=placement.to_source(box),
        mask=None if candidates.masks is None else candidates.masks.encode(row, box, placement),
    )


def _corners(box: Floats) -> Box:
    x_min, y_min, x_max, y_max = (float(value) for value in box)
    return x_min, y_min, x_max, y_max
