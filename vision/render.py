"""Results drawn onto pictures: annotated PNG and MP4, and contact sheets."""

import colorsys
import itertools
import math
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from contracts.keys import segmentation_file
from contracts.results import Detection, FrameResult, Mask
from vision.encode import VideoWriter
from vision.frames import Pixels
from vision.masks import decode_mask, mask_box
from vision.results import read_class_map

Color = tuple[int, int, int]

MASK_OPACITY = 0.45
CLASS_MAP_OPACITY = 0.5
MAX_TILES = 120
"""Most pictures on a contact sheet; of more, every second, fourth … is shown."""

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 22.0
"""Of OpenCV's simplex font at scale 1."""


def class_color(class_id: int) -> Color:
    """The RGB colour of a class, the same everywhere; hues of neighbouring ids lie far apart."""
    hue = (0.36 + class_id * _GOLDEN_RATIO) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def annotate(
    pixels: Pixels, result: FrameResult, class_map: NDArray[np.uint8] | None = None
) -> Pixels:
    """
    A copy of a picture with what was found in it.

    Args:
        pixels: uint8 RGB at source size, shape (H, W, 3).
        class_map: Class ids, shape (H, W), for semantic segmentation; 0 is left as it is.
    """
    canvas = np.ascontiguousarray(pixels).copy()
    if class_map is not None:
        _tint_class_map(canvas, class_map)
    for detection in reversed(result.detections):
        if detection.mask is not None:
            _tint(canvas, detection.mask, class_color(detection.class_id))
    for detection in reversed(result.detections):
        _draw_box(canvas, detection)
    for detection in reversed(result.detections):
        _draw_label(canvas, detection)
    return canvas


def write_annotated_picture(
    pixels: Pixels, result: FrameResult, target: Path, *, attempt: Path | None = None
) -> None:
    """Write one annotated picture as PNG; `attempt` is the folder with the result's class map."""
    _write_png(_annotated(pixels, result, attempt), target)


def write_annotated_video(
    pairs: Iterable[tuple[Pixels, FrameResult]], target: Path, *, attempt: Path | None = None
) -> int:
    """
    Write annotated pictures as H.264 MP4, each shown from its frame's time on; return how many.

    The first picture is shown at 0 s, the others as long after it as their times say. Pairs are
    taken one at a time, so memory does not grow with the video.

    Args:
        attempt: The attempt's folder, whose class maps are drawn where results name them.

    Raises:
        ValueError: There is no picture, sizes change, or times do not ascend.
    """
    remaining = iter(pairs)
    first = next(remaining, None)
    if first is None:
        raise ValueError(f"no picture to write to {target.name}")
    height, width = first[0].shape[:2]
    start_s, count = first[1].frame.time_s, 0
    with VideoWriter(target, (width, height)) as video:
        for pixels, result in itertools.chain([first], remaining):
            video.write(_annotated(pixels, result, attempt), result.frame.time_s - start_s)
            count += 1
    return count


def write_contact_sheet(
    pairs: Iterable[tuple[Pixels, FrameResult]],
    target: Path,
    *,
    columns: int = 4,
    tile_width: int = 480,
    attempt: Path | None = None,
) -> int:
    """
    Write annotated pictures side by side as one PNG, each marked with its time; return how many.

    Of more than `MAX_TILES` pictures an even choice is shown, so that memory does not grow with
    the video.

    Args:
        attempt: The attempt's folder, whose class maps are drawn where results name them.

    Raises:
        ValueError: There is no picture.
    """
    tiles: list[Pixels] = []
    stride = 1
    for i, (pixels, result) in enumerate(pairs):
        if i % stride:
            continue
        if len(tiles) == MAX_TILES:
            tiles, stride = tiles[::2], 2 * stride
            if i % stride:
                continue
        tiles.append(_tile(_annotated(pixels, result, attempt), result, tile_width))
    if not tiles:
        raise ValueError(f"no picture to write to {target.name}")
    height = max(tile.shape[0] for tile in tiles)
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, min(columns, len(tiles)) * tile_width, 3), np.uint8)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        top, left = row * height, column * tile_width
        sheet[top : top + tile.shape[0], left : left + tile_width] = tile
    _write_png(sheet, target)
    return len(tiles)


