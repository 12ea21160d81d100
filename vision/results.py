"""
Write and read an attempt's files.

A file appears in the attempt's folder only when it is whole: it is written elsewhere and moved, so
whoever copies the folder away while it fills never sees half a file
under its own name (from another file system it grows as a hidden `.partial` beside it).
"""

import errno
import gzip
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from contracts.documents import from_json, to_json
from contracts.keys import ATTEMPT_DOCUMENT, DETECTIONS_FILE, segmentation_file
from contracts.results import (
    AttemptDocument,
    Box,
    Detection,
    FrameRecord,
    FrameResult,
    ResultFile,
)
from vision.models.base import Prediction

_GZIP_LEVEL = 6


class AttemptWriter:
    """
    Writes one attempt's files, frame by frame; leaves none of them when the context fails.

    Args:
        folder: The attempt's folder; made when missing.
        scratch: Where files grow; on the folder's file system moving them is free. The system's
            temporary folder unless given.
    """

    def __init__(self, folder: Path, scratch: Path | None = None) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scratch = Path(tempfile.mkdtemp(prefix="framewright-", dir=scratch))
        self._files: list[ResultFile] = []
        self._growing = self._scratch / DETECTIONS_FILE
        self._hashed = _HashedFile(self._growing)
        # Neither name nor time in the header: the same results are the same bytes.
        self._lines = gzip.GzipFile(
            filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=self._hashed, mtime=0
        )

    def write(self, frame: FrameRecord, prediction: Prediction) -> None:
        """Append one frame's result, and its class map if it has one."""
        segmentation = class_map = None
        if prediction.class_map is not None:
            segmentation = segmentation_file(frame.frame_index)
            class_map = encode_class_map(prediction.class_map)
        detections = tuple(_plain_detection(found) for found in prediction.detections)
        self.append(FrameResult(frame, detections, segmentation), class_map)

    def append(self, result: FrameResult, class_map: bytes | None) -> None:
        """Append one frame's result as it will be read, with the PNG that it names."""
        if result.segmentation is not None and class_map is not None:
            self._publish(result.segmentation, class_map)
        self._lines.write(to_json(result).encode() + b"\n")

    def finish(self) -> tuple[ResultFile, ...]:
        """Close the detections; all files but `attempt.json`, in the order of their names."""
        self._lines.close()
        self._hashed.close()
        _move(self._growing, self._folder / DETECTIONS_FILE)
        self._files.append(self._hashed.described(DETECTIONS_FILE))
        return tuple(sorted(self._files, key=lambda file: file.name))

    def discard(self) -> None:
        """Take back every file written so far."""
        for file in [*self._files, ResultFile(DETECTIONS_FILE, 0, "")]:
            (self._folder / file.name).unlink(missing_ok=True)
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._hashed.close()
        if error is not None:
            self.discard()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _publish(self, name: str, content: bytes) -> None:
        growing = self._scratch / "file"
        growing.write_bytes(content)
        _move(growing, self._folder / name)
        digest = hashlib.sha256(content).hexdigest()
        self._files.append(ResultFile(name, len(content), digest))


def write_attempt(document: AttemptDocument, folder: Path, scratch: Path | None = None) -> None:
    """Write `attempt.json`, which says that all other files are there."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="framewright-", dir=scratch) as growing_folder:
        growing = Path(growing_folder) / ATTEMPT_DOCUMENT
        growing.write_text(to_json(document), encoding="utf-8")
        _move(growing, folder / ATTEMPT_DOCUMENT)


def read_attempt(folder: Path) -> AttemptDocument:
    """
    Read an attempt's `attempt.json`.

    Raises:
        DocumentError: It is no such document.
        FileNotFoundError: The attempt did not end.
    """
    return from_json(AttemptDocument, (folder / ATTEMPT_DOCUMENT).read_bytes())


def read_detections(path: Path) -> Iterator[FrameResult]:
    """
    The lines of a `detections.jsonl.gz`, one at a time.

    Raises:
        DocumentError: A line is no frame result.
    """
    with gzip.open(path, "rb") as lines:
        for line in lines:
            yield from_json(FrameResult, line)


def encode_class_map(class_map: NDArray[np.uint8]) -> bytes:
    """A class map, uint8 of shape (H, W), as an 8-bit grey PNG."""
    import cv2  # Costs a tenth of a second, and most models make no class maps.

    whole, encoded = cv2.imencode(".png", class_map)
    if not whole:
        raise ValueError(f"no PNG can be made of {class_map.dtype} {class_map.shape}")
    return bytes(encoded)


def read_class_map(path: Path) -> NDArray[np.uint8]:
    """The class map in a PNG: uint8, shape (H, W)."""
    import cv2

    pixels = np.frombuffer(path.read_bytes(), np.uint8)
    class_map = cv2.imdecode(pixels, cv2.IMREAD_UNCHANGED)
    if class_map is None or class_map.ndim != 2:
        raise ValueError(f"{path.name} is no 8-bit class map")
    return np.asarray(class_map, np.uint8)


class _HashedFile(io.RawIOBase):
    """A file that is hashed while it is written, and so is not read again."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self._size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._digest.update(data)
        self._size_bytes += len(data)
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        super().close()

    def described(self, name: str) -> ResultFile:
        return ResultFile(name, self._size_bytes, self._digest.hexdigest())


def _plain_detection(detection: Detection) -> Detection:
    """Models compute with numpy; documents hold Python's own numbers."""
    x_min, y_min, x_max, y_max = map(float, detection.box)
    box: Box = (x_min, y_min, x_max, y_max)
    return Detection(
        class_id=int(detection.class_id),
        class_name=detection.class_name,
        score=float(detection.score),
        box=box,
        mask=detection.mask,
    )


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # Another file system: the copy is made under another name beside the target.
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.replace(target)
