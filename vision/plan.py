"""
From a selection to the packets that must be decoded.

Frames are numbered and chosen from the index alone. A GOP without a wanted frame is skipped; of the
others the decoder is given the packets up to the last wanted one in decoding order, without the
pictures that nothing refers to unless they are wanted themselves. `docs/vision.md` says why the
decoder then puts out the very pictures that it puts out when it is given all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from av.packet import Packet

from vision.bitstreams.base import PictureParser, UncertainStreamError
from vision.clock import PresentationClock
from vision.index import Gop, IndexedPacket, Timing, presented
from vision.limits import Limits
from vision.report import DecodeReport
from vision.selection import Candidate, KeyFrames, Selector
from vision.shards import Part


@dataclass(frozen=True, slots=True)
class WantedFrame:
    """
    The identity of a frame that is to be decoded.

    Attributes:
        is_key_frame: As the decoder should mark it; None where only it can tell.
    """

    frame_index: int
    pts: int
    time_s: float
    is_key_frame: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class DecodeTask:
    """
    What a decoder in its initial state is given.

    Attributes:
        packets: In decoding order.
        wanted: By place in `packets`; in presentation order.
        head: Parameters to put before the first packet, where the container brings none.
    """

    packets: tuple[IndexedPacket, ...]
    wanted: dict[int, WantedFrame]
    head: bytes

    @property
    def size_bytes(self) -> int:
        """Of all packets."""
        return sum(entry.packet.size for entry in self.packets)


Choice = list[tuple[IndexedPacket, WantedFrame]]
"""Wanted frames in presentation order."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A GOP that the next one's leading pictures may yet need."""

    packets: Gop
    wanted: Choice


@dataclass(slots=True, eq=False)
class Planner:
    """
    Plans one pass over one video.

    Attributes:
        report: Filled with what the index tells.
        part: What of the wanted frames is to be decoded here; all unless given.
        observe: Told of every wanted frame and where its GOP begins, instead of decoding any.
    """

    parser: PictureParser
    timing: Timing
    clock: PresentationClock
    selector: Selector
    limits: Limits
    report: DecodeReport
    part: Part | None = None
    observe: Callable[[int, int], None] | None = None
    _last: tuple[int, int] = field(default=(0, 0), init=False)

    def tasks(self, gops: Iterable[Gop]) -> Iterator[DecodeTask]:
        """
        What to decode, in presentation order.

        Raises:
            UncertainStreamError: The stream is not of a form that can be planned.
            RejectedVideoError: The video turns out longer than its limits.
        """
        pending: _Pending | None = None
        for gop in gops:
            leading, trailing = _parted(gop, self._choose(gop))
            if leading:
                if pending is None:
                    raise UncertainStreamError("leading pictures come before all others")
                # They refer to the GOP before, so they are decoded with it.
                pending.packets += _before(gop)
                pending.wanted += leading
            if pending is not None and pending.wanted:
                yield _task(pending, self.parser.head())
            pending = _Pending([e for e in gop if not e.picture.is_leading], trailing)
            if self.selector.is_done or self._is_past_its_part:
                break
        self.report.reached_end = not self.selector.is_done
        if pending is not None and pending.wanted:
            yield _task(pending, self.parser.head())
        pts, duration = self._last
        self.report.end_s = float((pts + duration) * self.clock.time_base)

    @property
    def _is_past_its_part(self) -> bool:
        return self.part is not None and self.report.frame_count > self.part.last

    def _choose(self, gop: Gop) -> Choice:
        chosen: Choice = []
        report, clock = self.report, self.clock
        in_order = presented(gop, self.parser.max_reorder)
        for entry, found in zip(in_order, self.timing.times(gop, in_order), strict=True):
            if entry.is_hidden or not entry.picture.is_shown or self.selector.is_done:
                continue
            pts = clock.stamp(found)
            if clock.guessed_count and not self.timing.is_missing:
                raise UncertainStreamError("timestamps repeat or go backwards")
            time = clock.since_first(pts)
            self.limits.check_duration(float(time))
            is_key_frame = entry.picture.is_key_frame
            if is_key_frame is None and isinstance(self.selector, KeyFrames):
                raise UncertainStreamError("only decoding tells its key frames")
            candidate = Candidate(report.frame_count, time, bool(is_key_frame))
            if self.selector.wants(candidate) and self._is_mine(candidate.frame_index, gop):
                frame = WantedFrame(candidate.frame_index, pts, float(time), is_key_frame)
                chosen.append((entry, frame))
            report.frame_count += 1
            report.guessed_times = clock.guessed_count
            self._last = pts, entry.duration
        return chosen

    def _is_mine(self, frame_index: int, gop: Gop) -> bool:
        if self.observe is not None:
            self.observe(frame_index, gop[0].position)
            return False
        return self.part is None or self.part.first <= frame_index <= self.part.last


def _parted(gop: Gop, chosen: Choice) -> tuple[Choice, Choice]:
    """
    What must be decoded with the GOP before, and the rest.

    One leading picture takes with it all that is shown before the GOP's first, to keep the order.
    """
    if not any(entry.picture.is_leading for entry, _ in chosen):
        return [], chosen
    first = gop[0].picture.order
    before = [pair for pair in chosen if pair[0].picture.order < first]
    return before, chosen[len(before) :]


def _before(gop: Gop) -> Gop:
    """
    A GOP's first picture and what is shown before it, for the decoder of the GOP before.

    What its own decoder is given too is copied: decoders mark packets, each at its own time.
    """
    first = gop[0].picture.order
    return [
        entry if entry.picture.is_leading else replace(entry, packet=Packet(bytes(entry.packet)))
        for entry in gop
        if entry.picture.order <= first
    ]


def _task(pending: _Pending, head: bytes) -> DecodeTask:
    frames = {entry.number: frame for entry, frame in pending.wanted}
    waiting = len(frames)
    packets: list[IndexedPacket] = []
    places: dict[int, int] = {}
    for entry in pending.packets:
        is_wanted = entry.number in frames
        if is_wanted or entry.picture.is_reference:
            places[entry.number] = len(packets)
            packets.append(entry)
        waiting -= is_wanted
        if not waiting:
            break
    wanted = {places[entry.number]: frame for entry, frame in pending.wanted}
    return DecodeTask(tuple(packets), wanted, head)
