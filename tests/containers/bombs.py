"""
Small files that claim to be large, each made by hand: what they would cost is never spent.

Boxes are those of ISO/IEC 14496-12, elements those of RFC 8794 and RFC 9559, parameter sets those
of ITU-T H.264.
"""

import struct
import zlib

_TIMESCALE = 10


def box(kind: bytes, *content: bytes) -> bytes:
    """One box."""
    whole = b"".join(content)
    return struct.pack(">I4s", 8 + len(whole), kind) + whole


def full(kind: bytes, *content: bytes, flags: int = 0) -> bytes:
    """One box with version and flags."""
    return box(kind, struct.pack(">I", flags), *content)


def u16(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def h264_sps(width: int, height: int) -> bytes:
    """A NAL unit that sets the picture's size, in whole macroblocks."""
    ue = [0, 0, 2, 1]  # its id, frame numbers, order as decoded, one reference
    bits = "".join(map(_ue, ue)) + "0" + _ue(width // 16 - 1) + _ue(height // 16 - 1)
    bits += "1100" + "1"  # frames only, direct inference, no cropping, no VUI; the stop bit
    return bytes([0x67, 66, 0, 52]) + _packed(bits)


H264_PPS = bytes([0x68, 0xCE, 0x38, 0x80])
H264_IDR = bytes([0x65, 0x88, 0x84]) + bytes(60)


def _ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _packed(bits: str) -> bytes:
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8)


def mp4(
    *,
    size: tuple[int, int] = (96, 64),
    sps: bytes | None = None,
    codec: bytes = b"avc1",
    extradata: bytes | None = None,
    samples: bytes | None = None,
    edits: bytes = b"",
    count: int = 1,
    tracks: bytes = b"",
    meta: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """An MP4 of one track, with whatever is given in its place."""
    sps = sps or h264_sps(*size)
    avcc = b"\x01" + sps[1:4] + b"\xff\xe1" + u16(len(sps)) + sps
    avcc += b"\x01" + u16(len(H264_PPS)) + H264_PPS
    config = box(b"avcC", extradata or avcc) if codec == b"avc1" else b""
    payload = payload or u32(len(H264_IDR)) + H264_IDR
    entry = bytes(6) + u16(1) + bytes(16) + u16(*size) + u32(0x480000, 0x480000, 0)
    entry += u16(1) + bytes(32) + u16(24, 0xFFFF) + config
    ftyp = box(b"ftyp", b"isom", u32(0), b"isomavc1")
    mdat = box(b"mdat", payload)
    table = box(
        b"stbl",
        full(b"stsd", u32(1), box(codec, entry)),
        full(b"stts", u32(1, count, 1)),
        full(b"stsc", u32(1, 1, count, 1)),
        samples or full(b"stsz", u32(0, 1, len(payload))),
        full(b"stco", u32(1, len(ftyp) + 8)),
    )
    data = box(b"dinf", full(b"dref", u32(1), full(b"url ", flags=1)))
    media = box(
        b"mdia",
        full(b"mdhd", u32(0, 0, _TIMESCALE, count), u16(0x55C4, 0)),
        full(b"hdlr", u32(0), b"vide", bytes(12), b"\0"),
        box(b"minf", full(b"vmhd", bytes(8), flags=1), data, table),
    )
    matrix = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    head = full(
        b"tkhd",
        u32(0, 0, 1, 0, count),
        bytes(16),
        matrix,
        u32(size[0] << 16, size[1] << 16),
        flags=3,
    )
    track = box(b"trak", head, edits, media)
    movie = full(
        b"mvhd", u32(0, 0, _TIMESCALE, count, 0x10000), bytes(12), matrix, bytes(24), u32(2)
    )
    return ftyp + mdat + box(b"moov", movie, track, tracks) + meta


def element(number: int, content: bytes, *, claimed: int | None = None) -> bytes:
    """One element, its length written in eight bytes."""
    length = len(content) if claimed is None else claimed
    return number.to_bytes((number.bit_length() + 7) // 8) + u32(0x01000000, length) + content


def matroska(
    *parts: bytes,
    tracks: bytes = b"",
    codec: bytes = b"V_MJPEG",
    private: bytes = b"",
    frame: bytes = b"",
    size: tuple[int, int] = (96, 64),
) -> bytes:
    """A Matroska of one track and one frame."""
    video = element(0xE0, element(0xB0, u32(size[0])) + element(0xBA, u32(size[1])))
    entry = element(0xD7, b"\1") + element(0x73C5, b"\1") + element(0x83, b"\1")
    entry += element(0x86, codec) + video + (element(0x63A2, private) if private else b"")
    cluster = element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80" + frame)
    body = element(0x1549A966, element(0x2AD7B1, u32(1_000_000)))
    body += element(0x1654AE6B, element(0xAE, entry) + tracks)
    body += b"".join(parts) + element(0x1F43B675, cluster)
    head = element(0x4282, b"matroska") + element(0x42F7, b"\1") + element(0x4286, b"\1")
    return element(0x1A45DFA3, head + element(0x4287, b"\4") + element(0x4285, b"\2")) + element(
        0x18538067, body
    )


def jpeg(width: int, height: int) -> bytes:
    """The start of a picture of that size, and no more."""
    head = b"\xff\xd8\xff\xdb" + u16(67) + b"\0" + bytes([1] * 64)
    frame = b"\xff\xc0" + u16(17) + b"\x08" + u16(height, width) + b"\x03"
    frame += b"\x01\x22\0\x02\x11\0\x03\x11\0"
    return head + frame + b"\xff\xda" + u16(12) + b"\x03\x01\0\x02\0\x03\0\0\x3f\0" + bytes(64)


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A picture of that size of which hardly anything is there."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [_chunk(b"IHDR", head), *chunks, _chunk(b"IDAT", zlib.compress(bytes(1000)))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + _chunk(b"IEND", b"")


def png_text(unpacked_bytes: int) -> bytes:
    """Text that unpacks to a thousand times its size."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(unpacked_bytes >> 20))
    return _chunk(b"zTXt", b"Comment\0\0" + packed + packer.flush())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return u32(len(content)) + kind + content + u32(zlib.crc32(kind + content))
