"""MPEG-4 part 2 and Motion JPEG: what one packet holds."""

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader

_I_VOP, _B_VOP = 0, 2
_VOP_START, _VOL_STARTS = 0xB6, range(0x20, 0x30)
_EXTENDED_PAR = 15
_MARKER = 0xFF
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class MjpegParser:
    """Reads Motion JPEG: every picture stands alone."""

    max_reorder = 0

    def __init__(self, _extradata: bytes | None) -> None:
        self._count = 0
        self._form: bytes | None = None

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        if data[:3] != b"\xff\xd8\xff" or data.rstrip(b"\x00")[-2:] != b"\xff\xd9":
            raise UncertainStreamError("a picture is damaged")
        form = _jpeg_form(data)
        if self._form not in (None, form):
            raise UncertainStreamError("its pictures change their form")
        self._form = form
        self._count += 1
        return CodedPicture(self._count, True, False, True)


def _jpeg_form(data: bytes) -> bytes:
    """The frame header (T.81 §B.2.2): process, precision, size, components and their sampling."""
    at = 2
    while at + 4 <= len(data) and data[at] == _MARKER:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in _FRAME_HEADERS:
            return data[at + 1 : at + 2 + size]
        at += 2 + size
    raise UncertainStreamError("a picture is damaged")


class Mpeg4Parser:
    """
    Reads MPEG-4 part 2 video object planes (ISO/IEC 14496-2 §6.2.3 to §6.2.5) without B-VOPs.

    A GOP starts at an I-VOP. Streams with B-VOPs are not planned for: how their vectors are scaled
    depends on the times of pictures before the GOP (§7.6.9.5).

    Args:
        extradata: The video object layer's header, where the container keeps it.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._count = 0
        self._layer = self._headers = b""
        self._increment_bits = 0
        self._has_extradata = bool(extradata)
        if extradata:
            self._read_layer(extradata)

    @property
    def max_reorder(self) -> int | None:
        """None until a layer without B-VOPs was read."""
        return 0 if self._increment_bits else None

    def head(self) -> bytes:
        """The layer's header, where the decoder has none from the container."""
        return b"" if self._has_extradata else self._headers

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        planes = [at for at in _start_codes(data) if data[at + 3] == _VOP_START]
        if len(planes) != 1:
            raise UncertainStreamError("a packet holds other than one picture")
        if planes[0]:
            self._read_layer(data[: planes[0]])
        kind = self._read_plane(data[planes[0] + 4 :][:32])
        if kind == _B_VOP:
            raise UncertainStreamError("its B pictures depend on times before their GOP")
        self._count += 1
        is_intra = kind == _I_VOP
        return CodedPicture(self._count, is_intra, True, is_intra)

    def _read_plane(self, header: bytes) -> int:
        """The plane's coding type (§6.2.5)."""
        if not self._increment_bits:
            raise UncertainStreamError("its layer's header is missing")
        bits = BitReader(header)
        kind = bits.bits(2)
        while bits.flag():
            pass
        if not bits.flag():
            raise UncertainStreamError("a picture's header is damaged")
        bits.bits(self._increment_bits)
        if not bits.flag():
            raise UncertainStreamError("a picture's header is damaged")
        if not bits.flag():
            raise UncertainStreamError("a picture is not coded")
        return kind

    def _read_layer(self, data: bytes) -> None:
        """The video object layer among the headers before a plane (§6.2.3)."""
        for at in _start_codes(data):
            if data[at + 3] not in _VOL_STARTS:
                continue
            end = data.find(b"\x00\x00\x01", at + 4)
            layer = data[at : end if end >= 0 else len(data)]
            if self._layer and layer != self._layer:
                raise UncertainStreamError("its parameters change")
            if not self._layer:
                self._layer, self._headers = layer, data
                self._increment_bits = _read_layer(BitReader(layer[4:]))


def _read_layer(bits: BitReader) -> int:
    """Bits of a time increment."""
    bits.bits(9)
    if bits.flag():
        bits.bits(7)
    if bits.bits(4) == _EXTENDED_PAR:
        bits.bits(16)
    if not bits.flag():
        raise UncertainStreamError("its layer does not say whether it has B pictures")
    bits.bits(2)
    if not bits.flag():
        raise UncertainStreamError("its layer allows B pictures")
    if bits.flag():
        bits.bits(79)
    if bits.bits(2) or not bits.flag():
        raise UncertainStreamError("its layer is not rectangular")
    resolution = bits.bits(16)
    return max(1, (resolution - 1).bit_length())


def _start_codes(data: bytes) -> list[int]:
    """Where start codes begin."""
    found, at = [], data.find(b"\x00\x00\x01")
    while 0 <= at <= len(data) - 4:
        found.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    return found
