"""
AV1 (AV1 Bitstream & Decoding Process Specification, 2019-01-08): what a temporal unit holds.

Clauses: OBU header §5.3, sequence header §5.5, frame header §5.9.2, reference update §7.20. A frame
hands on pixels, motion vectors, probabilities and segmentation through the reference slots alone,
so one that refreshes no slot can be left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader

_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME_HEADER, _TILE_GROUP, _METADATA, _FRAME = range(1, 7)
_REDUNDANT_FRAME_HEADER, _TILE_LIST, _PADDING = 7, 8, 15
_KEY, _INTRA_ONLY, _SWITCH = 0, 2, 3
_SELECT = 2
_HEADER_BYTES = 64
_ALL_SLOTS = 0xFF
_SLOT_COUNT = 8


@dataclass(frozen=True, slots=True)
class _Sequence:
    """
    What is read of a sequence header.

    Attributes:
        is_plain: Whether frame headers can be read here up to the slots that they refresh.
    """

    is_plain: bool
    screen_content_tools: int = 0
    integer_mv: int = 0
    order_hint_bits: int = 0


class Av1Parser:
    """
    Reads AV1 temporal units, of which each shows one frame.

    Sequence headers are read from the stream alone, where every GOP begins with one (§7.5): the one
    in `av1C` may differ from it.
    """

    max_reorder = 0

    def __init__(self, _extradata: bytes | None) -> None:
        self._sequence: _Sequence | None = None
        self._sequence_bytes = b""
        self._key_slots = [False] * _SLOT_COUNT
        self._count = 0

    def head(self) -> bytes:
        """Nothing: key frames bring their sequence header, or the container does."""
        return b""

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        frames = []
        for kind, payload in _units(data):
            if kind == _SEQUENCE_HEADER:
                self._read_sequence(payload)
            elif kind in (_FRAME_HEADER, _FRAME):
                frames.append(self._read_frame(payload[:_HEADER_BYTES]))
            elif kind not in (_TEMPORAL_DELIMITER, _TILE_GROUP, _METADATA, _PADDING):
                raise UncertainStreamError(f"it has units of type {kind}")
        if sum(frame.is_shown for frame in frames) != 1 or not frames[-1].is_shown:
            raise UncertainStreamError("a temporal unit shows other than one frame")
        self._count += 1
        starts_gop = frames[0].is_key and frames[0].is_shown
        return CodedPicture(
            self._count,
            starts_gop=starts_gop,
            is_reference=any(frame.refreshed for frame in frames),
            is_key_frame=frames[-1].is_key,
        )

    def _read_sequence(self, payload: bytes) -> None:
        if self._sequence is None:
            self._sequence, self._sequence_bytes = _read_sequence(BitReader(payload)), payload
        if payload != self._sequence_bytes:
            raise UncertainStreamError("its parameters change")

    def _read_frame(self, payload: bytes) -> "_Frame":
        if self._sequence is None:
            raise UncertainStreamError("a sequence header is missing")
        if not self._sequence.is_plain:
            raise UncertainStreamError("it uses rare forms of frames")
        frame = _read_frame(BitReader(payload), self._sequence)
        if frame.shown_slot is not None:
            if self._key_slots[frame.shown_slot]:
                # Showing a key frame anew refreshes every slot (§7.21): a GOP within a GOP.
                raise UncertainStreamError("a key frame is shown after it was decoded")
            return frame
        for slot in range(_SLOT_COUNT):
            if frame.refreshed >> slot & 1:
                self._key_slots[slot] = frame.is_key
        return frame


@dataclass(frozen=True, slots=True)
class _Frame:
    is_key: bool
    is_shown: bool
    refreshed: int
    shown_slot: int | None = None


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of the open bitstream units (§5.3, §4.10.5)."""
    position = 0
    while position < len(data):
        header = data[position]
        position += 1
        if header & 0x85 or not header & 0x02:
            raise UncertainStreamError("its units are damaged, layered or without their sizes")
        size = shift = 0
        while True:
            if position >= len(data) or shift > 28:
                raise UncertainStreamError("the sizes of its units do not add up")
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if position + size > len(data):
            raise UncertainStreamError("the sizes of its units do not add up")
        yield header >> 3 & 0x0F, data[position : position + size]
        position += size


def _read_sequence(bits: BitReader) -> _Sequence:
    bits.bits(3)
    _, is_reduced = bits.flag(), bits.flag()
    if is_reduced:
        return _Sequence(is_plain=False)
    if bits.flag():
        bits.bits(64)
        if bits.flag():
            bits.ue()  # uvlc() (§4.10.3) is read as ue(v) is
        if bits.flag():
            return _Sequence(is_plain=False)  # a decoder model
    has_delay = bits.flag()
    if bits.bits(5):
        return _Sequence(is_plain=False)  # several operating points
    bits.bits(12)
    if bits.bits(5) > 7:
        bits.flag()
    if has_delay and bits.flag():
        bits.bits(4)
    width_bits, height_bits = bits.bits(4) + 1, bits.bits(4) + 1
    bits.bits(width_bits + height_bits)
    if bits.flag():
        return _Sequence(is_plain=False)  # frame numbers
    bits.bits(3)
    bits.bits(4)
    has_order_hint = bits.flag()
    if has_order_hint:
        bits.bits(2)
    screen_content_tools = _SELECT if bits.flag() else bits.bits(1)
    integer_mv = _SELECT
    if screen_content_tools and not bits.flag():
        integer_mv = bits.bits(1)
    order_hint_bits = bits.bits(3) + 1 if has_order_hint else 0
    return _Sequence(True, screen_content_tools, integer_mv, order_hint_bits)


def _read_frame(bits: BitReader, sequence: _Sequence) -> _Frame:
    if bits.flag():
        return _Frame(is_key=False, is_shown=True, refreshed=0, shown_slot=bits.bits(3))
    kind, is_shown = bits.bits(2), bits.flag()
    if not is_shown:
        bits.flag()
    is_shown_key = kind == _KEY and is_shown
    is_resilient = kind == _SWITCH or is_shown_key or bits.flag()
    bits.flag()
    tools = sequence.screen_content_tools
    if tools == _SELECT:
        tools = bits.bits(1)
    if tools and sequence.integer_mv == _SELECT:
        bits.flag()
    if kind != _SWITCH:
        bits.flag()
    bits.bits(sequence.order_hint_bits)
    if kind not in (_KEY, _INTRA_ONLY) and not is_resilient:
        bits.bits(3)
    refreshed = _ALL_SLOTS if kind == _SWITCH or is_shown_key else bits.bits(8)
    return _Frame(kind == _KEY, is_shown, refreshed)
