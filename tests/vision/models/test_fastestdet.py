"""A real detector on a real video; both are kept beside the checkout, not in it."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cli.truth import iou
from tests.vision.models.graphs import a_batch
from vision.frames import stretch
from vision.models.base import ResizeMode, Task
from vision.models.bundle import pack_bundle
from vision.models.load import load_bundle
from vision.models.spec import (
    BundleSpec,
    ColorOrder,
    DecoderSpec,
    InputSpec,
    InputType,
    Layout,
)

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
SIZE = (352, 352)
BLACK_CAR = (825.0, 408.0, 938.0, 498.0)
"""It keeps its place through the clip."""

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no real videos and models in ../{DATA.name}"),
]


def fastestdet_spec() -> BundleSpec:
    labels = (DATA / "models" / "coco.names").read_text().split("\n")
    return BundleSpec(
        name="FastestDet",
        task=Task.DETECTION,
        input=InputSpec(
            *SIZE,
            resize=ResizeMode.STRETCH,
            color_order=ColorOrder.BGR,
            scale=1 / 255,
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
            layout=Layout.NCHW,
            dtype=InputType.FLOAT32,
        ),
        decoder=DecoderSpec("fastestdet", score=0.5, iou=0.45, outputs={"output": "758"}),
        labels=tuple(label for label in labels if label),
    )


def test_cars_are_found_in_every_frame_of_the_highway(tmp_path: Path) -> None:
    bundle = tmp_path / "model.tar.gz"
    pack_bundle(DATA / "models" / "fastestdet.onnx", fastestdet_spec(), bundle)
    model = load_bundle(bundle)
    best = []
    with av.open(str(DATA / "videos" / "highway.mp4")) as video:
        for frame in video.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            canvas = np.asarray(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
            batch = a_batch(canvas[None], stretch((frame.width, frame.height), SIZE))
            (prediction,) = model.predict(batch)
            cars = [found for found in prediction.detections if found.class_name == "car"]
            best.append(max((car.score for car in cars), default=0.0))
            assert max(iou(car.box, BLACK_CAR) for car in cars) > 0.7
    assert len(best) == 38
    assert min(best) > 0.65
