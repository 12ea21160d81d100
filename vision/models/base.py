"""What the pipeline asks of a model, whichever engine runs it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contracts.messages import Model
from contracts.results import Detection, Engine
from vision.frames import FrameBatch


class Task(StrEnum):
    """What a model finds."""

    DETECTION = "detection"
    INSTANCE_SEGMENTATION = "instance_segmentation"
    SEMANTIC_SEGMENTATION = "semantic_segmentation"


class ResizeMode(StrEnum):
    """How a picture is brought to a model's input size."""

    STRETCH = "stretch"
    LETTERBOX = "letterbox"


@dataclass(frozen=True, slots=True)
class ModelInput:
    """
    The canvas a model wants.

    Attributes:
        size: `(width, height)` in pixels; None for a model that takes pictures as they are.
        max_batch: Most frames in one call.
        pad_value: Grey of the padding around a letterboxed picture, 0 to 255.
    """

    size: tuple[int, int] | None
    resize: ResizeMode = ResizeMode.STRETCH
    max_batch: int = 1
    pad_value: int = 114


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """
    What a model found in one frame.

    Attributes:
        detections: Boxes and masks in source pixels, highest score first.
        class_map: uint8 class ids at source size, shape (H, W); for semantic segmentation only.
    """

    detections: tuple[Detection, ...] = ()
    class_map: NDArray[np.uint8] | None = None


class VisionModel(Protocol):
    """A loaded model."""

    @property
    def identity(self) -> Model:
        """Its name and digest."""

    @property
    def task(self) -> Task:
        """What it finds."""

    @property
    def input(self) -> ModelInput:
        """The canvas it wants."""

    @property
    def engine(self) -> Engine:
        """What runs it."""

    def predict(self, batch: FrameBatch) -> list[Prediction]:
        """One prediction for each frame of the batch, in its order."""
