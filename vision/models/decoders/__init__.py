"""
Decoders: from a graph's output tensors of one frame to candidates on the canvas.

A decoder neither suppresses nor maps boxes to the source picture; `vision.models.detections` does,
the same for all. docs/models.md has the table of all decoders and the shapes they read.
"""
