"""
Which frame of the video a decoded picture is, though others be lost to damage.

Every packet that holds a frame takes a place in the order of presentation: by its headers as in a
plan, or by its timestamp where they cannot be read. A picture is known by the packet that it came
from, and places before it that stay empty are frames that were lost. So the frames after them keep
the indices and times that the file gives them.
"""

import heapq
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from av.packet import Packet
from av.video.frame import VideoFrame

from vision.bitstreams.base import CodedPicture, PictureParser, UncertainStreamError
from vision.index import stream_parser

_MAX_PENDING_TIMES = 64


class _Place(NamedTuple):
    """
    Where a packet's frame stands; sorted by that.

    It goes with the packet through the decoder. PyAV keeps what does so by its address: something
    that others may share, such as a small number, would be lost.
    """

    key: tuple[int, int]
    number: int
    pts: int | None


class FrameNumbers:
    """
    Gives packets their places and finds pictures in them; for one pass over one stream.

    Args:
        order_is_time: The container keeps decoding timestamps only: the n-th frame that is shown,
            or lost, has the n-th smallest of them.
        keeps_packets: The container says where packets begin. In others (MPEG-TS, raw streams) they
            are cut at start codes, so damage may make two of them one.

    Attributes:
        is_certain: Whether it can be told which frames are lost. Where it is false, no frame is
            said to be lost, and frames are to be counted as they come.
    """

    def __init__(
        self,
        codec: str,
        extradata: bytes | None,
        *,
        order_is_time: bool,
        keeps_packets: bool,
    ) -> None:
        self.is_certain = True
        self._order_is_time = order_is_time
        self._keeps_packets = keeps_packets
        self._is_by_headers = True
        self._is_sure_of_packets = True
        self._waiting: list[_Place] = []
        self._keys: dict[int, tuple[int, int]] = {}
        self._times: list[int] = []
        self._count = self._gop = 0
        self._last_dts: int | None = None
        self._parser: PictureParser | None = None
        with suppress(UncertainStreamError):
            self._parser = stream_parser(codec, extradata)

    def add(self, packet: "Packet[Any]") -> None:
        """Take the next packet, and mark it so that its picture is known by it."""
        number = self._count
        self._count += 1
        if self._order_is_time and packet.dts is not None:
            heapq.heappush(self._times, packet.dts)
            if len(self._times) > _MAX_PENDING_TIMES:
                heapq.heappop(self._times)
        if not self.is_certain or packet.is_discard:
            return
        key = self._key(packet, self._picture(packet))
        if self.is_certain and key is not None:
            packet.opaque = place = _Place(key, number, packet.pts)
            heapq.heappush(self._waiting, place)
            self._keys[number] = key

    def find(
        self, image: VideoFrame, *, is_damaged: bool
    ) -> tuple[int | None, tuple[int | None, ...]]:
        """
        The next picture's timestamp, and those of the frames lost between the last one and it.

        Args:
            is_damaged: Whether damage was found so far.
        """
        place = image.opaque
        key = self._keys.pop(place.number, None) if isinstance(place, _Place) else None
        if key is None:
            # It comes from no packet, or after one that was shown later: there is no order.
            self._give_up()
            return self._time(image.pts), ()
        lost = self._emptied(key, is_damaged=is_damaged)
        return self._time(image.pts), lost

    def is_missing_any(self, found: int) -> bool:
        """Whether a packet has not got its picture, when so many were found."""
        return bool(self._keys) if self.is_certain else found < self._count

    def lost_at_end(self, *, is_damaged: bool) -> tuple[int | None, ...]:
        """The timestamps of the frames lost after the last picture, when the stream has ended."""
        return self._emptied(None, is_damaged=is_damaged)

    def _picture(self, packet: "Packet[Any]") -> CodedPicture | None:
        """What the headers say; None where they cannot be relied on."""
        if self._parser is None:
            return None
        try:
            if packet.has_sidedata("new_extradata"):
                raise UncertainStreamError("its parameters change")
            if packet.is_corrupt and not self._keeps_packets:
                raise UncertainStreamError("packets are missing")
            picture = self._parser.parse(bytes(packet))
            if self._gop == 0 and not picture.starts_gop:
                raise UncertainStreamError("it does not begin with a key frame")
        except UncertainStreamError:
            if self._parser.max_reorder != 0 or not self._keeps_packets:
                self._parser = None
            return None
        self._gop += picture.starts_gop
        return picture

    def _key(self, packet: "Packet[Any]", picture: CodedPicture | None) -> tuple[int, int] | None:
        """A packet's place; None where it has none."""
        if picture is None and self._gop == 0:
            self._is_sure_of_packets = False
        elif picture is not None and not picture.is_shown:
            return None
        if self._parser is not None:
            order = picture.order if picture and self._parser.max_reorder != 0 else self._count
            return self._gop, order
        if self._is_by_headers:
            self._sort_by_times()
        if packet.dts is not None and self._last_dts is not None and packet.dts < self._last_dts:
            self._give_up()
        self._last_dts = packet.dts
        if packet.pts is None:
            self._give_up()
        return packet.pts or 0, 0

    def _sort_by_times(self) -> None:
        self._is_by_headers = False
        times = [place.pts for place in self._waiting]
        if self._order_is_time or not self._keeps_packets or None in times:
            self._give_up()
        self._waiting = [place._replace(key=(place.pts or 0, 0)) for place in self._waiting]
        heapq.heapify(self._waiting)
        self._keys = {p.number: p.key for p in self._waiting if p.number in self._keys}

    def _emptied(
        self, until: tuple[int, int] | None, *, is_damaged: bool
    ) -> tuple[int | None, ...]:
        """Take the places before one, or all; the times of those without a picture."""
        lost = [place.pts for place in self._before(until) if self._keys.pop(place.number, None)]
        if lost and not (is_damaged or self._is_sure_of_packets):
            self._give_up()  # not all packets hold a frame
            return ()
        return tuple(self._time(pts) for pts in lost)

    def _before(self, until: tuple[int, int] | None) -> Iterator[_Place]:
        while self._waiting and (until is None or self._waiting[0].key < until):
            yield heapq.heappop(self._waiting)

    def _time(self, pts: int | None) -> int | None:
        if not self._order_is_time:
            return pts
        return heapq.heappop(self._times) if self._times else None

    def _give_up(self) -> None:
        self.is_certain = False
        self._waiting.clear()
        self._keys.clear()
