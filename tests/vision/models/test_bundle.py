import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from contracts.documents import to_dict
from tests.vision.models.graphs import a_bundle, a_spec, an_input, constant_graph, plain_outputs
from vision.models import bundle as bundles
from vision.models.bundle import BundleError, bundle_digest, pack_bundle, read_bundle
from vision.models.spec import DecoderSpec, InputType

SPEC = json.dumps(to_dict(a_spec())).encode()


def a_tar(target: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(target, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target


def a_file(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def a_link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_what_was_packed_is_read(tmp_path: Path) -> None:
    spec = a_spec(DecoderSpec("fastestdet", 0.5, 0.45, outputs={"output": "758"}))
    path = a_bundle(tmp_path, constant_graph(plain_outputs([], [], [])), spec)
    read = read_bundle(path)
    assert read.spec == spec
    assert read.graph == (tmp_path / "graph.onnx").read_bytes()


def test_packing_the_same_twice_gives_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"any bytes")
    first = pack_bundle(tmp_path / "graph.onnx", a_spec(), tmp_path / "a.tar.gz")
    (tmp_path / "other name.onnx").write_bytes(b"any bytes")
    second = pack_bundle(tmp_path / "other name.onnx", a_spec(), tmp_path / "b.tar.gz")
    assert first == second == bundle_digest(tmp_path / "b.tar.gz")
    packed = (tmp_path / "a.tar.gz").read_bytes()
    assert packed == (tmp_path / "b.tar.gz").read_bytes()
    # Gzip's modification time (RFC 1952 §2.3.1), which would change from second to second.
    assert packed[4:8] == b"\0\0\0\0"


def test_a_bundle_made_by_tar_of_the_folder_is_read(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("./")
    folder.type = tarfile.DIRTYPE
    members = [(folder, b""), (a_file("./model.json"), SPEC), (a_file("./model.onnx"), b"graph")]
    assert read_bundle(a_tar(tmp_path / "m.tar.gz", members)).graph == b"graph"


@pytest.mark.parametrize(
    "member",
    [
        a_file("../model.onnx"),
        a_file("/model.onnx"),
        a_file("folder/model.onnx"),
        a_file("extra.txt"),
        a_link("model.onnx", tarfile.SYMTYPE, "/etc/passwd"),
        a_link("model.onnx", tarfile.LNKTYPE, "model.json"),
        a_link("model.onnx", tarfile.CHRTYPE, ""),
        a_link("model.onnx", tarfile.FIFOTYPE, ""),
        a_link("model.onnx", tarfile.DIRTYPE, ""),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_nothing_but_the_two_plain_files_is_accepted(
    tmp_path: Path, member: tarfile.TarInfo
) -> None:
    path = a_tar(tmp_path / "m.tar.gz", [(a_file("model.json"), SPEC), (member, b"")])
    with pytest.raises(BundleError, match="only the plain files"):
        read_bundle(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.tar.gz"]


def test_a_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    members = [(a_file("model.json"), SPEC), (a_file("model.json"), SPEC)]
    with pytest.raises(BundleError, match=r"model\.json twice"):
        read_bundle(a_tar(tmp_path / "m.tar.gz", members))


def test_a_file_beyond_its_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = a_tar(tmp_path / "m.tar.gz", [(a_file("model.json"), b" " * 1_000_001)])
    with pytest.raises(BundleError, match="1000001 bytes long; at most 1000000"):
        read_bundle(path)


def test_a_tar_header_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "_MAX_TAR_BYTES", 50_000)
    long_name = tarfile.TarInfo("x" * 200_000)
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(long_name, io.BytesIO())
    with pytest.raises(BundleError, match="unpacks to more than"):
        read_bundle(path)


@pytest.mark.parametrize("name", ["model.json", "model.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = {"model.json": SPEC, "model.onnx": b"graph"}
    del files[name]
    path = a_tar(tmp_path / "m.tar.gz", [(a_file(left), files[left]) for left in files])
    with pytest.raises(BundleError, match=f"has no {name}"):
        read_bundle(path)


@pytest.mark.parametrize("content", [b"", b"no archive", gzip.compress(b"no archive" * 100)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BundleError):
        read_bundle(path)


def test_a_bundle_cut_short_is_refused(tmp_path: Path) -> None:
    members = [(a_file("model.json"), SPEC), (a_file("model.onnx"), bytes(range(256)) * 400)]
    path = a_tar(tmp_path / "m.tar.gz", members)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BundleError, match="no readable tar"):
        read_bundle(path)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no model bundle at missing\.tar\.gz"):
        read_bundle(tmp_path / "missing.tar.gz")
    with pytest.raises(BundleError, match=r"no ONNX model at missing\.onnx"):
        pack_bundle(tmp_path / "missing.onnx", a_spec(), tmp_path / "m.tar.gz")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"schema": "framewright/model/9"}, "schema: expected 'framewright/model/1'"),
        ({"labels": []}, "at least one class"),
        ({"task": "guessing"}, "task: expected one of detection"),
        ({"input": {**to_dict(a_spec())["input"], "width": 0}}, "width must be 1 to 8192"),
        ({"input": {**to_dict(a_spec())["input"], "std": [1, 0, 1]}}, "above 0"),
        ({"input": {**to_dict(a_spec())["input"], "color_order": "rbg"}}, "one of rgb, bgr"),
        ({"decoder": {"name": "fastestdet", "score": 2}}, "score must be 0 to 1"),
        ({"decoder": {"name": "fastestdet"}}, "decoder.score: missing"),
    ],
)
def test_a_wrong_model_json_names_the_field(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    spec = {**json.loads(SPEC), **change}
    members = [(a_file("model.json"), json.dumps(spec).encode()), (a_file("model.onnx"), b"graph")]
    with pytest.raises(BundleError, match=sentence):
        read_bundle(a_tar(tmp_path / "m.tar.gz", members))


def test_a_uint8_input_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="uint8 input takes pixels as they are"):
        an_input(dtype=InputType.UINT8, scale=1 / 255)
