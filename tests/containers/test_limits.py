"""What a file claims beyond a limit is refused, in words, before it costs anything."""

import re
from collections.abc import Callable

import pytest

from containers.processing.arguments import UsageError, parse_arguments
from contracts.limits import VideoLimits
from contracts.models import resolve_model
from contracts.outcomes import ExitCode, RejectionCode
from tests.containers.bombs import (
    H264_IDR,
    H264_PPS,
    box,
    element,
    full,
    h264_sps,
    jpeg,
    matroska,
    mp4,
    png,
    png_text,
    u32,
)
from tests.containers.ml_tree import Tree
from tests.vision.attempts import any_request
from tests.vision.videos import VideoSpec, make_video

PEOPLE = resolve_model("builtin:people")
HUGE = 2**27
MAX_PEAK_BYTES = 250_000_000
"""A process that has loaded its libraries and read a small video has 70 to 110 million."""


def raw(width: int, height: int) -> bytes:
    parts = (h264_sps(width, height), H264_PPS, H264_IDR, H264_IDR)
    return b"".join(b"\0\0\0\1" + part for part in parts)


def tag(number: int) -> bytes:
    name = element(0x45A3, b"N%d" % number)
    return element(0x7373, element(0x67C8, name + element(0x4487, b"x")))


def png_video(picture: bytes) -> bytes:
    format_ = u32(0x28000000, 0x60000000, 0x40000000, 0x01001800) + b"MPNG" + bytes(20)
    return matroska(codec=b"V_MS/VFW/FOURCC", private=format_, frame=picture)


def fragment(samples: int) -> bytes:
    header = full(b"tfhd", u32(1, 1, 1, 0), flags=0x38)
    return box(b"moof", full(b"mfhd", u32(1)), box(b"traf", header, full(b"trun", u32(samples))))


def edited(samples: int, edits: int) -> bytes:
    table = full(b"elst", u32(edits), u32(samples, 0, 0x10000) * edits)
    sizes = full(b"stsz", u32(16, samples))
    return mp4(count=samples, samples=sizes, edits=box(b"edts", table))


def within(kind: bytes, video: bytes) -> bytes:
    """Put a box of a kind around the one that is there."""
    start = video.index(kind) - 4
    end = start + int.from_bytes(video[start : start + 4])
    return video[:start] + box(kind, video[start:end]) + video[end:]


