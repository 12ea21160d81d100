"""
H.264 (ITU-T H.264, 08/2021): which pictures depend on which, and in what order they are shown.

Clauses: NAL unit header §7.3.1, parameter sets §7.3.2.1 and §7.3.2.2, slice header §7.3.3, order
count §8.2.1, gaps in frame_num §8.2.5.2, bounds of the decoded picture buffer §A.3.1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader, annex_b, length_prefixed, slice_bits, unescaped

SLICE, IDR, SEI, SPS, PPS, DELIMITER, END_OF_SEQUENCE, END_OF_STREAM, FILLER = (
    1, 5, 6, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_READ_TYPES = {SLICE, IDR, SEI, SPS, PPS, DELIMITER, FILLER}
_RECOVERY_POINT = 6
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_EXTENDED_ASPECT_RATIO = 255
_MAX_REORDER = 15
"""FFmpeg's own bound where the level gives none."""
_DPB_MACROBLOCKS = {
    10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000,
    32: 20480, 40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320,
}  # fmt: skip
"""Table A-1, MaxDpbMbs, without the levels from 6 on, which FFmpeg does not bound either."""


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """
    What is read of a sequence parameter set.

    Attributes:
        max_reorder: Pictures held back for reordering, as FFmpeg derives it with `strict`.
        frame_rate: Of the timing information; None where it has none.
    """

    frame_num_bits: int
    order_type: int
    order_bits: int
    frames_only: bool
    separate_planes: bool
    max_reorder: int
    frame_rate: Fraction | None


@dataclass(frozen=True, slots=True)
class PictureParameters:
    """What is read of a picture parameter set."""

    sps_id: int
    has_bottom_order: bool


