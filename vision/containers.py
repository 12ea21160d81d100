"""A container's video stream, opened to be planned."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from contracts.results import ResultWarning, VideoFacts
from vision.bitstreams.base import UncertainStreamError
from vision.decoders import PlannedDecoding
from vision.index import HeaderCheck, IndexedPacket, Timing, indexed, parser_for
from vision.limits import Limits
from vision.pictures import PacketStream, Picture
from vision.report import DecodeReport, decode_warnings
from vision.selection import Selector
from vision.video import (
    Source,
    file_duration_s,
    frame_rate,
    open_source,
    video_facts,
)
from vision.workers import Decode

_MP4_BRAND = b"ftyp"
_WHOLE_HEADERS = frozenset({"mp4", "matroska"})
"""What a decoder needs stands before the first packet."""


class ContainerVideo:
    """
    As `vision.reader.PlannableVideo`.

    Raises:
        UncertainStreamError: Nothing is known of the codec, or times are not kept.
    """

    def __init__(self, path: Path, source: Source) -> None:
        self._path = path
        self._source = source
        context = source.stream.codec_context
        container = source.container.format.name
        self._has_whole_header = bool(_WHOLE_HEADERS & set(container.split(",")))
        if source.stream.time_base is None:
            raise UncertainStreamError("it has no time base")
        self._pictures = PacketStream(source.container, source.stream)
        self.parser = parser_for(context.name, container, context.extradata)
        self._check = HeaderCheck(context.name, source.stream)
        self.timing = Timing(source.stream.time_base, is_order=self._pictures.order_is_time)
        self.frame_rate = frame_rate(source.stream)
        self.duration_s = file_duration_s(source.container, source.stream)
        self.promised_frames = source.stream.frames
        self.file_size_bytes = source.file_size_bytes

    def packets(self) -> Iterator[IndexedPacket]:
        """Every packet with what it says, in decoding order."""
        for number, packet in enumerate(self._pictures.packets()):
            yield indexed(number, packet, self.parser, self._check)
        if self._pictures.has_failed:
            raise UncertainStreamError("the container is damaged")

    def decoder(self, shared: PlannedDecoding, threads: int) -> AbstractContextManager[Decode]:
        """A decoder for its tasks."""
        return shared.open(self._path, threads, probes=not self._has_whole_header)

    def facts(self, first: Picture) -> VideoFacts:
        """What it is, by its header and one of its pictures."""
        return video_facts(self._source, first)

    def warnings(self, selector: Selector, report: DecodeReport) -> tuple[ResultWarning, ...]:
        """What a reader should know, after the last frame was taken."""
        read = _Read(self._source, self._pictures)
        reorders = bool(self.parser.max_reorder)
        return self._source.warnings + decode_warnings(read, selector, report, reorders=reorders)


class _Read:
    """What is left of a video when it has been read, for its warnings."""

    def __init__(self, source: Source, pictures: PacketStream) -> None:
        self.container = source.container
        self.stream = source.stream
        self.file_size_bytes = source.file_size_bytes
        self.pictures = pictures


@contextmanager
def open_container_video(path: Path, limits: Limits) -> Iterator[ContainerVideo]:
    """
    Open a container without decoding anything of it, where its header says enough.

    Raises:
        UncertainStreamError: As `ContainerVideo`.
        RejectedVideoError: As `vision.video.open_source`.
    """
    with path.open("rb") as file:
        is_mp4 = file.read(8)[4:] == _MP4_BRAND
    with open_source(path, limits, probes=not is_mp4) as source:
        if not is_mp4 or source.stream.frames:
            yield ContainerVideo(path, source)
            return
    with open_source(path, limits) as source:
        yield ContainerVideo(path, source)
