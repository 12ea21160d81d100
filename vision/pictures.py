"""
From packets to decoded pictures in presentation order, in the face of damage.

What a decoder refuses is counted and passed over; what the container loses ends the stream. Nothing
here looks at pixels, selects or scales: that is `vision.decode`.
"""

import errno
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vision.faults import is_machine_fault
from vision.numbering import FrameNumbers

_RECENT_DAMAGE = 64
"""A damaged packet's picture leaves the decoder at most this many pictures later (H.264: 16)."""
_MAX_DISORDERED = 16
"""After damage H.264 decoders give pictures out of order, by no more than they reorder at all."""
_KEEPS_DECODING_TIMES = "avi"
_KEEPS_PACKETS = frozenset({"mp4", "matroska", "avi", "flv", "ivf", "asf", "ogg", "mxf"})
_CUT_ANEW_IN_AVI = frozenset({"h264", "hevc"})
"""FFmpeg takes their packets from start codes there, and not from the file's own."""
_MAX_FAILED_READS = 16
"""Reading goes on after damage, but not for ever where nothing more comes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A decoded picture.

    Attributes:
        pts: Presentation timestamp in stream units, None where unknown.
        lost: Timestamps of the frames that were lost since the picture before.
    """

    image: VideoFrame
    pts: int | None
    lost: tuple[int | None, ...] = ()


