"""Instance masks: bytes and time of writing them, against the ways they are written elsewhere."""

import base64
import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.measure import Answer, Stopwatch, WrongAnswerError, in_worker, take_turns
from benchmarks.results import OURS, Result, Settings, compared
from contracts.results import Box, Detection
from vision.masks import decode_mask, paste_mask

_SIDE, _CELLS = 1024, 28
_FRAMES, _INSTANCES = 100, 20
_JSON_FRAMES = 2
"""10 GB of text are not written to see how long they are: so many frames are, and multiplied."""
_USUAL = "json floats"
_HEADS = "json of heads"
"""No masks of the frame yet: whoever reads them must paste them."""

Found = list[tuple[NDArray[np.float32], Box]]
"""A frame's instances: what the mask head says of each, shape (28, 28), and its box."""


def masks(settings: Settings) -> Result:
    """From mask heads and boxes to bytes, for 100 frames of 20 instances at 1024×1024."""
    frames = 10 if settings.quick else _FRAMES
    names = [OURS, *_PEERS]
    turns = {
        name: lambda name=name: in_worker(encoding, 1, entrant=name, frames=frames)
        for name in names
    }
    measured = take_turns(turns, settings.repeats, settings.note)
    title = f"{frames} frames × {_INSTANCES} masks at {_SIDE}², one core"
    result = compared("masks", title, measured, usual=_USUAL, yardsticks=[_HEADS])
    sizes = {name: entry.runs[0]["size_bytes"] for name, entry in measured.items() if entry.runs}
    result.aims = {"share_of_usual_bytes": "≤ 0.01", "share_of_usual_time": "≤ 0.1"}
    result.figures |= {
        "size_mb": {name: round(size / 1e6, 3) for name, size in sizes.items()},
        "share_of_usual_bytes": round(sizes[OURS] / sizes[_USUAL], 6),
        "share_of_usual_time": round((result.ours or 0) / result.peers[_USUAL], 5),
        "usual_measured_on_frames": _JSON_FRAMES,
    }
    return result


def encoding(entrant: str, frames: int) -> Answer:
    """In a worker: encode all frames; the masks read back must be those that went in."""
    count = min(frames, _JSON_FRAMES) if entrant == _USUAL else frames
    made = [instances(seed) for seed in range(count)]
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="framewright-masks-") as folder:
        path = Path(folder) / "masks"
        with watch.running():
            if entrant == OURS:
                ours.write_masks(made, (_SIDE, _SIDE), path)
            else:
                _write_lines(made, _PEERS[entrant], path)
        size_bytes = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    if entrant == OURS:
        _check(made[0])
    # Each frame is a line of its own, so the whole is as many times as long.
    watch.wall_s *= frames / count
    return watch.answer(size_bytes=size_bytes * frames // count)


def instances(seed: int) -> Found:
    """Blobs with bays and bumps, a thirtieth to a third of the frame across, as people are."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(_INSTANCES):
        width, height = np.exp(random.uniform(np.log(30), np.log(340), 2))
        x, y = random.uniform(0, _SIDE - width), random.uniform(0, _SIDE - height)
        found.append((_blob(random), (float(x), float(y), float(x + width), float(y + height))))
    return found


def _blob(random: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = (np.indices((_CELLS, _CELLS)) + 0.5) / _CELLS - 0.5
    angle, radius = np.arctan2(rows, columns), np.hypot(rows, columns)
    edge = np.full_like(radius, 0.4)
    for wave in range(2, 7):
        edge += 0.09 / wave * random.normal() * np.cos(wave * angle + random.uniform(0, 6.3))
    noise = cv2.GaussianBlur(random.normal(0, 0.6, (_CELLS, _CELLS)), (0, 0), 1.5)
    return np.asarray(1 / (1 + np.exp(-(edge - radius) * 25 - noise)), np.float32)


def _json_floats(found: Found) -> bytes:
    """Probabilities of the whole frame, as a model server's JSON answer has them."""
    pasted = [paste_mask(head, box, (_SIDE, _SIDE)).astype(np.float32) for head, box in found]
    return json.dumps([mask.tolist() for mask in pasted]).encode()


def _json_heads(found: Found) -> bytes:
    return json.dumps([{"box": box, "mask": head.tolist()} for head, box in found]).encode()


def _packed_bits(found: Found) -> bytes:
    pasted = [paste_mask(head, box, (_SIDE, _SIDE)) for head, box in found]
    packed = [zlib.compress(np.packbits(mask).tobytes(), 6) for mask in pasted]
    return json.dumps([base64.b64encode(bits).decode() for bits in packed]).encode()


def _png(found: Found) -> bytes:
    pasted = [paste_mask(head, box, (_SIDE, _SIDE)) for head, box in found]
    files = [cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes() for mask in pasted]
    return json.dumps([base64.b64encode(file).decode() for file in files]).encode()


def _coco_full_frame(found: Found) -> bytes:
    """The COCO library on whole frames."""
    from pycocotools import mask as coco

    pasted = [paste_mask(head, box, (_SIDE, _SIDE)) for head, box in found]
    runs = [coco.encode(np.asfortranarray(mask, dtype=np.uint8)) for mask in pasted]
    return json.dumps([run["counts"].decode() for run in runs]).encode()


_PEERS: dict[str, Callable[[Found], bytes]] = {
    _USUAL: _json_floats,
    _HEADS: _json_heads,
    "packed bits, zlib": _packed_bits,
    "png": _png,
    "coco full frame": _coco_full_frame,
}


def _write_lines(made: list[Found], line: Callable[[Found], bytes], path: Path) -> None:
    with path.open("wb") as file:
        for found in made:
            file.write(line(found) + b"\n")


def _check(found: Found) -> None:
    for detection, (head, box) in zip(_detections(found), found, strict=True):
        assert detection.mask is not None
        if not np.array_equal(decode_mask(detection.mask), paste_mask(head, box, (_SIDE, _SIDE))):
            raise WrongAnswerError("a mask read back is not the one written")


def _detections(found: Found) -> Iterator[Detection]:
    for head, box in found:
        mask = ours.instance_mask(head, box, (_SIDE, _SIDE))
        yield Detection(0, "thing", 0.9, box, mask)
