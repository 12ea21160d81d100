"""
Raw H.264 (ITU-T H.264 Annex B), cut into access units without a container's demuxer.

Opening such a file with FFmpeg takes longer than decoding three frames of a one-second clip: it
decodes the beginning to learn what the parameter sets say.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.packet import Packet

from contracts.results import ResultWarning, VideoFacts
from vision.bitstreams.base import UncertainStreamError
from vision.bitstreams.h264 import DELIMITER, IDR, PPS, SEI, SLICE, SPS, H264Parser
from vision.decoders import PlannedDecoding
from vision.index import MAX_GOP_BYTES, HeaderCheck, IndexedPacket, Timing
from vision.limits import Limits
from vision.pictures import Picture
from vision.report import DecodeReport, frame_warnings
from vision.selection import Selector
from vision.video import clockwise_rotation, displayed_size, frame_rate, open_source
from vision.workers import Decode

TIME_BASE = Fraction(1, 1_200_000)
"""FFmpeg's of raw streams."""
_START = b"\x00\x00\x01"
_CHUNK_BYTES = 1 << 20
_SIMPLE_RATES = {
    *(Fraction(rate) for rate in (5, 10, 15, 20, 24, 25, 30, 50, 60)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),
}
"""Of these FFmpeg takes the stream's word; of others it makes up its own mind."""


class RawVideo:
    """As `vision.reader.PlannableVideo`."""

    duration_s = None
    promised_frames = 0

    def __init__(self, path: Path, file: BinaryIO, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._units = access_units(file)
        self.parser = H264Parser(None)
        self._check = HeaderCheck("h264", "h264")
        self.timing = Timing(TIME_BASE, is_missing=True)
        self.file_size_bytes = path.stat().st_size
        first = next(self._units, None)
        if first is None:
            raise UncertainStreamError("it is empty")
        self._first = self._indexed(0, *first)
        self.frame_rate = self._frame_rate()

    def packets(self) -> Iterator[IndexedPacket]:
        """Every access unit with what it says, in decoding order."""
        yield self._first
        for number, (position, data) in enumerate(self._units, 1):
            yield self._indexed(number, position, data)

    def decoder(self, shared: PlannedDecoding, threads: int) -> AbstractContextManager[Decode]:
        """A decoder for its tasks."""
        return shared.open_raw("h264", threads)

    def facts(self, first: Picture) -> VideoFacts:
        """What it is, by its parameters and one of its pictures."""
        width, height = displayed_size(first)
        return VideoFacts(
            container="h264",
            codec="h264",
            pixel_format=first.image.format.name,
            width=width,
            height=height,
            rotation_degrees=clockwise_rotation(first),
            time_base=TIME_BASE,
            average_frame_rate=self.frame_rate,
        )

    def warnings(self, selector: Selector, report: DecodeReport) -> tuple[ResultWarning, ...]:
        """What a reader should know, after the last frame was taken."""
        return frame_warnings(selector, report)

    def _indexed(self, number: int, position: int, data: bytes) -> IndexedPacket:
        picture = self.parser.parse(data)
        self._check.check(data)
        return IndexedPacket(number, Packet(data), picture, None, None, 0, position, False)

    def _frame_rate(self) -> Fraction | None:
        active = self.parser.active
        if active is not None and active.frame_rate in _SIMPLE_RATES:
            return active.frame_rate
        with open_source(self._path, self._limits) as source:
            if source.container.format.name != "h264":
                raise UncertainStreamError("it is no plain H.264")
            return frame_rate(source.stream)


@contextmanager
def open_raw_video(path: Path, limits: Limits) -> Iterator[RawVideo]:
    """
    Open a raw H.264 file.

    Raises:
        UncertainStreamError: It does not begin as one that can be planned.
    """
    with path.open("rb") as file:
        yield RawVideo(path, file, limits)


def is_raw_h264(path: Path) -> bool:
    """Whether a file begins as raw H.264 does: with parameters, or a delimiter before them."""
    with path.open("rb") as file:
        beginning = file.read(5)
    header = beginning.lstrip(b"\x00")
    if not beginning.startswith(b"\x00\x00") or len(header) < 2 or header[0] != 1:
        return False
    return header[1] & 0x80 == 0 and header[1] & 0x1F in (SPS, DELIMITER)


def access_units(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """
    Position and bytes of every access unit (§7.4.1.2.3), start codes included.

    Raises:
        UncertainStreamError: One is too long to be one.
    """
    data, offset = file.read(_CHUNK_BYTES), 0
    unit = search = 0
    has_picture = False
    while True:
        at = data.find(_START, search)
        if at < 0 or at + 5 > len(data):
            more = file.read(_CHUNK_BYTES)
            if not more:
                break
            if len(data) - unit > MAX_GOP_BYTES:
                raise UncertainStreamError("an access unit does not end")
            kept = at if at >= 0 else max(unit, len(data) - 3)
            search, data, offset = kept - unit, data[unit:] + more, offset + unit
            unit = 0
            continue
        if _begins_unit(data[at + 3], data[at + 4]) and has_picture:
            begin = at - (at > unit and data[at - 1] == 0)
            yield offset + unit, data[unit:begin]
            unit, has_picture = begin, False
        has_picture = has_picture or data[at + 3] & 0x1F in (SLICE, IDR)
        search = at + 3
    if unit < len(data):
        yield offset + unit, data[unit:]


def _begins_unit(header: int, following: int) -> bool:
    """Whether a NAL unit that comes after a picture belongs to the next."""
    kind = header & 0x1F
    if kind in (SLICE, IDR):
        return following >= 0x80  # first_mb_in_slice is 0
    return kind in (SEI, SPS, PPS, DELIMITER) or 14 <= kind <= 18
