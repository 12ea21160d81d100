"""Semantic segmentation: a class for each pixel."""

from vision.models.decoders.base import ClassMap, Outputs, Shapes
from vision.models.spec import DecoderSpec


def decode_class_logits(outputs: Outputs, _: DecoderSpec, __: tuple[int, int]) -> ClassMap:
    """`logits` (classes, h, w) over the canvas, at any resolution; probabilities do as well."""
    return ClassMap(outputs["logits"])


def decode_class_ids(outputs: Outputs, _: DecoderSpec, __: tuple[int, int]) -> ClassMap:
    """`class_ids` (h, w) over the canvas, of graphs that end in an argmax."""
    return ClassMap(outputs["class_ids"])


def class_logits_classes(shapes: Shapes) -> int | None:
    """One for each plane."""
    return shapes["logits"][0]
