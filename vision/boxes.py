"""The top-level boxes of an MP4 or MOV file (ISO/IEC 14496-12 §4.2), read to explain a failure."""

import os
from pathlib import Path

_FIRST_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"}
_MAX_BOXES = 10_000


def lacks_whole_moov(path: Path) -> bool:
    """Whether the file is an MP4 or MOV that ends before its moov box does."""
    size_bytes = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        for _ in range(_MAX_BOXES):
            # A damaged length may lie further than any file can be sought.
            file.seek(min(position, size_bytes), os.SEEK_SET)
            header = file.read(16)
            kind = header[4:8]
            if position == 0 and kind not in _FIRST_BOXES:
                return False
            if len(header) < 8:
                return True
            length = _box_length(header, size_bytes - position)
            if kind == b"moov":
                return position + length > size_bytes
            if length < 8:
                return False
            position += length
    return False


def _box_length(header: bytes, remaining_bytes: int) -> int:
    length = int.from_bytes(header[:4])
    if length == 1:
        return int.from_bytes(header[8:16])
    return remaining_bytes if length == 0 else length
