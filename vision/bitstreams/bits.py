"""Bits, Exp-Golomb codes and NAL units."""

from collections.abc import Iterator

from vision.bitstreams.base import UncertainStreamError

_HEADER_BYTES = 96
"""Enough for the part of a slice header that is read; parameter sets are read whole."""


class BitReader:
    """Reads bits, the most significant first."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def bits(self, count: int) -> int:
        """The next bits as an unsigned number."""
        self._left -= count
        if self._left < 0:
            raise UncertainStreamError("a header ends early")
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return self.bits(1) == 1

    def ue(self) -> int:
        """An unsigned Exp-Golomb code (H.264 §9.1)."""
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 32:
            raise UncertainStreamError("a header is damaged")
        self._left -= zeros
        return self.bits(zeros + 1) - 1

    def se(self) -> int:
        """A signed Exp-Golomb code (H.264 §9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def unescaped(data: bytes) -> bytes:
    """The payload of a NAL unit without its emulation prevention bytes (H.264 §7.3.1)."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00") if b"\x00\x00\x03" in data else data


def slice_bits(nal: bytes, header_size: int) -> BitReader:
    """The beginning of a slice, after the NAL unit's header."""
    return BitReader(unescaped(nal[header_size : header_size + _HEADER_BYTES]))


def length_prefixed(data: bytes, prefix_size: int) -> Iterator[bytes]:
    """
    NAL units behind their lengths (ISO/IEC 14496-15 §5.3).

    Raises:
        UncertainStreamError: The lengths do not add up to the packet's.
    """
    position, end = 0, len(data)
    while position < end:
        start = position + prefix_size
        position = start + int.from_bytes(data[position:start])
        if position > end or position == start:
            raise UncertainStreamError("the lengths of its NAL units do not add up")
        yield data[start:position]


def annex_b(data: bytes) -> Iterator[bytes]:
    """NAL units behind start codes, trailing zeros removed (H.264 §B.1)."""
    position = data.find(b"\x00\x00\x01")
    if position < 0 or data[:position].strip(b"\x00"):
        raise UncertainStreamError("a packet does not begin with a start code")
    while position >= 0:
        start = position + 3
        position = data.find(b"\x00\x00\x01", start)
        nal = data[start : position if position >= 0 else len(data)].rstrip(b"\x00")
        if not nal:
            raise UncertainStreamError("a NAL unit is empty")
        yield nal
