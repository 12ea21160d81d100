"""
VP8 and VP9: what one packet holds.

Both carry probabilities from every frame to the next (RFC 6386 §9; VP9 Bitstream & Decoding Process
Specification §6.1.2), so no frame of a GOP can be left out.
"""

from vision.bitstreams.base import CodedPicture, UncertainStreamError
from vision.bitstreams.bits import BitReader

_VP9_SYNC = 0x498342
_SRGB = 7
_VP8_SYNC = b"\x9d\x01\x2a"


class Vp8Parser:
    """Reads VP8 frames (RFC 6386 §9.1)."""

    max_reorder = 0

    def __init__(self, _extradata: bytes | None) -> None:
        self._count = 0

    def head(self) -> bytes:
        """Nothing: key frames stand alone."""
        return b""

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        is_key = len(data) > 10 and not data[0] & 1
        if len(data) < 4 or (is_key and data[3:6] != _VP8_SYNC):
            raise UncertainStreamError("a frame's header is damaged")
        self._count += 1
        return CodedPicture(self._count, is_key, True, is_key, is_shown=bool(data[0] & 0x10))


class Vp9Parser:
    """Reads VP9 frames and superframes (§6.2, Annex B)."""

    max_reorder = 0

    def __init__(self, _extradata: bytes | None) -> None:
        self._count = 0
        self._form: tuple[int, ...] | None = None

    def head(self) -> bytes:
        """Nothing: key frames stand alone."""
        return b""

    def parse(self, data: bytes) -> CodedPicture:
        """As `PictureParser.parse`."""
        frames = [self._read(frame) for frame in _vp9_frames(data)]
        shown = [is_key for is_key, is_shown in frames if is_shown]
        if len(shown) != 1:
            raise UncertainStreamError("a packet shows other than one frame")
        self._count += 1
        return CodedPicture(self._count, frames[0][0], True, shown[0])

    def _read(self, data: bytes) -> tuple[bool, bool]:
        """Whether a frame is a key frame, and whether it is shown (§6.2)."""
        bits = BitReader(data[:24])
        if bits.bits(2) != 2:
            raise UncertainStreamError("a frame's header is damaged")
        profile = bits.bits(1) + 2 * bits.bits(1)
        if profile == 3:
            bits.flag()
        if bits.flag():
            raise UncertainStreamError("a frame is shown again")
        is_key, is_shown, is_resilient = not bits.flag(), bits.flag(), bits.flag()
        if is_key:
            self._check_form(profile, *_read_vp9_colours(bits, profile), bits.bits(32))
        elif (size := _inter_size(bits, profile, is_shown, is_resilient)) is not None:
            self._check_form(*(self._form or (0,))[:-1], size)
        return is_key, is_shown

    def _check_form(self, *form: int) -> None:
        if self._form not in (None, form):
            raise UncertainStreamError("its pictures change their form")
        self._form = form


def _read_vp9_colours(bits: BitReader, profile: int) -> tuple[int, ...]:
    """The sync code and the colours behind it (§6.2.2)."""
    if bits.bits(24) != _VP9_SYNC:
        raise UncertainStreamError("a frame's header is damaged")
    depth, space = bits.bits(1) if profile >= 2 else 0, bits.bits(3)
    if space == _SRGB:
        return depth, space, bits.bits(1) if profile % 2 else 0
    return depth, space, bits.bits(4 if profile % 2 else 1)


def _inter_size(bits: BitReader, profile: int, is_shown: bool, is_resilient: bool) -> int | None:
    """The size of a frame that is no key frame; None where it is that of a reference (§6.2)."""
    is_intra = not is_shown and bits.flag()
    if not is_resilient:
        bits.bits(2)
    if is_intra:
        if profile:
            _read_vp9_colours(bits, profile)
        elif bits.bits(24) != _VP9_SYNC:
            raise UncertainStreamError("a frame's header is damaged")
        bits.bits(8)
        return bits.bits(32)
    bits.bits(8 + 3 * 4)
    if any(bits.flag() for _ in range(3)):
        return None
    return bits.bits(32)


def _vp9_frames(data: bytes) -> list[bytes]:
    if not data:
        raise UncertainStreamError("a packet is empty")
    marker = data[-1]
    count, size_bytes = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index_size = 2 + count * size_bytes
    if marker & 0xE0 != 0xC0 or len(data) < index_size or data[-index_size] != marker:
        return [data]
    frames, position, entry = [], 0, len(data) - index_size + 1
    for _ in range(count):
        size = int.from_bytes(data[entry : entry + size_bytes], "little")
        frames.append(data[position : position + size])
        position, entry = position + size, entry + size_bytes
        if not size or position > len(data) - index_size:
            raise UncertainStreamError("the sizes of its frames do not add up")
    return frames
