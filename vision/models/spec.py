"""`model.json`: what a bundle says about its graph."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from vision.models.base import ResizeMode, Task

MAX_CANVAS_SIDE_PX = 8192


class ColorOrder(StrEnum):
    """The order of a picture's channels."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(StrEnum):
    """The order of the input tensor's axes."""

    NCHW = "nchw"
    NHWC = "nhwc"


class InputType(StrEnum):
    """The element type of the input tensor."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    UINT8 = "uint8"


class BoxUnits(StrEnum):
    """What box coordinates count: canvas pixels, or fractions of the canvas."""

    PIXELS = "pixels"
    FRACTIONS = "fractions"


class BoxOrder(StrEnum):
    """The order of a box's four numbers."""

    XYXY = "xyxy"
    YXYX = "yxyx"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """
    How a picture becomes the input tensor: `(pixel × scale − mean) / std`, channel by channel.

    Attributes:
        mean: In the channels' `color_order`, after scaling; so is `std`.
        pad_value: Grey around a letterboxed picture, 0 to 255.
    """

    width: int
    height: int
    resize: ResizeMode
    color_order: ColorOrder
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: Layout
    dtype: InputType
    pad_value: int = 114

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if not 1 <= side <= MAX_CANVAS_SIDE_PX:
                raise ValueError(f"{name} must be 1 to {MAX_CANVAS_SIDE_PX} pixels, got {side}")
        if not 0 <= self.pad_value <= 255:
            raise ValueError(f"pad_value must be 0 to 255, got {self.pad_value}")
        if self.scale <= 0 or min(self.std) <= 0:
            raise ValueError(f"scale and std must be above 0, got {self.scale} and {self.std}")
        plain = self.scale == 1 and set(self.mean) == {0} and set(self.std) == {1}
        if self.dtype is InputType.UINT8 and not plain:
            raise ValueError("a uint8 input takes pixels as they are: scale 1, mean 0, std 1")


@dataclass(frozen=True, slots=True)
class DecoderSpec:
    """
    How output tensors become boxes.

    Attributes:
        score: Detections below this score are dropped.
        iou: Non-maximum suppression above this overlap; None where the graph has done it.
        max_detections: Most detections of one frame, the best ones.
        outputs: The graph's output for each of the decoder's; left out where names are the same.
    """

    name: str
    score: float
    iou: float | None = None
    max_detections: int = 100
    box_units: BoxUnits = BoxUnits.PIXELS
    box_order: BoxOrder = BoxOrder.XYXY
    outputs: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ValueError(f"score must be 0 to 1, got {self.score}")
        if self.iou is not None and not 0 <= self.iou <= 1:
            raise ValueError(f"iou must be 0 to 1, got {self.iou}")
        if self.max_detections < 1:
            raise ValueError(f"max_detections must be at least 1, got {self.max_detections}")


@dataclass(frozen=True, slots=True)
class BundleSpec:
    """
    `model.json`: all that must be known about a graph to use it on pictures.

    Attributes:
        labels: Names by class id, from 0; a background class counts.
    """

    SCHEMA: ClassVar[str] = "framewright/model/1"

    name: str
    task: Task
    input: InputSpec
    decoder: DecoderSpec
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("labels must name at least one class")
