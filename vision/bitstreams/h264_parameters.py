"""
H.264's parameter sets, as far as they are needed (ITU-T H.264, 08/2021).

Clauses: parameter sets §7.3.2.1 and §7.3.2.2, usability information §E.1, bounds of the decoded
picture buffer §A.3.1.
"""

from dataclasses import dataclass
from fractions import Fraction

from vision.bitstreams.base import UncertainStreamError
from vision.bitstreams.bits import BitReader

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_EXTENDED_ASPECT_RATIO = 255
_MAX_REORDER = 15
"""FFmpeg's own bound where the level gives none."""
_DPB_MACROBLOCKS = {
    10: 396, 11: 900, 12: 2376, 13: 2376, 20: 2376, 21: 4752, 22: 8100, 30: 8100, 31: 18000,
    32: 20480, 40: 32768, 41: 32768, 42: 34816, 50: 110400, 51: 184320, 52: 184320,
}  # fmt: skip
"""Table A-1, MaxDpbMbs, without the levels from 6 on, which FFmpeg does not bound either."""


@dataclass(frozen=True, slots=True)
class SequenceParameters:
    """
    What is read of a sequence parameter set.

    Attributes:
        max_reorder: Pictures held back for reordering, as FFmpeg derives it with `strict`.
        frame_rate: Of the timing information; None where it has none.
    """

    frame_num_bits: int
    order_type: int
    order_bits: int
    frames_only: bool
    separate_planes: bool
    max_reorder: int
    frame_rate: Fraction | None


@dataclass(frozen=True, slots=True)
class PictureParameters:
    """What is read of a picture parameter set."""

    sps_id: int
    has_bottom_order: bool


def read_picture_parameters(bits: BitReader) -> tuple[int, PictureParameters]:
    """
    Identity and content of a picture parameter set (§7.3.2.2).

    Raises:
        UncertainStreamError: It ends early.
    """
    identity, sps_id, _ = bits.ue(), bits.ue(), bits.flag()
    return identity, PictureParameters(sps_id, bits.flag())


def read_sequence_parameters(bits: BitReader) -> tuple[int, SequenceParameters]:
    """
    Identity and content of a sequence parameter set (§7.3.2.1).

    Raises:
        UncertainStreamError: It is damaged, or allows what is not planned for.
    """
    profile, _, level = bits.bits(8), bits.bits(8), bits.bits(8)
    identity = bits.ue()
    separate_planes = _read_chroma(bits) if profile in _HIGH_PROFILES else False
    frame_num_bits = bits.ue() + 4
    order_type = bits.ue()
    order_bits = 0
    if order_type == 0:
        order_bits = bits.ue() + 4
    elif order_type == 1:
        _skip_order_type_1(bits)
    bits.ue()  # max_num_ref_frames
    if bits.flag():
        raise UncertainStreamError("its frame numbers may have gaps")
    width, height = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        height *= 2
        bits.flag()
    bits.flag()  # direct_8x8_inference_flag
    if bits.flag():
        for _ in range(4):
            bits.ue()
    frame_rate, reorder = _read_usability(bits) if bits.flag() else (None, None)
    if reorder is None:
        reorder = min(_DPB_MACROBLOCKS.get(level, 1 << 30) // (width * height), _MAX_REORDER)
    if frame_num_bits > 16 or order_bits > 16 or order_type > 2:
        raise UncertainStreamError("its parameters are damaged")
    return identity, SequenceParameters(
        frame_num_bits=frame_num_bits,
        order_type=order_type,
        order_bits=order_bits,
        frames_only=frames_only,
        separate_planes=separate_planes,
        max_reorder=reorder,
        frame_rate=frame_rate,
    )


def _read_chroma(bits: BitReader) -> bool:
    chroma = bits.ue()
    separate_planes = chroma == 3 and bits.flag()
    bits.ue()
    bits.ue()
    bits.flag()
    if bits.flag():
        for index in range(8 if chroma != 3 else 12):
            if bits.flag():
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    """§7.3.2.1.1.1"""
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order_type_1(bits: BitReader) -> None:
    bits.flag()
    bits.se()
    bits.se()
    for _ in range(min(bits.ue(), 255)):
        bits.se()


def _read_usability(bits: BitReader) -> tuple[Fraction | None, int | None]:
    """Frame rate and max_num_reorder_frames (§E.1.1), None where not stated."""
    if bits.flag() and bits.bits(8) == _EXTENDED_ASPECT_RATIO:
        bits.bits(32)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.bits(4)
        if bits.flag():
            bits.bits(24)
    if bits.flag():
        bits.ue()
        bits.ue()
    frame_rate = None
    if bits.flag():
        ticks, scale, _ = bits.bits(32), bits.bits(32), bits.flag()
        if ticks and scale:
            frame_rate = Fraction(scale, 2 * ticks)
    has_nal, has_vcl = _skip_bit_rates(bits), _skip_bit_rates(bits)
    if has_nal or has_vcl:
        bits.flag()
    bits.flag()
    if not bits.flag():
        return frame_rate, None
    bits.flag()
    for _ in range(4):
        bits.ue()
    return frame_rate, bits.ue()


def _skip_bit_rates(bits: BitReader) -> bool:
    """hrd_parameters (§E.1.2), if they are there."""
    if not bits.flag():
        return False
    count = bits.ue() + 1
    bits.bits(8)
    for _ in range(min(count, 32)):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.bits(20)
    return True
