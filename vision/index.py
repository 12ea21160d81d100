"""
The packet index of a video: one demuxing pass, nothing decoded, GOP by GOP.

A GOP here is what can be decoded from its first packet on. It is held in memory with its packets
until it is planned, and no longer; so the index of a long video costs no more than that of a short
one, and the first GOP is decoded before the last is read.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av.error
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

from vision.bitstreams.av1 import Av1Parser
from vision.bitstreams.base import CodedPicture, PictureParser, UncertainStreamError
from vision.bitstreams.h264 import H264Parser
from vision.bitstreams.hevc import HevcParser
from vision.bitstreams.others import MjpegParser, Mpeg4Parser
from vision.bitstreams.vpx import Vp8Parser, Vp9Parser

MAX_GOP_BYTES = 48 << 20
"""A longer GOP is decoded sequentially, so memory stays bounded: 48 s of 8 Mbit/s."""

_PARSERS: dict[str, Callable[[bytes | None], PictureParser]] = {
    "h264": H264Parser,
    "hevc": HevcParser,
    "av1": Av1Parser,
    "libdav1d": Av1Parser,
    "vp8": Vp8Parser,
    "vp9": Vp9Parser,
    "mpeg4": Mpeg4Parser,
    "mjpeg": MjpegParser,
}
_CARRIES_STATE = frozenset({"vp8"})
"""A key frame may keep the segments of the frame before it (RFC 6386 §9.3)."""
_HEADER_FILTERS = {
    "h264": "h264_metadata",
    "hevc": "hevc_metadata",
    "av1": "av1_metadata",
    "libdav1d": "av1_metadata",
    "vp9": "vp9_metadata",
}
"""They change nothing here, but read every header whole and refuse what is not in the standard."""
_CONTAINERS = frozenset({"mp4", "matroska", "avi", "mpegts", "flv", "ivf"})


@dataclass(frozen=True, slots=True, eq=False)
class IndexedPacket:
    """
    One packet and what is known of its picture.

    Attributes:
        number: In decoding order, from 0.
        packet: As the container gave it.
        pts: Presentation timestamp in stream units; None where the stream keeps no times.
        dts: Decoding timestamp; None where unknown.
        position: Of its first byte in the file.
        is_hidden: Decoded, but not part of the video: an edit list hides it.
    """

    number: int
    packet: "Packet[Any]"
    picture: CodedPicture
    pts: int | None
    dts: int | None
    duration: int
    position: int
    is_hidden: bool


Gop = list[IndexedPacket]
"""Packets in decoding order; the first of them starts it."""


def parser_for(codec: str, container: str, extradata: bytes | None) -> PictureParser:
    """
    The reader of a stream's packets.

    Raises:
        UncertainStreamError: Nothing is known of the codec, or times are not kept by the container.
    """
    if not _CONTAINERS & set(container.split(",")):
        raise UncertainStreamError(f"the container {container} keeps no packets with times")
    if codec in _CARRIES_STATE:
        raise UncertainStreamError(f"{codec} decoders carry state over key frames")
    return stream_parser(codec, extradata)


def stream_parser(codec: str, extradata: bytes | None) -> PictureParser:
    """
    The reader of a stream's packets, whatever the container.

    Raises:
        UncertainStreamError: Nothing is known of the codec, or its parameters are damaged.
    """
    make = _PARSERS.get(codec)
    if make is None:
        raise UncertainStreamError(f"nothing is known of how {codec} pictures depend on each other")
    return make(extradata)


class HeaderCheck:
    """
    Finds packets that a decoder would refuse, among them those that no decoder is given.

    Without it a picture that decoding loses would be counted, and all later ones misnumbered.

    Args:
        stream: What FFmpeg knows of it; its codec's name where there is no container.

    Raises:
        UncertainStreamError: Its parameters are not what the standard allows.
    """

    def __init__(self, codec: str, stream: VideoStream | str) -> None:
        name = _HEADER_FILTERS.get(codec)
        try:
            self._filter = BitStreamFilterContext(name, stream) if name else None
        except av.error.FFmpegError as error:
            raise UncertainStreamError("its parameters are damaged") from error

    def check(self, data: bytes) -> None:
        """
        Read the next packet's headers.

        Raises:
            UncertainStreamError: They are not what the standard allows.
        """
        if self._filter is None:
            return
        try:
            self._filter.filter(Packet(data))
        except av.error.FFmpegError as error:
            raise UncertainStreamError("a packet's headers are damaged") from error


def indexed(
    number: int, packet: "Packet[VideoStream]", parser: PictureParser, check: HeaderCheck
) -> IndexedPacket:
    """
    Read one packet's headers, in decoding order.

    Raises:
        UncertainStreamError: As `PictureParser.parse` or `HeaderCheck.check`, or the container
            found it damaged.
    """
    if packet.is_corrupt:
        raise UncertainStreamError("a packet is damaged")
    if packet.has_sidedata("new_extradata") or packet.has_sidedata("param_change"):
        raise UncertainStreamError("its parameters change")
    data = bytes(packet)
    picture = parser.parse(data)
    check.check(data)
    return IndexedPacket(
        number,
        packet,
        picture,
        packet.pts,
        packet.dts,
        packet.duration or 0,
        packet.pos or 0,
        packet.is_discard,
    )


def read_gops(packets: Iterable[IndexedPacket]) -> Iterator[Gop]:
    """
    Cut a stream at its safe points.

    Raises:
        UncertainStreamError: The stream does not begin with one, or a GOP is too long to hold.
    """
    gop: Gop = []
    size_bytes = 0
    for entry in packets:
        if entry.picture.starts_gop and gop:
            yield gop
            gop, size_bytes = [], 0
        elif not gop and not entry.picture.starts_gop:
            raise UncertainStreamError("it does not begin with a key frame")
        gop.append(entry)
        size_bytes += entry.packet.size
        if size_bytes > MAX_GOP_BYTES:
            raise UncertainStreamError(
                f"more than {MAX_GOP_BYTES >> 20} MiB lie between two points where decoding can "
                "begin"
            )
    if gop:
        yield gop


def presented(gop: Gop, max_reorder: int | None) -> list[IndexedPacket]:
    """
    A GOP's packets in the order in which the decoder puts their pictures out.

    Raises:
        UncertainStreamError: The order is ambiguous, or needs more pictures held back than the
            stream tells the decoder to hold: it would put them out in another order.
    """
    held: list[int] = []
    for entry in gop:
        order = entry.picture.order
        place = bisect_right(held, order)
        if place and held[place - 1] == order:
            raise UncertainStreamError("two pictures have one place in the order of presentation")
        if max_reorder is not None and len(held) - place > max_reorder:
            raise UncertainStreamError("pictures are reordered further than it says")
        insort(held, order)
    return sorted(gop, key=lambda entry: entry.picture.order)


@dataclass(frozen=True, slots=True)
class Timing:
    """
    Where the times of a stream's pictures come from.

    Attributes:
        is_order: Of the order of decoding timestamps: AVI keeps no others.
        is_missing: There are none, as in a raw stream.
    """

    time_base: Fraction
    is_order: bool = False
    is_missing: bool = False

    def times(self, gop: Gop, in_order: list[IndexedPacket]) -> list[int | None]:
        """
        The timestamps of pictures in presentation order, as decoding would find them.

        Raises:
            UncertainStreamError: One is missing.
        """
        if self.is_missing:
            return [None] * len(gop)
        if self.is_order:
            if any(entry.is_hidden or not entry.picture.is_shown for entry in gop):
                raise UncertainStreamError("it hides pictures and keeps no presentation times")
            found = [entry.dts for entry in gop]
        else:
            found = [entry.pts for entry in in_order]
        if any(time is None for time in found):
            raise UncertainStreamError("timestamps are missing")
        return found
