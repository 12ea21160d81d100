"""
What the header of a file claims, read before FFmpeg believes it.

An MP4 of a kilobyte can claim four thousand million samples, for each of which a demuxer spends
memory. Boxes (ISO/IEC 14496-12) and elements (RFC 8794) are walked by their lengths; what is not
understood is left to FFmpeg, whose memory the container limits.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from contracts.outcomes import RejectionCode
from vision.faults import RejectedVideoError
from vision.limits import Limits

_KEPT_BOXES = {b"moov", b"moof", b"sidx", b"mfra", b"pssh", b"udta", b"meta", b"uuid"}
"""FFmpeg keeps what they hold; it passes over all others, as it does over what cameras append."""
_HIDING_BOXES = {b"free", b"hoov"}
"""FFmpeg takes them for a moov where there is no other and they begin as one."""
_METADATA_BOXES = {b"udta", b"meta", b"uuid"}
_INNER_BOXES = {b"moov", b"moof", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"traf"}
_MAX_PARTS = 1_000_000
"""Boxes or elements of one file; a day in fragments of half a second has 350,000."""
_PARAMETERS = "of parameters for decoders"
_MAX_PARAMETER_BYTES = 4 << 20
"""Of what decoders are told at first: some hundred bytes, which FFmpeg copies several times."""
_COUNT_AT = {b"stsz": 8, b"stz2": 8, b"elst": 4, b"trun": 4, b"stts": 4}
"""Where a box says how many entries it has, after its header."""

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT, _CLUSTER, _TRACKS, _VOID = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xEC
_TAGS = 0x1254C367
_METADATA_ELEMENTS = {_TAGS, 0x1941A469, 0x1043A770}
"""The others are attachments and chapters."""
_MAX_TAG_BYTES = 64 << 10
"""FFmpeg 8's time for Matroska's tags grows with the cube of their number: 2 s for 1,600 tags."""
_TRACK_ENTRY = 0xAE


@dataclass(slots=True)
class _Track:
    """What one track, or one fragment of one, claims."""

    samples: int = 0
    edits: int = 1
    has_one_size: bool = False
    handlers: set[bytes] = field(default_factory=set)
    ticks: tuple[int, int] = (0, 0)

    @property
    def entries(self) -> int:
        """Of the index that a demuxer makes; every edit may repeat all samples."""
        # Sound of samples of one size and one tick each is not indexed one by one.
        is_sound = b"soun" in self.handlers and b"vide" not in self.handlers
        is_plain = self.has_one_size and self.ticks == (1, 1)
        return 0 if is_sound and is_plain else self.samples * self.edits


@dataclass(slots=True)
class _Contents:
    """What a `moov` or a `moof` claims."""

    tracks: list[_Track] = field(default_factory=list)
    metadata_bytes: int = 0


def check_claims(path: Path, limits: Limits) -> None:
    """
    Check what a file claims of itself, as far as it is an MP4, a MOV or a Matroska.

    Raises:
        RejectedVideoError: It claims more than is allowed, or hides what it claims.
        OSError: The file cannot be read.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) == _EBML:
            _check_elements(file, size_bytes, limits)
        else:
            # FFmpeg takes an MP4 that begins with a box of any kind; a file of no boxes ends soon.
            _check_boxes(file, size_bytes, limits)


def _check_boxes(file: BinaryIO, size_bytes: int, limits: Limits) -> None:
    header_bytes = metadata_bytes = samples = 0
    for kind, start, end in _boxes(file, 0, size_bytes):
        if kind in _HIDING_BOXES:
            file.seek(start)
            kind = b"moov" if file.read(8)[4:] in (b"mvhd", b"cmov") else kind
        if kind not in _KEPT_BOXES:
            continue
        if kind == b"moof":
            limits.check_header(end - start)
        else:
            header_bytes += end - start
            limits.check_header(header_bytes)
        if kind in _METADATA_BOXES:
            metadata_bytes += end - start
        elif kind in (b"moov", b"moof"):
            contents = _contents(file, start, end, limits)
            metadata_bytes += contents.metadata_bytes
            samples += sum(track.entries for track in contents.tracks)
            limits.check_samples(samples)
        limits.check_metadata(metadata_bytes)


def _contents(file: BinaryIO, start: int, end: int, limits: Limits) -> _Contents:
    contents = _Contents()
    tracks = contents.tracks
    for kind, box_start, box_end in _inner_boxes(file, start, end):
        if kind == b"cmov":
            raise RejectedVideoError(
                RejectionCode.UNREADABLE,
                "The file's index is compressed (a cmov box), which is not read here. Copy the "
                "pictures into a new file.",
            )
        if kind in _METADATA_BOXES:
            contents.metadata_bytes += box_end - box_start
        elif kind == b"stsd":
            _check_part(_PARAMETERS, box_end - box_start, _MAX_PARAMETER_BYTES)
        elif kind in (b"trak", b"traf"):
            tracks.append(_Track())
            limits.check_streams(len(tracks))
        elif tracks and (kind in _COUNT_AT or kind == b"hdlr"):
            file.seek(box_start)
            _note(tracks[-1], kind, file.read(min(16, box_end - box_start)))
    return contents


