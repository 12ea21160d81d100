"""Decoders by the names that `model.json` calls them."""

from collections.abc import Mapping

from vision.models.base import Task
from vision.models.bundle import BundleError
from vision.models.decoders import boxes, detr, semantic, yolo
from vision.models.decoders.base import Decoder

_PLAIN = {"boxes": ("boxes", "4"), "labels": ("boxes",), "scores": ("boxes",)}
_PROTOTYPES = {"output1": ("coefficients", "h", "w")}
_QUERIES = {"pred_boxes": ("queries", "4")}
_QUERY_MASKS = {"pred_masks": ("queries", "h", "w")}
_DETR = {"logits": ("queries", "classes + 1"), **_QUERIES}
_RT_DETR = {"logits": ("queries", "classes"), **_QUERIES}

DECODERS: Mapping[str, Decoder] = {
    "boxes_labels_scores": Decoder({Task.DETECTION: _PLAIN}, boxes.decode_boxes_labels_scores),
    "torchvision": Decoder(
        {
            Task.DETECTION: _PLAIN,
            Task.INSTANCE_SEGMENTATION: {**_PLAIN, "masks": ("boxes", "1", "h", "w")},
        },
        boxes.decode_torchvision,
    ),
    "fastestdet": Decoder(
        {Task.DETECTION: {"output": ("5 + classes", "h", "w")}},
        boxes.decode_fastestdet,
        boxes.fastestdet_classes,
        suppresses=False,
    ),
    "yolov5": Decoder(
        {
            Task.DETECTION: {"output0": ("boxes", "5 + classes")},
            Task.INSTANCE_SEGMENTATION: {
                "output0": ("boxes", "5 + classes + coefficients"),
                **_PROTOTYPES,
            },
        },
        yolo.decode_yolov5,
        yolo.yolov5_classes,
        suppresses=False,
    ),
    "yolov8": Decoder(
        {
            Task.DETECTION: {"output0": ("4 + classes", "boxes")},
            Task.INSTANCE_SEGMENTATION: {
                "output0": ("4 + classes + coefficients", "boxes"),
                **_PROTOTYPES,
            },
        },
        yolo.decode_yolov8,
        yolo.yolov8_classes,
        suppresses=False,
    ),
    "yolo_end_to_end": Decoder(
        {
            Task.DETECTION: {"output0": ("boxes", "6")},
            Task.INSTANCE_SEGMENTATION: {"output0": ("boxes", "6 + coefficients"), **_PROTOTYPES},
        },
        yolo.decode_yolo_end_to_end,
    ),
    "detr": Decoder(
        {Task.DETECTION: _DETR, Task.INSTANCE_SEGMENTATION: {**_DETR, **_QUERY_MASKS}},
        detr.decode_detr,
        detr.detr_classes,
    ),
    "rt_detr": Decoder(
        {Task.DETECTION: _RT_DETR, Task.INSTANCE_SEGMENTATION: {**_RT_DETR, **_QUERY_MASKS}},
        detr.decode_rt_detr,
        detr.rt_detr_classes,
    ),
    "class_logits": Decoder(
        {Task.SEMANTIC_SEGMENTATION: {"logits": ("classes", "h", "w")}},
        semantic.decode_class_logits,
        semantic.class_logits_classes,
    ),
    "class_ids": Decoder(
        {Task.SEMANTIC_SEGMENTATION: {"class_ids": ("h", "w")}}, semantic.decode_class_ids
    ),
}


def decoder_named(name: str) -> Decoder:
    """
    The decoder of this name.

    Raises:
        BundleError: There is none.
    """
    if name not in DECODERS:
        raise BundleError(f"unknown decoder {name!r}; known are {', '.join(DECODERS)}")
    return DECODERS[name]
