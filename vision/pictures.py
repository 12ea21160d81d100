"""
From packets to decoded pictures in presentation order, in the face of damage.

What a decoder refuses is counted and passed over; what the container loses ends the stream. Nothing
here looks at pixels, selects or scales: that is `vision.decode`.
"""

import errno
import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

_RECENT_DAMAGE = 64
"""A damaged packet's picture leaves the decoder at most this many pictures later (H.264: 16)."""
_MAX_PENDING_TIMES = 64
_MAX_FAILED_READS = 16
"""Reading goes on after damage, but not for ever where nothing more comes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and its presentation timestamp in stream units, None where unknown."""

    image: VideoFrame
    pts: int | None


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
        self.packet_count = 0
        self.damaged_count = 0
        self.has_failed = False
        self.read_error: str | None = None
        self.order_is_time = container.format.name == "avi"

    def packets(self) -> Iterator["Packet[VideoStream]"]:
        """Every packet that holds anything; to be used once."""
        failed_reads = 0
        packets = self._container.demux(self._stream)
        while failed_reads < _MAX_FAILED_READS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                if error.errno in (errno.EIO, errno.ENOMEM):
                    raise  # the machine's fault, not the file's
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


class PictureStream(PacketStream):
    """The pictures of one video stream, each once, in presentation order."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        super().__init__(container, stream)
        self._recent_damage: deque[int | None] = deque(maxlen=_RECENT_DAMAGE)
        self._pending_times: list[int] = []
        self._pictures = self._decode()

    def __iter__(self) -> Iterator[Picture]:
        return self

    def __next__(self) -> Picture:
        return next(self._pictures)

    def _decode(self) -> Iterator[Picture]:
        for packet in self.packets():
            self._note_packet(packet)
            for image in self._decoded(packet):
                yield Picture(image, self._time_of(image))
        for image in self._decoded(None):
            yield Picture(image, self._time_of(image))

    def _decoded(self, packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        try:
            return self._stream.decode(packet)
        except av.error.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("the decoder found no memory") from error
            self._note_damage(packet.pts if packet else None)
            return []

    def _note_packet(self, packet: "Packet[VideoStream]") -> None:
        if packet.is_corrupt:
            self._note_damage(packet.pts)
        if self.order_is_time and packet.dts is not None:
            heapq.heappush(self._pending_times, packet.dts)
            if len(self._pending_times) > _MAX_PENDING_TIMES:
                heapq.heappop(self._pending_times)

    def _note_damage(self, pts: int | None) -> None:
        if pts is None or pts not in self._recent_damage:
            self._recent_damage.append(pts)
            self.damaged_count += 1

    def _time_of(self, image: VideoFrame) -> int | None:
        if image.is_corrupt:
            self._note_damage(image.pts)
        if not self.order_is_time:
            return image.pts
        # The n-th picture shown has the n-th smallest decoding timestamp.
        return heapq.heappop(self._pending_times) if self._pending_times else None