def _inner_boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """All boxes within, as `_boxes`, a parent before its children."""
    # No recursion, since boxes may be nested as deep as the file is long.
    levels = [_boxes(file, start, end)]
    for _ in range(_MAX_PARTS):
        while (box := next(levels[-1], None)) is None:
            levels.pop()
            if not levels:
                return
        yield box
        if box[0] in _INNER_BOXES:
            levels.append(_boxes(file, box[1], box[2]))
    raise _too_many_parts("boxes")


def _note(track: _Track, kind: bytes, content: bytes) -> None:
    if kind == b"hdlr":
        track.handlers.add(content[8:12])
        return
    at = _COUNT_AT[kind]
    count = int.from_bytes(content[at : at + 4])
    if kind in (b"stsz", b"stz2"):
        track.samples = max(track.samples, count)
        track.has_one_size = kind == b"stsz" and any(content[4:8])
    elif kind == b"elst":
        track.edits = max(track.edits, count)
    elif kind == b"stts":
        track.ticks = (count, int.from_bytes(content[12:16]))
    else:
        track.samples += count


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content begins and ends; a box is cut off where its parent ends."""
    position = start
    for _ in range(_MAX_PARTS):
        if end - position < 8:
            return
        file.seek(position, os.SEEK_SET)
        header = file.read(16)
        length, skip = int.from_bytes(header[:4]), 8
        if length == 1:
            length, skip = int.from_bytes(header[8:16]), 16
        elif length == 0:
            length = end - position
        if len(header) < skip or length < skip:
            return
        yield header[4:8], position + skip, min(end, position + length)
        position += length
    raise _too_many_parts("boxes")


def _check_elements(file: BinaryIO, size_bytes: int, limits: Limits) -> None:
    header_bytes = metadata_bytes = tag_bytes = 0
    for kind, start, end in _elements(file, 0, size_bytes):
        if kind != _SEGMENT:
            header_bytes += end - start
            limits.check_header(header_bytes)
            continue
        for part, part_start, part_end in _elements(file, start, end):
            if part in (_CLUSTER, _VOID):
                continue
            header_bytes += part_end - part_start
            limits.check_header(header_bytes)
            if part in _METADATA_ELEMENTS:
                metadata_bytes += part_end - part_start
                limits.check_metadata(metadata_bytes)
            if part == _TAGS:
                tag_bytes += part_end - part_start
                _check_part("of tags", tag_bytes, _MAX_TAG_BYTES)
            if part == _TRACKS:
                _check_part(_PARAMETERS, part_end - part_start, _MAX_PARAMETER_BYTES)
                inner = _elements(file, part_start, part_end)
                entries = (child for child, _, _ in inner if child == _TRACK_ENTRY)
                for count, _ in enumerate(entries, 1):
                    limits.check_streams(count)


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Id, and where the content begins and ends; what has no length goes to its parent's end."""
    position = start
    for _ in range(_MAX_PARTS):
        if position >= end:
            return
        file.seek(position, os.SEEK_SET)
        header = file.read(12)
        id_bytes = _width(header, 4)
        size_width = _width(header[id_bytes:], 8) if id_bytes else 0
        if not size_width:
            return
        skip = id_bytes + size_width
        coded = int.from_bytes(header[id_bytes:skip])
        length = coded & ((1 << 7 * size_width) - 1)
        is_unknown = length == (1 << 7 * size_width) - 1
        stop = end if is_unknown else min(end, position + skip + length)
        yield int.from_bytes(header[:id_bytes]), position + skip, stop
        position = stop
    raise _too_many_parts("elements")


def _check_part(what: str, size_bytes: int, most: int) -> None:
    if size_bytes > most:
        raise RejectedVideoError(
            RejectionCode.TOO_LARGE,
            f"The file holds {size_bytes:,} bytes {what}; at most {most:,} are read. Copy the "
            "pictures into a new file, without metadata.",
        )


def _width(data: bytes, most: int) -> int:
    """Bytes of a number of variable width (RFC 8794 §4); 0 where it is none."""
    width = 9 - data[0].bit_length() if data else 0
    return width if 1 <= width <= min(most, len(data)) else 0


def _too_many_parts(kind: str) -> RejectedVideoError:
    return RejectedVideoError(
        RejectionCode.TOO_LARGE,
        f"The file is made of more than {_MAX_PARTS:,} {kind}. Copy the pictures into a new file.",
    )
