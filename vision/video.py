"""
Open a video and say what it is, or say what is wrong with it.

Only local files are read: FFmpeg's protocols are cut down to `file` and its demuxers to plain
containers, so a hostile playlist can neither fetch anything nor read other files.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from contracts.outcomes import RejectionCode, WarningCode
from contracts.results import ResultWarning, VideoFacts
from vision.boxes import lacks_whole_moov
from vision.faults import RejectedVideoError, is_machine_fault
from vision.headers import check_claims
from vision.limits import Limits
from vision.pictures import Picture, PictureStream

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,ivf,obu,flv,"
    "asf,ogg,mxf,mp3,wav,aac,flac,ac3,amr,aiff,caf"
)
"""Playlists, image sequences and capture devices are left out; sound has its own rejection."""
_DECODERS = (
    "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,mpeg1video,mpeg2video,"
    "mpegvideo,h261,h263,h263p,flv,mjpeg,prores,dnxhd,cfhd,vc1,wmv1,wmv2,wmv3,theora,dvvideo,"
    "rawvideo,v210,ffv1,huffyuv,ffvhuff,utvideo,qtrle"
)
"""What cameras, editors and archives write. FFmpeg has hundreds more, of games and of pictures with
compressed text, that a stranger's file could reach; and sound is not decoded at all."""
STRICTNESS = {"err_detect": "+explode"}
"""Lets a decoder refuse what it would else hide."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """
    An open file and its video stream, nothing of it decoded.

    Attributes:
        warnings: What a reader of the results should know of the file.
        file_size_bytes: Of the whole file.
    """

    container: InputContainer
    stream: VideoStream
    limits: Limits
    warnings: tuple[ResultWarning, ...]
    file_size_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """
    An open video.

    Attributes:
        facts: As far as they are known before its end: `frame_count` is None.
        first: The first picture; `pictures` goes on after it.
        warnings: What a reader of the results should know of the file.
        file_size_bytes: Of the whole file.
    """

    container: InputContainer
    stream: VideoStream
    facts: VideoFacts
    first: Picture
    pictures: PictureStream
    limits: Limits
    warnings: tuple[ResultWarning, ...]
    file_size_bytes: int


@contextmanager
def open_video(
    path: Path, limits: Limits | None = None, check: Callable[[], None] = lambda: None
) -> Iterator[Video]:
    """
    Open a video file and decode its first picture; the file is closed with the context.

    Args:
        check: Called before every packet; what it raises ends the decoding.

    Raises:
        RejectedVideoError: The file is not a video that can be processed.
        OSError: The file cannot be read.
    """
    with open_source(path, limits) as source:
        pictures = PictureStream(
            source.container,
            source.stream,
            reopen=lambda: open_source(path, limits, careful=True),
            check=check,
        )
        with closing(pictures):
            first = _first_picture(pictures, source.stream.frames, source.limits)
            source.limits.check_pixels(first.image.width, first.image.height)
            yield Video(
                container=source.container,
                stream=source.stream,
                facts=video_facts(source, first),
                first=first,
                pictures=pictures,
                limits=source.limits,
                warnings=source.warnings,
                file_size_bytes=source.file_size_bytes,
            )


@contextmanager
def open_source(
    path: Path, limits: Limits | None = None, *, probes: bool = True, careful: bool = False
) -> Iterator[Source]:
    """
    Open a video file and choose its stream; the file is closed with the context.

    Args:
        probes: Whether FFmpeg decodes the beginning to learn what the header does not say. MP4's
            header says it all, and without it opening takes 1 ms instead of 37.
        careful: Decode in one thread, and what is damaged as well as can be; else it is refused.

    Raises:
        RejectedVideoError: The file is not a video that can be processed.
        OSError: The file cannot be read.
    """
    limits = limits or Limits()
    file_size_bytes = path.stat().st_size
    if file_size_bytes == 0:
        raise RejectedVideoError(
            RejectionCode.EMPTY_FILE, "The file is empty (0 bytes). Upload it again."
        )
    check_claims(path, limits)
    with _open_container(path, limits, probes=probes) as container:
        limits.check_streams(len(container.streams))
        stream, warnings = _choose_stream(container, path)
        _check_header(container, stream, limits)
        _set_up_decoder(stream, limits, careful=careful)
        try:
            yield Source(container, stream, limits, warnings, file_size_bytes)
        finally:
            # The decoder's threads give back Python objects, for which they need the interpreter's
            # lock; closing it holds that lock and waits for them. Flushing waits without it.
            stream.codec_context.flush_buffers()


def clockwise_rotation(picture: Picture) -> int:
    """The clockwise turn that displaying a picture takes: 0, 90, 180 or 270 degrees."""
    # The display matrix gives the turn counter-clockwise.
    return round(-picture.image.rotation / 90) * 90 % 360


def displayed_size(picture: Picture) -> tuple[int, int]:
    """`(width, height)` of a picture as displayed, rotation applied."""
    size = (picture.image.width, picture.image.height)
    return size if clockwise_rotation(picture) % 180 == 0 else size[::-1]


def video_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """When the video stream ends by its file's own word; None where the file says nothing of it."""
    if (tag := stream.metadata.get("DURATION")) is not None:
        return _tagged_duration_s(tag)
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # The file's duration is that of its longest stream, which may be the sound.
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _open_container(path: Path, limits: Limits, *, probes: bool) -> InputContainer:
    # While it probes, FFmpeg decodes with options of its own unless it is given these.
    options = {"max_pixels": str(limits.decoder_pixels)}
    if not probes:
        options["skip_frame"] = "all"
    try:
        # "file:" keeps FFmpeg from taking a name such as "concat:x" for a protocol.
        return av.open(
            f"file:{path.resolve()}",
            options=options,
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": _DEMUXERS,
                "codec_whitelist": _DECODERS,
                "max_streams": str(limits.max_streams + 1),
            },
            metadata_errors="replace",
        )
    except av.error.FFmpegError as error:
        if is_machine_fault(error.errno, path):
            raise
        if lacks_whole_moov(path):
            raise _truncated() from error
        raise RejectedVideoError(
            RejectionCode.NOT_A_VIDEO,
            "The file's content is no video container known here. Upload MP4, MOV, MKV, WebM, "
            "AVI, MPEG-TS or raw H.264.",
        ) from error


