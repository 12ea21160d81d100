"""The container's arguments, under the names that the field already uses."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import NoReturn

from contracts.limits import VideoLimits, argument_of
from contracts.selection import Selection

VIDEO_FORMATS = "mp4,mov,mkv,avi,h264,ts,webm"


class UsageError(ValueError):
    """The job was started with what it cannot run with; the same job would fail again."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """
    How to run.

    Attributes:
        video_formats: Endings of files to process when no requests file names them, lower case.
        image_size: `(width, height)` of the canvas for models that take pictures as they are.
        selection: Of the frames, when no requests file says which.
        decode_workers: Decoders at work at once; one for each core unless given.
        model_threads: Of a bundle's engine; one for each core unless given.
        model: `builtin:<name>` or `bundle:<digest>`, when no requests file names one.
    """

    video_formats: tuple[str, ...]
    image_size: tuple[int, int] | None
    selection: Selection
    api_server_address: str | None
    model: str | None
    limits: VideoLimits = field(default_factory=VideoLimits)
    decode_workers: int | None = None
    model_threads: int | None = None


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """
    Read the command line.

    Raises:
        UsageError: An argument is unknown or has no such value.
    """
    options = _parser().parse_args(argv)
    if (options.image_width is None) != (options.image_height is None):
        raise UsageError("give --image-width and --image-height together, or neither")
    size = None if options.image_width is None else (options.image_width, options.image_height)
    return Arguments(
        video_formats=options.video_formats,
        image_size=size,
        selection=options.frame_time_interval,
        api_server_address=options.api_server_address,
        model=options.model,
        limits=_limits(options),
        decode_workers=options.decode_workers,
        model_threads=options.model_threads,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m containers.processing", description=__doc__)
    parser.add_argument(
        "--video-formats",
        type=_formats,
        default=VIDEO_FORMATS,
        help="endings of the files to process where no requests file names them, separated by "
        "commas, in any case (default: %(default)s)",
    )
    parser.add_argument("--image-width", type=_pixels, help="of the pictures a model is given")
    parser.add_argument("--image-height", type=_pixels, help="of the pictures a model is given")
    parser.add_argument(
        "--frame-time-interval",
        type=_interval,
        default="1000",
        metavar="MILLISECONDS",
        help="process one frame every so many milliseconds where no requests file says which "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--api-server-address",
        help="of the key-frame index service; accepted and not used yet: the selection index_api "
        "will ask it",
    )
    parser.add_argument(
        "--model",
        help="builtin:<name> or bundle:<SHA-256>, where no requests file names one (default: the "
        "bundle among the inputs, or else builtin:people)",
    )
    parser.add_argument(
        "--decode-workers", type=_count, help="decoders at work at once (default: the cores)"
    )
    parser.add_argument(
        "--model-threads", type=_count, help="of a bundle's engine (default: the cores)"
    )
    group = parser.add_argument_group("limits", "Beyond these a video is refused.")
    for limit in fields(VideoLimits):
        kind = _seconds if limit.name.endswith("_s") else _count
        group.add_argument(argument_of(limit.name), type=kind, help="default: %(default)s")
        group.set_defaults(**{limit.name: limit.default})
    return parser


def _limits(options: argparse.Namespace) -> VideoLimits:
    return VideoLimits(
        **{limit.name: getattr(options, limit.name) for limit in fields(VideoLimits)}
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"expected seconds above 0, got {text!r}")
    return seconds


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(part.strip().lstrip(".").lower() for part in text.split(","))
    if not all(formats):
        raise argparse.ArgumentTypeError(f"expected endings such as {VIDEO_FORMATS}, got {text!r}")
    return formats


def _pixels(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 16_384:
        raise argparse.ArgumentTypeError(f"expected 1 to 16384 pixels, got {text!r}")
    return int(text)


def _interval(text: str) -> Selection:
    try:
        # By way of the text form, which is where intervals are checked.
        seconds = Fraction(text) / 1000
        whole, rest = divmod(seconds * 10**9, 10**9)
        return Selection.parse(f"every_seconds={whole}.{_places(rest)}")
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected milliseconds above 0 with at most six places, got {text!r}"
        ) from None


def _places(nanoseconds: Fraction) -> str:
    if nanoseconds.denominator != 1:
        raise ValueError
    return f"{nanoseconds.numerator:09d}"
