"""What one video may cost: set by a stage, carried by a job's arguments, kept by the container."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """
    Beyond these a video is refused. Settings, arguments and decoders all use these names.

    Attributes:
        max_pixels: Of one picture; the default is a little above 8K (7680×4320).
        max_duration_s: Of the whole video; the default is a day.
        max_streams: Of one file: pictures, sound, captions and data together.
        max_header_bytes: Of all that is read before the first picture. A day of MP4 has 100 MB of
            index.
        max_metadata_bytes: Of that, what is no index: tags, covers, fonts.
        max_samples: That an index may claim, of all streams; reading one costs some 40 bytes of
            memory. A day at 60 frames a second has 9 million with its sound.
        max_frames: That a selection may choose.
        max_decode_s: Decoding may be waited for, all in all.
        max_stall_s: Nothing may come forth, of a decoder or of a model, before it is given up.
        max_memory_bytes: Of the process that decodes and runs the model; three quarters of what the
            machine or the container has where it is None.
    """

    max_pixels: int = 8192 * 8192
    max_duration_s: float = 86_400.0
    max_streams: int = 64
    max_header_bytes: int = 128 << 20
    max_metadata_bytes: int = 16 << 20
    max_samples: int = 16_000_000
    max_frames: int = 1_000_000
    max_decode_s: float = 10_800.0
    max_stall_s: float = 300.0
    max_memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value <= 0:
                raise ValueError(f"{field.name} must be above 0, got {value}")

    def to_arguments(self) -> tuple[str, ...]:
        """The container's arguments that set these limits: `--max-pixels 67108864 …`."""
        arguments: list[str] = []
        for field in fields(self):
            if (value := getattr(self, field.name)) is not None:
                arguments += (argument_of(field.name), str(value))
        return tuple(arguments)


def argument_of(name: str) -> str:
    """`--max-pixels` of `max_pixels`."""
    return "--" + name.replace("_", "-")
