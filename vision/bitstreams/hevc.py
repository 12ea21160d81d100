"""
HEVC (ITU-T H.265, 09/2023): which pictures depend on which, and in what order they are shown.

Clauses: NAL unit header §7.3.1.2 and Table 7-1, parameter sets §7.3.2.2 and §7.3.2.3, slice segment
header §7.3.6.1, order count §8.3.1, order around random access points §7.4.2.2.
"""

from dataclasses import dataclass

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader, annex_b, length_prefixed, slice_bits, unescaped

_LAST_SLICE = 21
_RASL = (8, 9)
_RADL = (6, 7)
_FIRST_IRAP, _LAST_IRAP = 16, 23
_BLA = (16, 17, 18)
_IDR = (19, 20)
_CRA = 21
_VPS, _SPS, _PPS = 32, 33, 34
_IGNORED = {35, 38, 39, 40}
"""Access unit delimiters, filler, supplemental information."""
_LAST_SUBLAYER_NON_REFERENCE = 14


@dataclass(frozen=True, slots=True)
class _Sequence:
    order_bits: int
    max_sub_layer: int
    max_reorder: int
    separate_planes: bool


@dataclass(frozen=True, slots=True)
class _PictureSet:
    sps_id: int
    has_output_flag: bool
    extra_bits: int


