"""
Decoders that carry out planned tasks, and find out where a plan was wrong.

They are opened as the sequential decoder is, except that they refuse damage instead of hiding it:
then the whole video is decoded sequentially, as if it had not been planned.
"""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from contracts.results import FrameRecord
from vision.bitstreams.base import UncertainStreamError
from vision.canvas import Converter, Frame, form_of, place
from vision.limits import Limits
from vision.models.base import ModelInput
from vision.pictures import Picture
from vision.plan import DecodeTask, WantedFrame
from vision.video import (
    STRICTNESS,
    decoder_options,
    displayed_size,
    open_source,
    use_threads,
)
from vision.workers import Decode

_MAX_SPARE = 4
_spare: list[VideoCodecContext] = []
"""Decoders of raw H.264, which need no header: one clip after another uses the same."""
_spare_lock = threading.Lock()


@dataclass(slots=True, eq=False)
class PlannedDecoding:
    """
    What all decoders of one video share.

    Attributes:
        check: Called before every packet; what it raises ends the decoding.
        first: A picture that was decoded, which stands for all: they have one form.
        frames_decoded: By all decoders together.
    """

    model_input: ModelInput
    limits: Limits
    time_base: Fraction
    check: Callable[[], None] = lambda: None
    first: Picture | None = None
    frames_decoded: int = 0
    _form: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self, path: Path, threads: int, *, probes: bool) -> Iterator[Decode]:
        """
        A decoder of a container's stream, which brings parameters and rotation with it.

        Args:
            probes: As in `vision.video.open_source`.
        """
        with open_source(path, self.limits, probes=probes) as source:
            context = source.stream.codec_context
            use_threads(context, "FRAME" if threads > 1 else "NONE", threads)
            yield _Decoding(self, context).decode

    @contextmanager
    def open_raw(self, codec: str, threads: int) -> Iterator[Decode]:
        """A decoder of a stream that brings all parameters itself."""
        context = _spare_context(codec, self.limits, threads)
        yield _Decoding(self, context).decode
        with _spare_lock:
            if threads == 1 and len(_spare) < _MAX_SPARE:
                _spare.append(context)

    def note(self, picture: Picture) -> None:
        """
        Count a picture.

        Raises:
            UncertainStreamError: It has another form than the others, or is damaged.
        """
        form = form_of(picture)
        with self._lock:
            self.frames_decoded += 1
            if self._form is None:
                self.limits.check_pixels(picture.image.width, picture.image.height)
                self._form, self.first = form, picture
        if picture.image.is_corrupt:
            raise UncertainStreamError("a picture is damaged")
        if form != self._form:
            raise UncertainStreamError(f"its pictures change from {self._form} to {form}")


class _Decoding:
    def __init__(self, shared: PlannedDecoding, context: VideoCodecContext) -> None:
        self._shared = shared
        self._context = context
        self._converter = Converter()

    def decode(self, task: DecodeTask) -> Iterator[Frame]:
        """As `vision.workers.Decode`."""
        awaited = iter(task.wanted.items())
        place_awaited, frame = next(awaited)
        for image in self._images(task):
            picture = Picture(image, image.pts)
            self._shared.note(picture)
            if image.pts not in task.wanted:
                continue
            if image.pts != place_awaited:
                raise UncertainStreamError("the decoder puts pictures out in another order")
            yield self._converted(picture, frame)
            place_awaited, frame = next(awaited, (-1, frame))
        if place_awaited >= 0:
            raise UncertainStreamError(f"the decoder puts no frame {frame.frame_index} out")

    def _images(self, task: DecodeTask) -> Iterator[VideoFrame]:
        """All pictures of a task, each with its packet's place as its timestamp."""
        try:
            for number, entry in enumerate(task.packets):
                self._shared.check()
                packet: Packet[Any] = entry.packet
                if number == 0 and task.head:
                    packet = Packet(task.head + bytes(packet))
                packet.pts = packet.dts = number
                yield from self._context.decode(packet)
            yield from self._context.decode(None)
        except av.error.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError("the decoder found no memory") from error
            raise UncertainStreamError("a packet is damaged") from error
        finally:
            if self._context.is_open:
                self._context.flush_buffers()

    def _converted(self, picture: Picture, frame: WantedFrame) -> Frame:
        is_key_frame = bool(picture.image.key_frame)
        if frame.is_key_frame not in (None, is_key_frame):
            raise UncertainStreamError("its key frames are not where its packets say")
        model_input = self._shared.model_input
        width, height = displayed_size(picture)
        placement = place((width, height), model_input)
        record = FrameRecord(
            frame_index=frame.frame_index,
            pts=frame.pts,
            time_base=self._shared.time_base,
            time_s=frame.time_s,
            is_key_frame=is_key_frame,
            width=width,
            height=height,
        )
        pixels = self._converter.convert(picture, placement, model_input.pad_value)
        return Frame(record, pixels, placement)


def _spare_context(codec: str, limits: Limits, threads: int) -> VideoCodecContext:
    options = decoder_options(codec, limits) | STRICTNESS
    with _spare_lock:
        for number, context in enumerate(_spare):
            if threads == 1 and (context.name, context.options) == (codec, options):
                return _spare.pop(number)
    context = cast(VideoCodecContext, VideoCodecContext.create(codec, "r"))
    context.options = options
    use_threads(context, "FRAME" if threads > 1 else "NONE", threads)
    return context
