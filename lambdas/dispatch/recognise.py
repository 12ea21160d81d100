"""
Which objects are videos, by what their first bytes say.

A name or a signature suffices to take an object in; content that is certainly something else is
refused before a backend is paid to find out. What remains unclear is for the decoder to say.
"""

import codecs
from enum import Enum, auto

HEAD_BYTES = 4096

_TS_PACKET_BYTES = 188
_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_STILL_PICTURE_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis"})
_OTHER_SIGNATURES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"fLaC": "FLAC audio",
    b"ID3": "MP3 audio",
    b"\x7fELF": "a program",
}


class Content(Enum):
    """What an object's first bytes say it is."""

    VIDEO = auto()
    OTHER = auto()
    UNCLEAR = auto()


def recognise(head: bytes) -> tuple[Content, str | None]:
    """
    What content begins with these bytes, and its name where it is something other than video.

    Args:
        head: The first `HEAD_BYTES` of the object, or all of it.
    """
    if _is_video(head):
        return Content.VIDEO, None
    for signature, name in _OTHER_SIGNATURES.items():
        if head.startswith(signature):
            return Content.OTHER, name
    if head[4:8] == b"ftyp":
        return Content.OTHER, "a still picture"
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return Content.OTHER, "WAVE audio"
    if head and _is_text(head):
        return Content.OTHER, "text"
    return Content.UNCLEAR, None


def _is_video(head: bytes) -> bool:
    if head[4:8] in _ISO_BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in _STILL_PICTURE_BRANDS
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML: Matroska and WebM
        return True
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return True
    packets = head[::_TS_PACKET_BYTES]  # MPEG transport streams repeat their sync byte
    return len(packets) >= 3 and set(packets) == {0x47}


def _is_text(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r\f﻿" for character in text)