class HevcParser:
    """
    Reads HEVC packets of one picture each, in either framing.

    A GOP starts at an IDR or a CRA picture. The RASL pictures of a CRA are its leading pictures:
    they refer to the GOP before. A sub-layer non-reference picture of the highest sub-layer is no
    reference (§3.160: others of its own sub-layer do not refer to it, and higher there are none).

    Args:
        extradata: `hvcC`, or NAL units behind start codes, or nothing.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._sets: dict[tuple[int, int], bytes] = {}
        self._sps: dict[int, _Sequence] = {}
        self._pps: dict[int, _PictureSet] = {}
        self._prefix_size = 0
        self._active: _Sequence | None = None
        self._previous_order = 0
        self._irap_order: int | None = None
        self._irap_skips_leading = False
        self._has_extradata = bool(extradata)
        if extradata and len(extradata) > 22 and extradata[0] == 1:
            self._read_configuration(extradata)
        elif extradata:
            for nal in annex_b(extradata):
                self._read_set(nal)

    @property
    def max_reorder(self) -> int | None:
        """Of the active sequence; it cannot change within a stream that is planned."""
        return self._active.max_reorder if self._active else None

    def head(self) -> bytes:
        """Parameter sets with start codes, where the decoder has none from the container."""
        if self._has_extradata:
            return b""
        return b"".join(b"\x00\x00\x00\x01" + nal for nal in self._sets.values())

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        size = self._prefix_size
        first = b""
        for nal in length_prefixed(data, size) if size else annex_b(data):
            if len(nal) < 3 or nal[0] & 0x81 or nal[1] & 0xF8:
                raise UncertainStreamError("a NAL unit is damaged or of another layer")
            kind = nal[0] >> 1
            if kind <= _LAST_SLICE:
                if (not first) != (nal[2] >= 0x80):
                    raise UncertainStreamError("a packet holds other than one picture")
                if first and first[:2] != nal[:2]:
                    raise UncertainStreamError("the slices of a picture disagree")
                first = first or nal
            elif kind in (_VPS, _SPS, _PPS):
                self._read_set(nal)
            elif kind not in _IGNORED:
                raise UncertainStreamError(f"it has NAL units of type {kind}")
        if not first:
            raise UncertainStreamError("a packet holds no picture")
        return self._read_slice(first)

    def _read_slice(self, nal: bytes) -> CodedPicture:
        kind, sub_layer = nal[0] >> 1, (nal[1] & 7) - 1
        is_irap = _FIRST_IRAP <= kind <= _LAST_IRAP
        bits = slice_bits(nal, 2)
        bits.flag()
        if is_irap and bits.flag() and self._irap_order is not None:
            raise UncertainStreamError("pictures are withdrawn from display")
        pps = self._pps.get(bits.ue())
        sps = self._sps.get(pps.sps_id) if pps else None
        if pps is None or sps is None:
            raise UncertainStreamError("a slice's header is damaged or its parameters are missing")
        if self._active is not None and sps != self._active:
            raise UncertainStreamError("its parameters change")
        self._active = sps
        if pps.has_output_flag or sps.separate_planes or kind in _BLA or not sub_layer >= 0:
            raise UncertainStreamError("it uses rare forms of pictures")
        bits.bits(pps.extra_bits)
        if bits.ue() > 2 or (not is_irap and self._irap_order is None):
            raise UncertainStreamError("a slice's header is damaged or no key frame came before")
        order = 0 if kind in _IDR else self._order(bits.bits(sps.order_bits), sps, is_irap)
        if sub_layer == 0 and kind not in _RASL + _RADL and not _is_sublayer_non_reference(kind):
            self._previous_order = order
        is_leading = kind in _RASL
        if is_irap:
            # Nothing precedes the first picture of all, so its RASL pictures are never shown.
            self._irap_skips_leading = self._irap_order is None
            self._irap_order = order
        elif (order < (self._irap_order or 0)) != (kind in _RASL + _RADL):
            raise UncertainStreamError("its pictures are not in the order of their types")
        is_reference = not _is_sublayer_non_reference(kind) or sub_layer != sps.max_sub_layer
        return CodedPicture(
            order,
            starts_gop=is_irap,
            is_reference=is_reference,
            is_key_frame=is_irap,
            is_leading=is_leading,
            is_shown=not (is_leading and self._irap_skips_leading),
        )

    def _order(self, lsb: int, sps: _Sequence, is_irap: bool) -> int:
        """§8.3.1; across a CRA picture within the stream the count goes on."""
        modulus = 1 << sps.order_bits
        if is_irap and self._irap_order is None:
            return lsb
        previous_lsb = self._previous_order % modulus
        msb = self._previous_order - previous_lsb
        if lsb < previous_lsb and previous_lsb - lsb >= modulus // 2:
            msb += modulus
        elif lsb > previous_lsb and lsb - previous_lsb > modulus // 2:
            msb -= modulus
        return msb + lsb

    def _read_configuration(self, extradata: bytes) -> None:
        """HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1)."""
        self._prefix_size = (extradata[21] & 3) + 1
        position = 23
        for _ in range(extradata[22]):
            count = int.from_bytes(extradata[position + 1 : position + 3])
            position += 3
            for _ in range(count):
                size = int.from_bytes(extradata[position : position + 2])
                nal = extradata[position + 2 : position + 2 + size]
                position += 2 + size
                if len(nal) < 3 or position > len(extradata):
                    raise UncertainStreamError("its configuration record is damaged")
                self._read_set(nal)

    def _read_set(self, nal: bytes) -> None:
        kind = nal[0] >> 1
        if kind == _VPS:
            identity = nal[2] >> 4
        elif kind == _SPS:
            identity, sps = _read_sps(BitReader(unescaped(nal[2:])))
            self._sps[identity] = sps
        elif kind == _PPS:
            bits = BitReader(unescaped(nal[2:]))
            identity, sps_id, _ = bits.ue(), bits.ue(), bits.flag()
            self._pps[identity] = _PictureSet(sps_id, bits.flag(), bits.bits(3))
        else:
            return
        if self._sets.setdefault((kind, identity), nal) != nal:
            raise UncertainStreamError("its parameters change")


def _is_sublayer_non_reference(kind: int) -> bool:
    """The even types of Table 7-1 up to RSV_VCL_N14."""
    return kind <= _LAST_SUBLAYER_NON_REFERENCE and kind % 2 == 0


def _read_sps(bits: BitReader) -> tuple[int, _Sequence]:
    bits.bits(4)
    max_sub_layer = bits.bits(3)
    bits.flag()
    _skip_profile(bits, max_sub_layer)
    identity = bits.ue()
    separate_planes = bits.ue() == 3 and bits.flag()
    bits.ue()
    bits.ue()
    if bits.flag():
        for _ in range(4):
            bits.ue()
    bits.ue()
    bits.ue()
    order_bits = bits.ue() + 4
    has_each_sub_layer, reorder = bits.flag(), 0
    for _ in range(max_sub_layer + 1 if has_each_sub_layer else 1):
        bits.ue()
        reorder = bits.ue()
        bits.ue()
    if order_bits > 16:
        raise UncertainStreamError("its parameters are damaged")
    return identity, _Sequence(order_bits, max_sub_layer, reorder, separate_planes)


def _skip_profile(bits: BitReader, max_sub_layer: int) -> None:
    """profile_tier_level (§7.3.3)."""
    bits.bits(96)
    present = [(bits.flag(), bits.flag()) for _ in range(max_sub_layer)]
    if max_sub_layer:
        bits.bits(2 * (8 - max_sub_layer))
    for has_profile, has_level in present:
        bits.bits(88 * has_profile + 8 * has_level)
