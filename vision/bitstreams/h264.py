"""
H.264 (ITU-T H.264, 08/2021): which pictures depend on which, and in what order they are shown.

Clauses: NAL unit header §7.3.1, slice header §7.3.3, order count §8.2.1, gaps in frame_num
§8.2.5.2.
"""

from collections.abc import Iterable

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader, annex_b, length_prefixed, slice_bits, unescaped
from vision.bitstreams.h264_parameters import (
    PictureParameters,
    SequenceParameters,
    read_picture_parameters,
    read_sequence_parameters,
)

SLICE, IDR, SEI, SPS, PPS, DELIMITER, END_OF_SEQUENCE, END_OF_STREAM, FILLER = (
    1, 5, 6, 7, 8, 9, 10, 11, 12,
)  # fmt: skip
_READ_TYPES = {SLICE, IDR, SEI, SPS, PPS, DELIMITER, FILLER}
_RECOVERY_POINT = 6


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
            identity, sps = read_sequence_parameters(bits)
            self._sps[identity] = sps
        else:
            identity, pps = read_picture_parameters(bits)
            self._pps[identity] = pps
        if self._sets.setdefault((kind, identity), nal) != nal:
            raise UncertainStreamError("its parameters change")


def _recovery_point(nal: bytes) -> int | None:
    """How many frames on the pictures are right, where recovery begins here (§D.1.8)."""
    payload = unescaped(nal[1:])
    position = 0
    while position + 2 <= len(payload):
        kind, position = _extended(payload, position)
        size, position = _extended(payload, position)
        if kind == _RECOVERY_POINT:
            return BitReader(payload[position : position + size]).ue()
        position += size
    return None


def _extended(payload: bytes, position: int) -> tuple[int, int]:
    """A number that goes on after every 255 (§7.3.2.3.1), and where it ends."""
    value = 0
    while position < len(payload):
        value, position = value + payload[position], position + 1
        if payload[position - 1] != 0xFF:
            return value, position
    raise UncertainStreamError("supplemental information is damaged")
