"""What a packet's bitstream says of the picture in it, whichever codec it is."""

from dataclasses import dataclass
from typing import Protocol


class UncertainStreamError(Exception):
    """
    The stream is not of a form whose decoding can be planned with certainty.

    The message says why, as the end of a sentence that a person reads.
    """


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """
    One coded picture.

    Attributes:
        order: Presentation order among the pictures of one GOP (a picture order count, or simply
            the decoding order where a codec does not reorder).
        starts_gop: Decoding may begin here: no later picture but the leading ones refers to what
            came before, and none of them is presented before what came before.
        is_leading: Refers to pictures before the one that starts its GOP, and is presented before
            that one: it cannot be decoded with its own GOP alone.
        is_reference: Another picture's decoding may depend on it.
        is_key_frame: As the decoder will mark it; None where only decoding can tell.
        is_shown: Whether the decoder puts it out.
    """

    order: int
    starts_gop: bool
    is_reference: bool
    is_key_frame: bool | None
    is_leading: bool = False
    is_shown: bool = True


class PictureParser(Protocol):
    """Reads the packets of one stream, in decoding order."""

    @property
    def max_reorder(self) -> int | None:
        """Pictures the decoder holds back for reordering by the stream's word; None: any number."""

    def parse(self, data: bytes) -> CodedPicture:
        """
        Read the headers of one packet.

        Raises:
            UncertainStreamError: They are damaged, or of a form that is not planned for.
        """

    def head(self) -> bytes:
        """What a decoder that begins in the middle must be given first; mostly nothing."""