class PacketStream:
    """
    The packets of one video stream, in decoding order; reading goes on after damage.

    Attributes:
        packet_count: Packets read so far.
        damaged_count: Packets so far that the container or the decoder found damaged.
        has_failed: Whether reading failed anywhere, even where it went on.
        read_error: What ended the reading early, None where the container ended by itself.
        order_is_time: The container keeps decoding timestamps only (AVI), so the times come from
            the order of the pictures.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._path = Path(container.name.removeprefix("file:"))
        self.packet_count = 0
        self.damaged_count = 0
        self.has_failed = False
        self.read_error: str | None = None
        self.order_is_time = container.format.name == _KEEPS_DECODING_TIMES

    def packets(self) -> Iterator["Packet[VideoStream]"]:
        """Every packet that holds anything; to be used once."""
        failed_reads = 0
        packets = self._container.demux(self._stream)
        while failed_reads < _MAX_FAILED_READS:
            try:
                packet = next(packets)
            except (StopIteration, IndexError):
                # PyAV's flushing raises IndexError where streams came up after the header's.
                return
            except av.error.FFmpegError as error:
                is_known_to_be_readable = self.has_failed and error.errno == errno.EIO
                if not is_known_to_be_readable and is_machine_fault(error.errno, self._path):
                    raise
                failed_reads += 1
                self.has_failed = True
                self.read_error = str(error)
                packets = self._container.demux(self._stream)
                continue
            if not packet.size:
                continue  # demux() ends with an empty packet; flushing is done once, by decoders.
            failed_reads, self.read_error = 0, None
            self.packet_count += 1
            yield packet


class Reopened(Protocol):
    """The same file, opened once more."""

    @property
    def container(self) -> InputContainer:
        """Its demuxer."""

    @property
    def stream(self) -> VideoStream:
        """The same stream, for a decoder of one thread that hides damage."""


class PictureStream(PacketStream):
    """
    The pictures of one video stream, each once, in presentation order.

    Attributes:
        is_numbered: Whether all frames that were lost so far are known.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        *,
        reopen: Callable[[], AbstractContextManager["Reopened"]],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(container, stream)
        self._check = check
        self._reopen = reopen
        self._recent_damage: deque[int | None] = deque(maxlen=_RECENT_DAMAGE)
        self._numbers = _numbers(container, stream)
        self._pictures = self._found(self._in_order(self._decode()))

    def __iter__(self) -> Iterator[Picture]:
        return self

    def __next__(self) -> Picture:
        return next(self._pictures)

    def close(self) -> None:
        """Close the file, where it was opened anew."""
        self._pictures.close()

    @property
    def is_numbered(self) -> bool:
        return self._numbers.is_certain

    def lost_at_end(self) -> tuple[int | None, ...]:
        """Timestamps of the frames lost after the last picture, when there are no more."""
        return self._numbers.lost_at_end(is_damaged=self._is_damaged)

    @property
    def _is_damaged(self) -> bool:
        return self.damaged_count > 0 or self.has_failed

    def _found(self, images: Iterator[VideoFrame]) -> Generator[Picture, None, None]:
        for image in images:
            yield Picture(image, *self._numbers.find(image, is_damaged=self._is_damaged))

    def _in_order(self, images: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Sort by time from the first damage on; before it, decoders keep the order."""
        held: list[tuple[int, int, VideoFrame]] = []
        shown: int | None = None
        for number, image in enumerate(images):
            pts = image.pts
            if not self.damaged_count or pts is None or self.order_is_time:
                yield from _emptied(held)
                yield image
                shown = pts
                continue
            if shown is not None and pts <= shown:
                yield from _emptied(held)
                shown = None  # the stream's own doing: its times begin anew
            heapq.heappush(held, (pts, number, image))
            if len(held) > _MAX_DISORDERED:
                shown, _, earliest = heapq.heappop(held)
                yield earliest
        yield from _emptied(held)

    def _decode(self) -> Iterator[VideoFrame]:
        """
        With all cores until damage is found; then anew from the beginning, in one thread.

        FFmpeg's threads spoil pictures that have nothing to do with the damaged ones, and some do
        not tell of damage. The decoder refuses it until then, so that it is found before anything
        that follows it is given out.
        """
        count = 0
        for packet in itertools.chain(self.packets(), [None]):
            if packet is not None and packet.is_corrupt:
                break
            try:
                images = self._decoded(packet)
            except av.error.FFmpegError:
                break
            if any(image.is_corrupt for image in images):
                break
            count += len(images)
            yield from images
        else:
            # At a cut, threads may keep pictures to themselves.
            if not self._numbers.is_missing_any(count):
                return
        yield from self._decode_carefully(count)

    def _decode_carefully(self, given: int) -> Iterator[VideoFrame]:
        """All pictures but the first so many, as well as they can be decoded; damage is counted."""
        with self._reopen() as again:
            self._container, self._stream = again.container, again.stream
            self._numbers = _numbers(again.container, again.stream)
            self.packet_count = 0
            for packet in itertools.chain(self.packets(), [None]):
                if packet is not None and packet.is_corrupt:
                    self._note_damage(packet.pts)
                try:
                    images = self._decoded(packet)
                except av.error.FFmpegError:
                    self._note_damage(packet.pts if packet else None)
                    continue
                for image in images:
                    if image.is_corrupt:
                        self._note_damage(image.pts)
                    if not given:
                        yield image
                        continue
                    given -= 1
                    self._numbers.find(image, is_damaged=False)

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        self._check()
        if packet is not None:
            self._numbers.add(packet)
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("the decoder found no memory") from error
            raise

    def _note_damage(self, pts: int | None) -> None:
        if pts is None or pts not in self._recent_damage:
            self._recent_damage.append(pts)
            self.damaged_count += 1


def _numbers(container: InputContainer, stream: VideoStream) -> FrameNumbers:
    context = stream.codec_context
    context.copy_opaque = True
    kinds = set(container.format.name.split(","))
    is_cut_anew = "avi" in kinds and context.name in _CUT_ANEW_IN_AVI
    return FrameNumbers(
        context.name,
        context.extradata,
        order_is_time=container.format.name == _KEEPS_DECODING_TIMES,
        keeps_packets=bool(_KEEPS_PACKETS & kinds) and not is_cut_anew,
    )


def _emptied(held: list[tuple[int, int, VideoFrame]]) -> Iterator[VideoFrame]:
    while held:
        yield heapq.heappop(held)[2]