TOO_LARGE, UNREADABLE = RejectionCode.TOO_LARGE, RejectionCode.UNREADABLE
BOMBS: dict[str, tuple[Callable[[], bytes], RejectionCode, str]] = {
    "pixels_of_parameters.mp4": (
        lambda: mp4(sps=h264_sps(16_000, 16_000)),
        TOO_LARGE,
        r"16000×16000; at most 67,108,864 pixels",
    ),
    "pixels.h264": (lambda: raw(16_000, 16_000), TOO_LARGE, r"16000×16000; at most 67,108,864"),
    "more_pixels.h264": (lambda: raw(100_000, 100_000), UNREADABLE, "more than 67,108,864"),
    "pixels_of_jpeg.mkv": (
        lambda: matroska(frame=jpeg(16_000, 16_000)),
        UNREADABLE,
        "more than 67,108,864",
    ),
    "pixels_of_png.mkv": (lambda: png_video(png(16_000, 16_000)), UNREADABLE, r"codec \(png\)"),
    "text_of_png.mkv": (lambda: png_video(png(96, 64, png_text(1 << 28))), UNREADABLE, r"\(png\)"),
    "tracks.mp4": (
        lambda: mp4(tracks=box(b"trak") * 1_000_000),
        TOO_LARGE,
        "65 streams or more; at most 64",
    ),
    "tracks.mkv": (
        lambda: matroska(tracks=b"\xae\x80" * 1_000_000),
        TOO_LARGE,
        "65 streams or more; at most 64",
    ),
    "samples.mp4": (
        lambda: mp4(count=HUGE, samples=full(b"stsz", u32(16, HUGE))),
        TOO_LARGE,
        "134,217,728 samples; at most 16,000,000",
    ),
    "samples_of_fragment.mp4": (
        lambda: mp4() + fragment(HUGE),
        TOO_LARGE,
        "134,217,729 samples; at most 16,000,000",
    ),
    "edits.mp4": (
        lambda: edited(10_000, 20_000),
        TOO_LARGE,
        "200,000,000 samples; at most 16,000,000",
    ),
    "edits_behind_a_box.mp4": (
        lambda: box(b"abcd") + edited(10_000, 20_000),
        TOO_LARGE,
        "200,000,000 samples; at most 16,000,000",
    ),
    "edits_set_free.mp4": (
        lambda: edited(10_000, 20_000).replace(b"moov", b"free"),
        TOO_LARGE,
        "200,000,000 samples; at most 16,000,000",
    ),
    "edits_deep_within.mp4": (
        lambda: within(b"moov", edited(10_000, 20_000)),
        TOO_LARGE,
        "200,000,000 samples; at most 16,000,000",
    ),
    "compressed.mp4": (lambda: mp4(tracks=box(b"cmov", bytes(9))), UNREADABLE, "cmov"),
    "metadata.mp4": (
        lambda: mp4(tracks=box(b"udta", box(b"meta", bytes(20 << 20)))),
        TOO_LARGE,
        r"20,971,\d+ bytes of metadata; at most 16,777,216",
    ),
    "cover.mkv": (
        lambda: matroska(element(0x1941A469, bytes(20 << 20))),
        TOO_LARGE,
        "20,971,520 bytes of metadata; at most 16,777,216",
    ),
    "tags.mkv": (
        lambda: matroska(element(0x1254C367, b"".join(map(tag, range(2500))))),
        TOO_LARGE,
        r"1\d\d,\d+ bytes of tags; at most 65,536",
    ),
    "parameters.mp4": (
        lambda: mp4(extradata=b"\1" * (5 << 20)),
        TOO_LARGE,
        r"5,24\d,\d+ bytes of parameters for decoders; at most 4,194,304",
    ),
    "parameters.mkv": (
        lambda: matroska(private=bytes(5 << 20)),
        TOO_LARGE,
        r"5,24\d,\d+ bytes of parameters for decoders; at most 4,194,304",
    ),
    "boxes.mp4": (
        lambda: mp4() + box(b"free") * 1_000_001,
        TOO_LARGE,
        "more than 1,000,000 boxes",
    ),
}


def test_bombs_are_refused_in_words_and_cost_nothing(tree: Tree) -> None:
    tree.videos.mkdir(parents=True)
    requests = {}
    for name, (make, _, _) in BOMBS.items():
        (tree.videos / name).write_bytes(make())
        requests[name] = any_request(tree.videos / name, model=PEOPLE)
    header = mp4()
    with (tree.videos / "header.mp4").open("wb") as file:  # holes cost no disk
        file.write(header + u32(0x10000000) + b"sidx")
        file.truncate(len(header) + 0x10000000)
    requests["header.mp4"] = any_request(tree.videos / "header.mp4", model=PEOPLE)
    (tree.videos / "plain.mp4").write_bytes(header)
    requests["plain.mp4"] = any_request(tree.videos / "plain.mp4", model=PEOPLE)
    tree.ask(*requests.values())
    ended = tree.run("--max-memory-bytes", "2000000000", "--max-stall-s", "30")
    assert (ended.code, ended.stderr) == (ExitCode.SUCCEEDED, "")
    attempts = {name: tree.attempt(request) for name, request in requests.items()}
    expected = {name: code for name, (_, code, _) in BOMBS.items()}
    expected["header.mp4"] = TOO_LARGE
    assert {name: it.code for name, it in attempts.items()} == {**expected, "plain.mp4": None}
    for name, (_, _, words) in BOMBS.items():
        assert re.search(words, attempts[name].message or ""), attempts[name].message
    assert "at most 134,217,728" in (attempts["header.mp4"].message or "")
    peak_bytes = max(attempt.peak_memory_bytes for attempt in attempts.values())
    assert peak_bytes < MAX_PEAK_BYTES


