"""
Model bundles: a model.tar.gz with `model.onnx` and `model.json`, known by its SHA-256.

A bundle comes from outside, so reading one unpacks nothing to disk and trusts nothing it says.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from contracts.documents import DocumentError, from_json, to_json
from vision.models.spec import BundleSpec

MODEL_FILE = "model.onnx"
SPEC_FILE = "model.json"
MAX_MODEL_BYTES = 2**31 - 1
"""Protocol buffers, and so an ONNX file that holds its weights, end below 2 GiB."""
MAX_SPEC_BYTES = 1_000_000

_LIMITS = {MODEL_FILE: MAX_MODEL_BYTES, SPEC_FILE: MAX_SPEC_BYTES}
_MAX_TAR_BYTES = sum(_LIMITS.values()) + 1_000_000


class BundleError(ValueError):
    """A model bundle cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """What a model.tar.gz holds: the specification, and the ONNX graph's bytes."""

    spec: BundleSpec
    graph: bytes


def bundle_digest(path: Path) -> str:
    """
    The SHA-256 of a bundle's file, as hex digits.

    Raises:
        BundleError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"no model bundle at {path.name}: {error.strerror}") from error


def pack_bundle(onnx_path: Path, spec: BundleSpec, target: Path) -> str:
    """
    Write a model.tar.gz and return its digest; the same inputs give the same bytes.

    Raises:
        BundleError: The graph's file cannot be read or is too large.
    """
    try:
        graph = onnx_path.read_bytes()
    except OSError as error:
        raise BundleError(f"no ONNX model at {onnx_path.name}: {error.strerror}") from error
    contents = {SPEC_FILE: to_json(spec).encode() + b"\n", MODEL_FILE: graph}
    for name, content in contents.items():
        _check_size(name, len(content))
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return bundle_digest(target)


def read_bundle(path: Path) -> Bundle:
    """
    What a model.tar.gz holds, read in memory.

    Raises:
        BundleError: No such file, no tar.gz, something else in it, or a wrong `model.json`.
    """
    try:
        with gzip.open(path, "rb") as unpacked:
            contents = dict(_members(_Bounded(cast(BinaryIO, unpacked))))
    except FileNotFoundError as error:
        raise BundleError(f"no model bundle at {path.name}: {error.strerror}") from error
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path.name} is no readable tar.gz: {error}") from error
    for name in _LIMITS:
        if name not in contents:
            raise BundleError(f"{path.name} has no {name}; it must hold {' and '.join(_LIMITS)}")
    try:
        spec = from_json(BundleSpec, contents[SPEC_FILE])
    except DocumentError as error:
        raise BundleError(f"{path.name}: {SPEC_FILE}: {error}") from error
    return Bundle(spec, contents[MODEL_FILE])


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Bounded:
    """A stream that refuses to unpack more than a bundle may hold, tar headers included."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _MAX_TAR_BYTES

    def read(self, size: int = -1, /) -> bytes:
        content = self._stream.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise BundleError(f"the bundle unpacks to more than {_MAX_TAR_BYTES} bytes")
        return content


def _members(stream: _Readable) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isdir() and name in (".", ""):
                continue
            if name not in _LIMITS or not member.isreg() or member.issparse():
                raise BundleError(
                    f"the bundle holds {member.name!r}; only the plain files "
                    f"{' and '.join(_LIMITS)} belong there"
                )
            if name in seen:
                raise BundleError(f"the bundle holds {name} twice")
            seen.add(name)
            _check_size(name, member.size)
            content = archive.extractfile(member)
            yield name, content.read() if content else b""


def _check_size(name: str, size_bytes: int) -> None:
    limit = _LIMITS[name]
    if size_bytes > limit:
        raise BundleError(f"{name} is {size_bytes} bytes long; at most {limit} are allowed")