def _truncated() -> RejectedVideoError:
    return RejectedVideoError(
        RejectionCode.TRUNCATED,
        "The MP4 or MOV file ends before its index (the moov box) does. Upload the whole file, or "
        "close the recording properly.",
    )


def _choose_stream(
    container: InputContainer, path: Path
) -> tuple[VideoStream, tuple[ResultWarning, ...]]:
    pictures_apart = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures_apart]
    if not streams and lacks_whole_moov(path):
        raise _truncated()
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise RejectedVideoError(
            RejectionCode.NO_VIDEO_STREAM, f"The file holds no video stream, only: {kinds}."
        )
    if len(streams) == 1:
        return streams[0], ()
    message = f"The file holds {len(streams)} video streams; the first was processed."
    return streams[0], (ResultWarning(WarningCode.SEVERAL_VIDEO_STREAMS, message),)


def _check_header(container: InputContainer, stream: VideoStream, limits: Limits) -> None:
    name = stream.codec_context.name if stream.codec_context else "unknown"
    if name not in _DECODERS.split(","):
        raise RejectedVideoError(
            RejectionCode.UNREADABLE,
            f"The video's codec ({name}) is not decoded here. Convert it to H.264.",
        )
    limits.check_pixels(stream.codec_context.width, stream.codec_context.height)
    if (duration_s := file_duration_s(container, stream)) is not None:
        limits.check_duration(duration_s)


def _set_up_decoder(stream: VideoStream, limits: Limits, *, careful: bool) -> None:
    context = stream.codec_context
    context.options = decoder_options(context.name, limits)
    if careful:
        use_threads(context, "NONE", 1)
    else:
        context.options = context.options | STRICTNESS
        use_threads(context, "AUTO")
    for other in stream.container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def decoder_options(codec: str, limits: Limits) -> dict[str, str]:
    """What every decoder of a video is opened with, so that all put out the same pictures."""
    options = {"max_pixels": str(limits.decoder_pixels)}
    if codec == "h264":
        # Without bitstream_restriction in the stream the decoder guesses how far pictures are
        # reordered and loses some where it guesses short; strict makes it take the bound instead.
        options["strict"] = "1"
    return options


def use_threads(context: VideoCodecContext, kind: str, count: int = 0) -> None:
    """Set a decoder's threads; 0 are as many as there are cores."""
    if context.name == "vp8":
        # FFmpeg's decoder rarely tells of damage, and what it makes of it depends on its threads.
        kind, count = "NONE", 1
    context.thread_type = kind
    context.thread_count = count


def _first_picture(pictures: PictureStream, promised_frames: int, limits: Limits) -> Picture:
    first = next(pictures, None)
    if first is not None:
        return first
    if pictures.packet_count == 0 and promised_frames > 0:
        raise RejectedVideoError(
            RejectionCode.TRUNCATED,
            f"The file ends before the first of its {promised_frames} frames. Upload it whole.",
        )
    if pictures.damaged_count:
        raise RejectedVideoError(
            RejectionCode.UNREADABLE,
            "No frame of the video could be decoded: it is damaged, encrypted, in an unsupported "
            f"form of its codec, or claims more than {limits.max_pixels:,} pixels.",
        )
    raise RejectedVideoError(RejectionCode.NO_FRAMES, "The video stream holds no frames.")


def video_facts(source: Source, first: Picture) -> VideoFacts:
    """What an open file and its first picture say of a video."""
    container, stream = source.container, source.stream
    width, height = displayed_size(first)
    return VideoFacts(
        container=container.format.name,
        codec=stream.codec_context.name,
        pixel_format=first.image.format.name,
        width=width,
        height=height,
        rotation_degrees=clockwise_rotation(first),
        time_base=stream.time_base or Fraction(1, av.time_base),
        duration_s=file_duration_s(container, stream),
        average_frame_rate=frame_rate(stream),
        has_audio=bool(container.streams.audio),
    )


def file_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the video is by its file's word, or else all that the file holds."""
    duration_s = video_duration_s(container, stream)
    if duration_s is None and container.duration is not None:
        return container.duration / av.time_base
    return duration_s


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Average frames a second as the file says; None where it does not."""
    # Of a stream without any times the average is FFmpeg's default, 25; the codec's header knows.
    return (stream.average_rate if stream.duration else stream.guessed_rate) or None


def _tagged_duration_s(tag: str) -> float | None:
    """Matroska's `00:00:02.400000000`."""
    try:
        hours, minutes, seconds = tag.split(":")
        duration_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
    return duration_s if math.isfinite(duration_s) else None
