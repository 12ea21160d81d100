"""
DETR and its kin: a set of boxes as fractions of the canvas, each with logits, free of duplicates.

https://arxiv.org/abs/2005.12872 and https://arxiv.org/abs/2304.08069; output names as the exports
of Hugging Face's transformers have them.
"""

import numpy as np

from vision.models.bundle import BundleError
from vision.models.decoders.base import (
    Candidates,
    Floats,
    Ids,
    Outputs,
    Shapes,
    confident_rows,
    corners,
    sigmoid,
)
from vision.models.decoders.masks import CanvasMasks
from vision.models.spec import DecoderSpec


def decode_detr(outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]) -> Candidates:
    """
    DETR: `logits` (queries, classes + 1), the last class standing for no object.

    A query's class is the likeliest one, "no object" left out, with its softmax probability.
    """
    logits = outputs["logits"].astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
    if probabilities.shape[1] == 0:
        raise BundleError("logits has one class alone, and the last one stands for no object")
    scores = probabilities.max(axis=1)
    queries = confident_rows(scores, spec.score)
    class_ids = probabilities[queries].argmax(axis=1)
    return _candidates(outputs, canvas_size, queries, scores[queries], class_ids)


def decode_rt_detr(outputs: Outputs, spec: DecoderSpec, canvas_size: tuple[int, int]) -> Candidates:
    """
    RT-DETR, deformable DETR, D-FINE: `logits` (queries, classes), each class by its own sigmoid.

    Every class that reaches the threshold counts, so one query may name two classes.
    """
    scores: Floats = sigmoid(outputs["logits"].astype(np.float64))
    queries, class_ids = np.divmod(confident_rows(scores.reshape(-1), spec.score), scores.shape[1])
    return _candidates(outputs, canvas_size, queries, scores[queries, class_ids], class_ids)


def detr_classes(shapes: Shapes) -> int | None:
    """All but "no object"."""
    classes = shapes["logits"][1]
    return None if classes is None else classes - 1


def rt_detr_classes(shapes: Shapes) -> int | None:
    """One for each logit of a query."""
    return shapes["logits"][1]


def _candidates(
    outputs: Outputs,
    canvas_size: tuple[int, int],
    queries: np.ndarray[tuple[int], np.dtype[np.intp]],
    scores: Floats,
    class_ids: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> Candidates:
    boxes, ids = outputs["pred_boxes"], class_ids.astype(np.int64)
    if len(boxes) != len(outputs["logits"]):
        raise BundleError(f"{len(outputs['logits'])} queries need as many boxes, got {len(boxes)}")
    pixels = np.tile(np.array(canvas_size, np.float64), 2)
    chosen = corners(boxes[queries].astype(np.float64)) * pixels
    masks = outputs.get("pred_masks")
    found: Ids = ids
    return Candidates(
        chosen, scores, found, None if masks is None else CanvasMasks(masks[queries], 0.0)
    )
