import numpy as np
import pytest

from tests.vision.models.graphs import a_placed
from vision.masks import decode_mask
from vision.models.bundle import BundleError
from vision.models.decoders.detr import decode_detr, decode_rt_detr, detr_classes, rt_detr_classes
from vision.models.detections import detections_from
from vision.models.spec import DecoderSpec

SPEC = DecoderSpec("detr", 0.4)
CANVAS = (100, 50)
BOXES = np.array([[0.3, 0.4, 0.2, 0.2], [0.5, 0.5, 1.0, 1.0]], np.float32)


def test_detr_takes_the_softmax_and_drops_no_object() -> None:
    # Probabilities (1/10, 6/10, 3/10) and (1/10, 1/10, 8/10), the last of each being no object.
    logits = np.log(np.array([[1, 6, 3], [1, 1, 8]], np.float32)) + 50
    found = decode_detr({"logits": logits, "pred_boxes": BOXES}, SPEC, CANVAS)
    assert found.boxes.tolist() == [pytest.approx([20, 15, 40, 25], abs=1e-4)]
    assert found.scores == pytest.approx([0.6], abs=1e-5)
    assert found.class_ids.tolist() == [1]


def test_rt_detr_takes_each_class_by_its_sigmoid() -> None:
    # σ(ln 3) = 3/4, σ(0) = 1/2, σ(-ln 3) = 1/4.
    third = np.log(3)
    logits = np.array([[third, -third, 0], [-third, -third, -third]], np.float32)
    found = decode_rt_detr({"logits": logits, "pred_boxes": BOXES}, SPEC, CANVAS)
    assert found.boxes.tolist() == [pytest.approx([20, 15, 40, 25], abs=1e-4)] * 2
    assert found.scores == pytest.approx([0.75, 0.5], abs=1e-6)
    assert found.class_ids.tolist() == [0, 2]


def test_masks_come_as_logits_over_the_canvas() -> None:
    masks = np.full((2, 5, 10), -3.0, np.float32)
    masks[0, :, :5] = 3.0
    logits = np.array([[9, 0, 0], [0, 0, 9]], np.float32)
    outputs = {"logits": logits, "pred_boxes": BOXES, "pred_masks": masks}
    found = decode_detr(outputs, SPEC, CANVAS)
    (detection,) = detections_from(found, SPEC, ("car", "person"), a_placed(CANVAS))
    assert detection.mask is not None
    bitmap = decode_mask(detection.mask)
    assert bitmap[:, :50].all()
    assert not bitmap[:, 50:].any()


def test_the_shapes_tell_how_many_classes_there_are() -> None:
    assert detr_classes({"logits": (100, 92), "pred_boxes": (100, 4)}) == 91
    assert rt_detr_classes({"logits": (300, 80), "pred_boxes": (300, 4)}) == 80
    assert detr_classes({"logits": (100, None), "pred_boxes": (100, 4)}) is None


def test_a_query_without_a_box_is_refused() -> None:
    outputs = {"logits": np.zeros((3, 4), np.float32), "pred_boxes": BOXES}
    with pytest.raises(BundleError, match="3 queries need as many boxes, got 2"):
        decode_rt_detr(outputs, SPEC, CANVAS)


@pytest.mark.parametrize("decode", [decode_detr, decode_rt_detr])
@pytest.mark.parametrize("value", [1e30, -1e30, np.inf])
def test_large_logits_do_not_overflow(decode, value: float) -> None:  # type: ignore[no-untyped-def]
    logits = np.array([[value, 0, 0], [5, 0, 0]], np.float32)
    with np.errstate(over="raise", divide="raise", invalid="ignore"):
        found = decode({"logits": logits, "pred_boxes": BOXES}, SPEC, CANVAS)
    assert np.isfinite(found.scores).all()
    assert 0.9 < found.scores.max() <= 1