def _tile(annotated: Pixels, result: FrameResult, width: int) -> Pixels:
    source_height, source_width = annotated.shape[:2]
    size = (width, max(1, round(source_height * width / source_width)))
    tile = np.asarray(cv2.resize(annotated, size, interpolation=cv2.INTER_AREA), np.uint8)
    text = f"{result.frame.time_s:.2f} s  frame {result.frame.frame_index}"
    _draw_text(tile, text, (0, 0), (0, 0, 0))
    return tile


def _annotated(pixels: Pixels, result: FrameResult, attempt: Path | None) -> Pixels:
    class_map = None
    if attempt is not None and result.segmentation is not None:
        # By the frame's number: a name in somebody's file may lead anywhere.
        class_map = read_class_map(attempt / segmentation_file(result.frame.frame_index))
    return annotate(pixels, result, class_map)


def _tint(canvas: Pixels, mask: Mask, color: Color) -> None:
    # All but the mask's own part of the picture stays untouched, and costs nothing.
    x_min, y_min, x_max, y_max = mask_box(mask)
    if x_min == x_max:
        return
    part = canvas[y_min:y_max, x_min:x_max]
    bitmap = decode_mask(mask)[y_min:y_max, x_min:x_max]
    blended = part[bitmap] * (1 - MASK_OPACITY) + np.array(color) * MASK_OPACITY
    part[bitmap] = blended.astype(np.uint8)
    outline, _ = cv2.findContours(
        bitmap.astype(np.uint8),
        cv2.RETR_EXTERNAL,
        cv2.CHAIN_APPROX_NONE,
        offset=(x_min, y_min),
    )
    cv2.drawContours(canvas, outline, -1, color, 1, cv2.LINE_AA)


def _tint_class_map(canvas: Pixels, class_map: NDArray[np.uint8]) -> None:
    palette = np.array([class_color(class_id) for class_id in range(256)], np.float32)
    seen = class_map > 0
    blended = canvas[seen] * (1 - CLASS_MAP_OPACITY) + palette[class_map[seen]] * CLASS_MAP_OPACITY
    canvas[seen] = blended.astype(np.uint8)


def _draw_box(canvas: Pixels, detection: Detection) -> None:
    thick = max(2, round(min(canvas.shape[:2]) / 270))
    x_min, y_min, x_max, y_max = (round(side) for side in detection.box)
    # A dark rim keeps the line visible on ground of its own colour.
    for color, width in (((0, 0, 0), thick + 2), (class_color(detection.class_id), thick)):
        cv2.rectangle(canvas, (x_min, y_min), (x_max, y_max), color, width, cv2.LINE_AA)


def _draw_label(canvas: Pixels, detection: Detection) -> None:
    text = f"{detection.class_name} {detection.score:.2f}"
    x_min, y_min = round(detection.box[0]), round(detection.box[1])
    _draw_text(canvas, text, (x_min, y_min), class_color(detection.class_id), above=True)


def _draw_text(
    canvas: Pixels, text: str, corner: tuple[int, int], ground: Color, *, above: bool = False
) -> None:
    """Text on a plate of its own, kept within the picture; black or white, what reads better."""
    height, width = canvas.shape[:2]
    scale = max(13.0, min(height, width) / 38) / _FONT_HEIGHT_PX
    stroke = max(1, round(scale * 1.6))
    # OpenCV's built-in font has ASCII alone.
    shown = text.encode("ascii", "replace").decode()
    (text_width, text_height), baseline = cv2.getTextSize(shown, _FONT, scale, stroke)
    plate = (text_width + 6, text_height + baseline + 4)
    left = max(0, min(corner[0], width - plate[0]))
    top = corner[1] - plate[1] if above else corner[1]
    top = max(0, min(top, height - plate[1]))
    cv2.rectangle(canvas, (left, top), (left + plate[0], top + plate[1]), ground, -1)
    luminance = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]
    ink = (0, 0, 0) if luminance > 140 else (255, 255, 255)
    origin = (left + 3, top + text_height + 2)
    cv2.putText(canvas, shown, origin, _FONT, scale, ink, stroke, cv2.LINE_AA)


def _write_png(pixels: Pixels, target: Path) -> None:
    _, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    target.write_bytes(encoded.tobytes())
