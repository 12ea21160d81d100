"""
The other ways to get chosen frames out of a video, each as its users would write it.

A reader takes a path, the indices of the wanted frames (ascending) and a size `(width, height)` or
None, and gives uint8 RGB frames (H, W, 3) in that order. What a reader imports is imported by
`prepare`, outside the measured time.
"""

import importlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import FailedError, NotInstalledError

Pixels = NDArray[np.uint8]
Size = tuple[int, int] | None
Reader = Callable[[Path, Sequence[int], Size], Iterator[Pixels]]

USUAL = "cv2 read"
"""The field's usual way: read every frame, keep the wanted."""
ALL_TO_RGB = "pyav all to rgb"
DECODE_ONLY = "ffmpeg to null"
"""Decodes everything and gives nothing: a yardstick, not an entrant."""

_CHUNK = 16
"""Frames asked of decord and torchcodec at once: fewer is slower, more takes more memory."""


def cv2_read(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    capture, waiting, index = _open(path), set(wanted), 0
    while True:
        whole, picture = capture.read()
        if not whole:
            return
        if index in waiting:
            yield _resized(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), size)
        index += 1


def cv2_read_until_last(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    capture, waiting = _open(path), set(wanted)
    for index in range(wanted[-1] + 1):
        whole, picture = capture.read()
        if not whole:
            return
        if index in waiting:
            yield _resized(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), size)


def cv2_grab(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    capture, waiting = _open(path), set(wanted)
    for index in range(wanted[-1] + 1):
        if not capture.grab():
            return
        if index in waiting:
            _, picture = capture.retrieve()
            yield _resized(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), size)


def pyav_all(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    """Every frame to RGB, as most examples have it."""
    import av

    waiting = set(wanted)
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            if index in waiting:
                yield _resized(picture, size)


def pyav_sequential(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    return _pyav(path, wanted, size, "SLICE")


def pyav_frame_threads(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    return _pyav(path, wanted, size, "AUTO")


def decord_batches(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    import decord

    width, height = size or (-1, -1)
    try:
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), width=width, height=height)
    except decord.DECORDError as error:
        raise FailedError("cannot open the file") from error
    for start in range(0, len(wanted), _CHUNK):
        yield from reader.get_batch(list(wanted[start : start + _CHUNK])).asnumpy()


def torchcodec_batches(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    decoders = importlib.import_module("torchcodec.decoders")
    try:
        # 0 lets FFmpeg take all cores; the default is one.
        decoder = decoders.VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=0)
    except (RuntimeError, ValueError) as error:
        raise FailedError("cannot open the file") from error
    for start in range(0, len(wanted), _CHUNK):
        chunk = decoder.get_frames_at(list(wanted[start : start + _CHUNK])).data.numpy()
        for picture in chunk:
            yield _resized(picture, size)


def ffmpeg_fps(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    """One frame a second by the command line; without `round=up` the filter picks others."""
    return _ffmpeg(path, "fps=1:round=up", len(wanted), size)


def ffmpeg_fps_default(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    """What most answers on the web say; here to be seen failing."""
    return _ffmpeg(path, "fps=1", len(wanted), size)


def ffmpeg_select(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    chosen = "+".join(f"eq(n\\,{index})" for index in wanted)
    return _ffmpeg(path, f"select={chosen}", len(wanted), size)


def ffmpeg_null(path: Path, wanted: Sequence[int], size: Size) -> Iterator[Pixels]:
    command = [_ffmpeg_binary(), "-v", "error", "-i", str(path), "-an", "-f", "null", "-"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return iter(())


SAMPLERS: dict[str, Reader] = {
    USUAL: cv2_read,
    "cv2 grab": cv2_grab,
    ALL_TO_RGB: pyav_all,
    "pyav": pyav_sequential,
    "pyav frame threads": pyav_frame_threads,
    "decord": decord_batches,
    "torchcodec": torchcodec_batches,
    "ffmpeg fps": ffmpeg_fps,
    "ffmpeg fps default": ffmpeg_fps_default,
    DECODE_ONLY: ffmpeg_null,
}
"""For frames at an even interval of a long video."""

CLIP_READERS: dict[str, Reader] = {
    USUAL: cv2_read,
    "cv2 until last": cv2_read_until_last,
    "cv2 grab": cv2_grab,
    "pyav": pyav_sequential,
    "decord": decord_batches,
    "torchcodec": torchcodec_batches,
    "ffmpeg select": ffmpeg_select,
}
"""For given frames of short clips."""

_NEEDS = {"decord": "decord", "torchcodec": "torchcodec.decoders"}


def prepare(peer: str) -> None:
    """
    Import what a peer needs.

    Raises:
        NotInstalledError: It is not there.
    """
    module = _NEEDS.get(peer)
    if peer.startswith("pyav"):
        module = "av"
    elif peer.startswith("ffmpeg"):
        _ffmpeg_binary()
    if module is None:
        return
    try:
        importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        # torchcodec is installed but of no use where FFmpeg's libraries are missing.
        reason = "not installed" if isinstance(error, ModuleNotFoundError) else "does not load"
        raise NotInstalledError(reason) from error


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise FailedError("cannot open the file")
    return capture


def _pyav(path: Path, wanted: Sequence[int], size: Size, threads: str) -> Iterator[Pixels]:
    import av

    waiting, last = set(wanted), wanted[-1]
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = threads
        for index, frame in enumerate(container.decode(video=0)):
            if index in waiting:
                width, height = size or (frame.width, frame.height)
                scaled = frame.reformat(width, height, "rgb24", interpolation="AREA")
                yield np.asarray(scaled.to_ndarray(), np.uint8)
            if index == last:
                return


def _ffmpeg(path: Path, choose: str, count: int, size: Size) -> Iterator[Pixels]:
    width, height = size or _size_of(path)
    filters = f"{choose},scale={width}:{height}:flags=area" if size else choose
    command = [_ffmpeg_binary(), "-v", "error", "-i", str(path), "-an", "-vf", filters]
    command += ["-fps_mode", "passthrough", "-frames:v", str(count + 1)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    frame_bytes = width * height * 3
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        while len(content := process.stdout.read(frame_bytes)) == frame_bytes:
            yield np.frombuffer(content, np.uint8).reshape(height, width, 3)


def _size_of(path: Path) -> tuple[int, int]:
    capture = _open(path)
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    return width, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def _ffmpeg_binary() -> str:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise NotInstalledError("not installed") from error


def _resized(picture: NDArray[Any], size: Size) -> Pixels:
    if size is None or picture.shape[1::-1] == size:
        return np.asarray(picture, np.uint8)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
