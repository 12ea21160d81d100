"""`builtin:people`: OpenCV's HOG pedestrian detector, which needs no download."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.messages import Model
from contracts.models import resolve_model
from contracts.results import Detection, Engine
from vision.frames import FrameBatch, Pixels, Placement
from vision.models.base import ModelInput, Prediction, Task
from vision.models.nms import Indices, non_maximum_suppression, overlaps

WINDOW_SIZE = (64, 128)
"""Width and height of the detector's window: nobody smaller is found."""
WORKING_SIDE_PX = 1280
"""The longer side of a larger picture is brought down to this, which bounds the time it takes."""
MARGIN_X, MARGIN_Y = 0.17, 0.10
"""
What a window leaves free on each side of the person, as parts of its width and height.

Medians measured: 0.20 and 0.11 on drawn figures whose boxes are exact; 0.13 and 0.09 on filmed
people, against another detector's boxes. (The windows it was trained on left 0.25 and 0.125.)
"""
HIT_THRESHOLD = 0.4
"""Least decision value: windows in a filmed room without people reached about this."""
MIN_SUPPORT = 2
"""Windows that must agree on a person: a window that no shifted or scaled one confirms is noise."""
NMS_IOU = 0.3
NMS_CONTAINMENT = 0.65
"""The detector fires on one person at several scales: a box mostly inside a better one goes."""


class PeopleModel:
    """
    Pedestrians by histograms of oriented gradients and a linear SVM (Dalal and Triggs, 2005).

    A score is the logistic function of twice the SVM's decision value: 0.5 lies on the decision
    boundary and order is kept, but it is no calibrated probability.
    """

    identity: Model
    task = Task.DETECTION
    input = ModelInput(size=None)
    engine: Engine

    def __init__(self) -> None:
        self.identity = resolve_model("builtin:people")
        self.engine = Engine("opencv", cv2.__version__, "cpu")

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """One prediction for each frame of the batch, in its order."""
        return [Prediction(self._detect(pixels, batch.placement)) for pixels in batch.pixels]

    @cached_property
    def _hog(self) -> cv2.HOGDescriptor:
        hog = cv2.HOGDescriptor()
        hog.setSVMDetector(np.array(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
        return hog

    def _detect(self, pixels: Pixels, placement: Placement) -> tuple[Detection, ...]:
        height, width = pixels.shape[:2]
        reduction = min(1.0, WORKING_SIDE_PX / max(width, height))
        size = (round(width * reduction), round(height * reduction))
        # Below its window's size the detector writes beyond its buffers (OpenCV 4.14: heap damage).
        if size[0] < WINDOW_SIZE[0] or size[1] < WINDOW_SIZE[1]:
            return ()
        # OpenCV's own order. It hardly matters: of a pixel's three gradients the steepest counts,
        # and the order decides ties alone (weights differ by at most 0.05 on filmed frames).
        picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        if reduction < 1.0:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        found, weights = self._hog.detectMultiScale(
            picture,
            hitThreshold=HIT_THRESHOLD,
            winStride=(8, 8),
            padding=(16, 16),
            scale=1.05,
            groupThreshold=0,
        )
        if len(found) == 0:
            return ()
        boxes = _tightened(np.asarray(found, np.float64))
        values = np.asarray(weights, np.float64).reshape(-1)
        kept = non_maximum_suppression(
            boxes,
            values,
            np.zeros(len(boxes), np.int64),
            iou=NMS_IOU,
            containment=NMS_CONTAINMENT,
        )
        kept = kept[_support(boxes, kept) >= MIN_SUPPORT]
        scores = 1.0 / (1.0 + np.exp(-2.0 * values))
        return tuple(
            Detection(
                0, "person", float(scores[i]), placement.to_source(_box(boxes[i] / reduction))
            )
            for i in kept
        )


def _support(boxes: NDArray[np.float64], kept: Indices) -> Indices:
    """For each kept box, how many of all boxes overlap it by more than half, itself included."""
    return np.array([int((overlaps(boxes[i], boxes)[0] > 0.5).sum()) for i in kept], np.intp)


def _tightened(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windows `(x, y, width, height)` as corners, less the margin around the person."""
    x, y, width, height = windows.T
    aside, above = MARGIN_X * width, MARGIN_Y * height
    return np.stack([x + aside, y + above, x + width - aside, y + height - above], axis=1)


def _box(corners: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (float(value) for value in corners)
    return x_min, y_min, x_max, y_max
