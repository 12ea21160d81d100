"""What counts as a video: by its name in any case, and by its first bytes."""

import pytest

from lambdas.common.video_names import has_video_name
from lambdas.dispatch.recognise import HEAD_BYTES, Content, recognise


@pytest.mark.parametrize(
    "key",
    ["a.mp4", "a.MOV", "a.Mkv", "dir/a.avi", "a.h264", "a.TS", "a.webm", ".mp4", "a b+%é.mp4"],
)
def test_a_video_is_known_by_its_name_in_any_case(key: str) -> None:
    assert has_video_name(key)


@pytest.mark.parametrize("key", ["a", "a.txt", "mp4", "a.mp4/", "a.mp4.bak", "a.mp3", "results"])
def test_other_names_are_no_videos(key: str) -> None:
    assert not has_video_name(key)


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x00\x00\x18ftypisom\x00\x00",
        b"\x00\x00\x00\x14ftypqt  ",
        b"\x00\x00\x00\x08wide\x00\x00",
        b"\x00\x00\x00\x08free",
        b"\x00\x01\x00\x00mdat",
        b"\x00\x00\x10\x00moov",
        b"\x1a\x45\xdf\xa3\x01\x00",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        (b"\x47" + b"\x00" * 187) * 3,
    ],
)
def test_a_video_is_known_by_its_first_bytes(head: bytes) -> None:
    assert recognise(head) == (Content.VIDEO, None)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0", "a JPEG picture"),
        (b"GIF89a", "a GIF picture"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"fLaC\x00", "FLAC audio"),
        (b"ID3\x04", "MP3 audio"),
        (b"\x7fELF\x02", "a program"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "WAVE audio"),
        (b"\x00\x00\x00\x18ftypheic", "a still picture"),
        (b"\x00\x00\x00\x18ftypavif", "a still picture"),
        (b"just some text\n", "text"),
        ("\ufeffwith a mark, été 🎬".encode(), "text"),
        (("é" * HEAD_BYTES).encode()[: HEAD_BYTES - 1], "text"),
    ],
)
def test_what_is_certainly_something_else_is_named(head: bytes, name: str) -> None:
    assert recognise(head) == (Content.OTHER, name)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00\x00\x00\x01\x67\x42",  # raw H.264: a parameter set, which much else begins like
        b"\x47" + b"\x00" * 400,
        b"\x47" + b"\x00" * 187,
        b"\xff\xfb\x90",
        b"\x00" * 100,
    ],
)
def test_what_is_unclear_is_left_to_the_decoder(head: bytes) -> None:
    assert recognise(head) == (Content.UNCLEAR, None)
