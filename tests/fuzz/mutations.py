"""
Ways to break a video's file, each decided by a random number generator alone.

Fields of headers are overwritten with the numbers at which programs go wrong; the rest is damage as
disks, networks and people do it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import av

from tests.fuzz.seeds import SAME_EVERY_TIME

_ODD_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_BOXES = (
    b"tkhd mvhd mdhd stsd avc1 hvc1 av01 vp09 avcC hvcC stts ctts stsc stsz stco stss elst trun "
    b"tfhd tfdt mfhd trex hdlr sidx"
).split()
_ENDINGS = ("mp4", "mov", "mkv", "webm", "ts", "avi", "h264")
_MAX_BYTES = 4 << 20
"""No mutation makes a file larger, so that what a case costs is not its size."""


@dataclass(slots=True)
class Broken:
    """A video under mutation: its bytes, its name's ending, and a whole video of another kind."""

    content: bytearray
    ending: str
    seed: Path
    other: bytes


Mutation = Callable[[Broken, Random], None]


def flip_bits(video: Broken, random: Random) -> None:
    for _ in range(random.choice([1, 2, 8, 64, 512])):
        video.content[random.randrange(len(video.content))] ^= 1 << random.randrange(8)


def truncate(video: Broken, random: Random) -> None:
    del video.content[random.randrange(len(video.content)) :]


def remove(video: Broken, random: Random) -> None:
    start, stop = _span(video.content, random)
    del video.content[start:stop]


def overwrite(video: Broken, random: Random) -> None:
    start, stop = _span(video.content, random)
    video.content[start:stop] = random.choice(
        [bytes(stop - start), b"\xff" * (stop - start), random.randbytes(stop - start)]
    )


def splice(video: Broken, random: Random) -> None:
    """Put a part of another video, a whole box where it has any, somewhere into this one."""
    source = bytearray(video.other)
    start, stop = _box(source, random) or _span(source, random)
    target = (_box(video.content, random) or _span(video.content, random))[0]
    stop_target = target + (stop - start if random.random() < 0.5 else 0)
    video.content[target:stop_target] = source[start:stop]


def repeat_boxes(video: Broken, random: Random) -> None:
    """One box or part of the file, many times over."""
    start, stop = _box(video.content, random) or _span(video.content, random)
    times = min(random.choice([2, 10, 100, 1000]), _MAX_BYTES // max(1, stop - start))
    video.content[start:stop] = bytes(video.content[start:stop]) * times


def edit_fields(video: Broken, random: Random) -> None:
    """Odd numbers in the header's fields."""
    for _ in range(random.choice([1, 1, 2, 4])):
        place = _field(video.content, random)
        width = random.choice([1, 2, 4, 4, 8])
        number = random.choice(_ODD_NUMBERS) + random.choice([0, 0, 0, -1, 1])
        order = "little" if video.ending == "avi" else "big"
        data = (number % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]
        video.content[place : place + width] = data


def swap_ending(video: Broken, random: Random) -> None:
    """Another name's ending, and in half of the cases a few flipped bits."""
    video.ending = random.choice([it for it in _ENDINGS if it != video.ending])
    if random.random() < 0.5:
        flip_bits(video, random)


def shuffle_packets(video: Broken, random: Random) -> None:
    """A good container of packets that come twice, in another order, cut short or not at all."""
    target = video.seed.with_name(f"shuffled-{random.randrange(1 << 30)}.{video.ending}")
    try:
        with (
            av.open(str(video.seed)) as old,
            av.open(str(target), "w", container_options=SAME_EVERY_TIME) as new,
        ):
            stream = old.streams.video[0]
            copy = new.add_stream_from_template(stream, opaque=True)
            packets = [packet for packet in old.demux(stream) if packet.size]
            for slot, data in zip(packets, _dealt(list(map(bytes, packets)), random), strict=True):
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.time_base = slot.pts, slot.dts, slot.time_base
                packet.is_keyframe = slot.is_keyframe
                packet.stream = copy
                new.mux(packet)
        video.content[:] = target.read_bytes()
    except (av.error.FFmpegError, ValueError):
        flip_bits(video, random)  # a muxer that takes no such packets
    finally:
        target.unlink(missing_ok=True)


def _dealt(payloads: list[bytes], random: Random) -> list[bytes]:
    dealt = list(payloads)
    match random.randrange(4):
        case 0:
            random.shuffle(dealt)
        case 1:
            dealt = [random.choice(payloads) for _ in payloads]
        case 2:
            dealt = [data[: random.randrange(1, len(data) + 1)] for data in payloads]
        case _:
            one, two = (random.randrange(len(dealt)) for _ in range(2))
            dealt[one], dealt[two] = dealt[two], dealt[one]
    return dealt


def _span(content: bytearray, random: Random) -> tuple[int, int]:
    start = random.randrange(len(content))
    return start, min(len(content), start + random.choice([1, 16, 188, 400, 4000]))


def _box(content: bytearray, random: Random) -> tuple[int, int] | None:
    """Where a random box begins and ends; None where the file is not made of them."""
    kind = random.choice([*_BOXES, b"trak", b"stbl", b"moov", b"moof", b"mdat", b"minf"])
    at = content.find(kind)
    if at < 4:
        return None
    length = int.from_bytes(content[at - 4 : at])
    return at - 4, min(len(content), at - 4 + length)


def _field(content: bytearray, random: Random) -> int:
    box = _box(content, random)
    if box is None:
        return random.randrange(min(len(content), 1024))
    return min(len(content) - 1, box[0] + random.randrange(0, 40))


MUTATIONS: dict[str, Mutation] = {
    "flipped bits": flip_bits,
    "cut short": truncate,
    "part removed": remove,
    "part overwritten": overwrite,
    "boxes spliced in": splice,
    "boxes repeated": repeat_boxes,
    "header fields": edit_fields,
    "wrong ending": swap_ending,
    "packets shuffled": shuffle_packets,
}