class H264Parser:
    """
    Reads H.264 packets of one picture each, in either framing.

    A GOP starts at an IDR picture only: at other key frames, pictures may refer to what came before
    (open GOPs, intra refresh). A picture whose `nal_ref_idc` is 0 is no reference.

    Args:
        extradata: `avcC`, or NAL units behind start codes, or nothing.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._sets: dict[tuple[int, int], bytes] = {}
        self._sps: dict[int, SequenceParameters] = {}
        self._pps: dict[int, PictureParameters] = {}
        self._prefix_size = 0
        self._active: SequenceParameters | None = None
        self._previous_msb = self._previous_lsb = 0
        self._previous_frame_num = self._previous_offset = 0
        self._previous_reference_frame_num = 0
        self._refreshes_slowly = False
        self._has_extradata = bool(extradata)
        if extradata and extradata[0] == 1:
            self._read_configuration(extradata)
        elif extradata:
            for nal in annex_b(extradata):
                self._read_set(nal)

    @property
    def max_reorder(self) -> int | None:
        """Of the active sequence; it cannot change within a stream that is planned."""
        return self._active.max_reorder if self._active else None

    @property
    def active(self) -> SequenceParameters | None:
        """The sequence parameters in use."""
        return self._active

    def head(self) -> bytes:
        """Parameter sets with start codes, where the decoder has none from the container."""
        if self._has_extradata:
            return b""
        return b"".join(b"\x00\x00\x00\x01" + nal for nal in self._sets.values())

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        size = self._prefix_size
        return self.picture(length_prefixed(data, size) if size else annex_b(data))

    def picture(self, nals: Iterable[bytes]) -> CodedPicture:
        """
        The picture of one access unit.

        Raises:
            UncertainStreamError: As `PictureParser.parse`.
        """
        first, recovery = b"", None
        for nal in nals:
            kind = nal[0] & 0x1F
            if nal[0] & 0x80 or kind not in _READ_TYPES:
                raise UncertainStreamError(f"it has NAL units of type {kind}")
            if kind in (SLICE, IDR):
                if (not first) != (len(nal) > 1 and nal[1] >= 0x80):
                    raise UncertainStreamError("a packet holds other than one picture")
                if first and (first[0] ^ nal[0]) & 0x7F:
                    raise UncertainStreamError("the slices of a picture disagree")
                first = first or nal
            elif kind in (SPS, PPS):
                self._read_set(nal)
            elif kind == SEI and not first:
                recovery = _recovery_point(nal) if recovery is None else recovery
        if not first:
            raise UncertainStreamError("a packet holds no picture")
        return self._read_slice(first, recovery)

    def _read_slice(self, nal: bytes, recovery: int | None) -> CodedPicture:
        is_idr, is_reference = nal[0] & 0x1F == IDR, nal[0] & 0x60 != 0
        if is_idr and not is_reference:
            raise UncertainStreamError("a header is damaged")
        bits = slice_bits(nal, 1)
        bits.ue()
        slice_type = bits.ue()
        pps = self._pps.get(bits.ue())
        sps = self._sps.get(pps.sps_id) if pps else None
        if pps is None or sps is None or slice_type > 9 or (is_idr and slice_type % 5 != 2):
            raise UncertainStreamError("a slice's header is damaged or its parameters are missing")
        if self._active is not None and sps != self._active:
            raise UncertainStreamError("its parameters change")
        self._active = sps
        if sps.separate_planes:
            raise UncertainStreamError("its colour planes are coded apart")
        frame_num = bits.bits(sps.frame_num_bits)
        if not sps.frames_only and bits.flag():
            raise UncertainStreamError("its fields are coded as pictures of their own")
        if is_idr:
            bits.ue()
        self._check_frame_num(frame_num, sps, is_idr=is_idr)
        order = self._order(bits, sps, pps, frame_num, is_idr=is_idr, is_reference=is_reference)
        if is_reference:
            self._previous_reference_frame_num = frame_num
        elif recovery is not None:
            raise UncertainStreamError("a picture that is no reference is a recovery point")
        # Where recovery takes some pictures, a later one becomes the key frame.
        self._refreshes_slowly = self._refreshes_slowly or bool(recovery)
        is_key_frame = None if self._refreshes_slowly else recovery == 0
        return CodedPicture(order, is_idr, is_reference, True if is_idr else is_key_frame)

    def _check_frame_num(self, frame_num: int, sps: SequenceParameters, *, is_idr: bool) -> None:
        expected = 0
        if not is_idr:
            expected = (self._previous_reference_frame_num + 1) % (1 << sps.frame_num_bits)
        if frame_num != expected:
            raise UncertainStreamError("pictures are missing or damaged")

    def _order(
        self,
        bits: BitReader,
        sps: SequenceParameters,
        pps: PictureParameters,
        frame_num: int,
        *,
        is_idr: bool,
        is_reference: bool,
    ) -> int:
        """The lesser order count of the picture's two fields (§8.2.1)."""
        if sps.order_type == 2:
            return self._order_by_frame_num(sps, frame_num, is_idr, is_reference)
        if sps.order_type != 0:
            raise UncertainStreamError("its picture order is of type 1")
        lsb, half = bits.bits(sps.order_bits), 1 << (sps.order_bits - 1)
        bottom = bits.se() if pps.has_bottom_order else 0
        if is_idr:
            self._previous_msb = self._previous_lsb = 0
        msb = self._previous_msb
        if lsb < self._previous_lsb and self._previous_lsb - lsb >= half:
            msb += 2 * half
        elif lsb > self._previous_lsb and lsb - self._previous_lsb > half:
            msb -= 2 * half
        if is_reference:
            self._previous_msb, self._previous_lsb = msb, lsb
        return msb + lsb + min(bottom, 0)

    def _order_by_frame_num(
        self, sps: SequenceParameters, frame_num: int, is_idr: bool, is_reference: bool
    ) -> int:
        offset = 0 if is_idr else self._previous_offset
        if not is_idr and self._previous_frame_num > frame_num:
            offset += 1 << sps.frame_num_bits
        self._previous_offset, self._previous_frame_num = offset, frame_num
        return 0 if is_idr else 2 * (offset + frame_num) - (not is_reference)

    def _read_configuration(self, extradata: bytes) -> None:
        """AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1)."""
        if len(extradata) < 7:
            raise UncertainStreamError("its configuration record is damaged")
        self._prefix_size = (extradata[4] & 3) + 1
        position = 5
        for mask in (0x1F, 0xFF):
            count = extradata[position] & mask if position < len(extradata) else 0
            position += 1
            for _ in range(count):
                size = int.from_bytes(extradata[position : position + 2])
                nal = extradata[position + 2 : position + 2 + size]
                position += 2 + size
                if not nal or position > len(extradata):
                    raise UncertainStreamError("its configuration record is damaged")
                self._read_set(nal)

    def _read_set(self, nal: bytes) -> None:
        kind = nal[0] & 0x1F
        if kind not in (SPS, PPS):
            return
        bits = BitReader(unescaped(nal[1:]))
        if kind == SPS:
            identity, sps = _read_sps(bits)
            self._sps[identity] = sps
        else:
            identity = bits.ue()
            sps_id, _ = bits.ue(), bits.flag()
            self._pps[identity] = PictureParameters(sps_id, bits.flag())
        if self._sets.setdefault((kind, identity), nal) != nal:
            raise UncertainStreamError("its parameters change")