def test_limits_that_are_set_are_kept(tree: Tree) -> None:
    tree.videos.mkdir(parents=True)
    path = make_video(tree.videos / "video.mp4", VideoSpec(frame_count=40, has_audio=True))
    for argument, value, words in (
        ("--max-pixels", "6143", "96×64; at most 6,143 pixels"),
        ("--max-duration-s", "3.5", "4 s long; at most 4 s"),
        ("--max-streams", "1", "2 streams or more; at most 1"),
        ("--max-samples", "60", r"7\d samples; at most 60"),
        ("--max-header-bytes", "500", r"bytes long; at most 500"),
        ("--max-metadata-bytes", "50", r"bytes of metadata; at most 50"),
        ("--max-frames", "39", "chooses 40 frames or more; at most 39"),
    ):
        request = any_request(path, model=PEOPLE)
        tree.ask(request)
        assert tree.run(argument, value).code == ExitCode.SUCCEEDED
        attempt = tree.attempt(request)
        assert attempt.code == TOO_LARGE, argument
        assert re.search(words, attempt.message or ""), attempt.message


def test_decoding_ends_when_its_time_is_over(tree: Tree) -> None:
    tree.videos.mkdir(parents=True)
    path = make_video(tree.videos / "video.mp4", VideoSpec(frame_count=300))
    request = any_request(path, select="every_nth=100", model=PEOPLE)
    tree.ask(request)
    assert tree.run("--max-decode-s", "0.001").code == ExitCode.SUCCEEDED
    attempt = tree.attempt(request)
    assert attempt.code == RejectionCode.TOO_SLOW
    assert "at most 0 s" in (attempt.message or "")


def test_a_frame_that_takes_all_memory_is_refused(tree: Tree) -> None:
    size_bytes = 300_000_000
    tree.videos.mkdir(parents=True)
    path = tree.videos / "sample.mp4"
    with path.open("wb") as file:  # holes cost no disk
        file.write(mp4(samples=full(b"stsz", u32(0, 1, size_bytes))))
        file.truncate(size_bytes + 10_000)
    request = any_request(path, model=PEOPLE)
    tree.ask(request)
    assert tree.run("--max-memory-bytes", "400000000").code == ExitCode.SUCCEEDED
    attempt = tree.attempt(request)
    assert attempt.code == TOO_LARGE
    assert "more memory than the 400,000,000 bytes" in (attempt.message or "")
    assert attempt.peak_memory_bytes < 500_000_000


def test_plain_sound_of_a_day_is_no_bomb(tree: Tree) -> None:
    """Sound of one size and one tick a sample is not indexed sample by sample."""
    count = 48_000 * 86_400 % 2**32
    handler = full(b"hdlr", u32(0), b"soun", bytes(13))
    table = box(b"stbl", full(b"stts", u32(1, count, 1)), full(b"stsz", u32(2, count)))
    sound = box(b"trak", box(b"mdia", handler, box(b"minf", table)))
    tree.videos.mkdir(parents=True)
    path = tree.videos / "video.mp4"
    path.write_bytes(mp4(tracks=sound))
    request = any_request(path, model=PEOPLE)
    tree.ask(request)
    assert tree.run().code == ExitCode.SUCCEEDED
    assert "samples" not in (tree.attempt(request).message or "")


@pytest.mark.parametrize("limits", [VideoLimits(), VideoLimits(max_pixels=7, max_memory_bytes=9)])
def test_limits_travel_as_arguments(limits: VideoLimits) -> None:
    assert parse_arguments(limits.to_arguments()).limits == limits


@pytest.mark.parametrize("value", ["0", "-1", "", "many", "1e400", "nan"])
@pytest.mark.parametrize("name", ["--max-pixels", "--max-decode-s"])
def test_a_limit_is_above_nothing(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        parse_arguments([name, value])
