"""Non-maximum suppression: of boxes that overlap much, the one with the highest score stays."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Indices = NDArray[np.intp]


def non_maximum_suppression(
    boxes: Floats,
    scores: Floats,
    class_ids: NDArray[np.int64],
    *,
    iou: float,
    containment: float | None = None,
) -> Indices:
    """
    Indices of the boxes that stay, highest score first; classes do not suppress one another.

    Equal scores keep the order they came in, so the answer is the same on every machine.

    Args:
        boxes: Corners `(x_min, y_min, x_max, y_max)`, shape (N, 4).
        iou: A box goes when its intersection over union with a better one exceeds this.
        containment: A box also goes when more than this part of the smaller of the two lies in
            the other one.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        overlap, contained = overlaps(boxes[best], boxes[rest])
        suppressed = overlap > iou
        if containment is not None:
            suppressed |= contained > containment
        order = rest[~suppressed | (class_ids[rest] != class_ids[best])]
    return np.array(kept, dtype=np.intp)


def overlaps(box: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Intersection of a box with others over the union, and over the smaller area; 0 for none."""
    low = np.maximum(others[:, :2], box[:2])
    high = np.minimum(others[:, 2:], box[2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=1)
    area = float(np.prod(box[2:] - box[:2]))
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union, smaller = areas + area - intersection, np.minimum(areas, area)
    zeros = np.zeros_like(intersection)
    return (
        np.divide(intersection, union, out=zeros.copy(), where=union > 0),
        np.divide(intersection, smaller, out=zeros, where=smaller > 0),
    )