def _read_sps(bits: BitReader) -> tuple[int, SequenceParameters]:
    profile, _, level = bits.bits(8), bits.bits(8), bits.bits(8)
    identity = bits.ue()
    separate_planes = _read_chroma(bits) if profile in _HIGH_PROFILES else False
    frame_num_bits = bits.ue() + 4
    order_type = bits.ue()
    order_bits = 0
    if order_type == 0:
        order_bits = bits.ue() + 4
    elif order_type == 1:
        _skip_order_type_1(bits)
    bits.ue()  # max_num_ref_frames
    if bits.flag():
        raise UncertainStreamError("its frame numbers may have gaps")
    width, height = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        height *= 2
        bits.flag()
    bits.flag()  # direct_8x8_inference_flag
    if bits.flag():
        for _ in range(4):
            bits.ue()
    frame_rate, reorder = _read_usability(bits) if bits.flag() else (None, None)
    if reorder is None:
        reorder = min(_DPB_MACROBLOCKS.get(level, 1 << 30) // (width * height), _MAX_REORDER)
    if frame_num_bits > 16 or order_bits > 16 or order_type > 2:
        raise UncertainStreamError("its parameters are damaged")
    return identity, SequenceParameters(
        frame_num_bits=frame_num_bits,
        order_type=order_type,
        order_bits=order_bits,
        frames_only=frames_only,
        separate_planes=separate_planes,
        max_reorder=reorder,
        frame_rate=frame_rate,
    )


def _read_chroma(bits: BitReader) -> bool:
    chroma = bits.ue()
    separate_planes = chroma == 3 and bits.flag()
    bits.ue()
    bits.ue()
    bits.flag()
    if bits.flag():
        for index in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    """§7.3.2.1.1.1"""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order_type_1(bits: BitReader) -> None:
    bits.flag()
    bits.se()
    bits.se()
    for _ in range(min(bits.ue(), 255)):
        bits.se()


def _read_usability(bits: BitReader) -> tuple[Fraction | None, int | None]:
    """Frame rate and max_num_reorder_frames (§E.1.1), None where not stated."""
    if bits.flag() and bits.bits(8) == _EXTENDED_ASPECT_RATIO:
        bits.bits(32)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.bits(4)
        if bits.flag():
            bits.bits(24)
    if bits.flag():
        bits.ue()
        bits.ue()
    frame_rate = None
    if bits.flag():
        ticks, scale, _ = bits.bits(32), bits.bits(32), bits.flag()
        if ticks and scale:
            frame_rate = Fraction(scale, 2 * ticks)
    has_nal, has_vcl = _skip_bit_rates(bits), _skip_bit_rates(bits)
    if has_nal or has_vcl:
        bits.flag()
    bits.flag()
    if not bits.flag():
        return frame_rate, None
    bits.flag()
    for _ in range(4):
        bits.ue()
    return frame_rate, bits.ue()


def _skip_bit_rates(bits: BitReader) -> bool:
    """hrd_parameters (§E.1.2), if they are there."""
    if not bits.flag():
        return False
    count = bits.ue() + 1
    bits.bits(8)
    for _ in range(min(count, 32)):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.bits(20)
    return True


def _recovery_point(nal: bytes) -> int | None:
    """How many frames on the pictures are right, where recovery begins here (§D.1.8)."""
    payload = unescaped(nal[1:])
    position = 0
    while position + 2 <= len(payload) and payload[position:] != b"\x80":
        kind = size = 0
        while position < len(payload) and payload[position] == 0xFF:
            kind, position = kind + 255, position + 1
        kind, position = kind + payload[position], position + 1
        while position < len(payload) and payload[position] == 0xFF:
            size, position = size + 255, position + 1
        if position >= len(payload):
            raise UncertainStreamError("supplemental information is damaged")
        size, position = size + payload[position], position + 1
        if kind == _RECOVERY_POINT:
            return BitReader(payload[position : position + size]).ue()
        position += size
    return None
