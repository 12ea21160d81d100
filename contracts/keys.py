"""
Object keys of the results and models buckets, and what makes a key safe as a file name.

Keys are raw, as S3 stores them; nothing here is URL-encoded.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from contracts.documents import is_encodable

RESULTS_PREFIX = "results/"
JOBS_PREFIX = "jobs/"
"""Requests and input manifests that dispatch writes for a backend; removed by a lifecycle rule."""
BUNDLES_PREFIX = "bundles/"

ATTEMPT_DOCUMENT = "attempt.json"
RESULT_DOCUMENT = "result.json"
DETECTIONS_FILE = "detections.jsonl.gz"
SEGMENTATION_FOLDER = "segmentation/"
BUNDLE_FILE = "model.tar.gz"
REQUESTS_FILE = "requests.json"
MANIFEST_FILE = "videos.manifest"

LEFTOVER_TAG = ("framewright:leftover", "true")
"""Marks what an attempt left that no result names; a lifecycle rule removes what has it."""

MAX_KEY_BYTES = 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
MAX_SOURCE_KEY_BYTES = 900
"""A longer source key is cut in result keys, so that all that follows it still fits."""
MAX_FILE_NAME_BYTES = 255
"""NAME_MAX of Linux file systems: one component of a key that is to become a file."""

_JOB_ID = re.compile(r"[0-9a-f]{32}")
_RESULT_KEY = re.compile(
    RESULTS_PREFIX + r"(?P<source>.+)/(?P<job>[0-9a-f]{32})/(?:attempt-(?P<attempt>[1-9]\d*)/)?"
    r"(?P<name>[^/]+|segmentation/\d{8,}\.png)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ResultKey:
    """
    A key in the results bucket, taken apart.

    Attributes:
        source: The source key, or its shortened form where the source key is very long.
        attempt: The attempt that wrote the file; None for what was committed.
        name: The file below the attempt's or the job's folder.
    """

    source: str
    job_id: str
    attempt: int | None
    name: str


def is_job_id(text: str) -> bool:
    """Whether the text is a job id: 32 lower-case hex digits."""
    return _JOB_ID.fullmatch(text) is not None


def shown_source_key(source_key: str) -> str:
    """The source key as it stands in result keys: itself, or cut and marked with its digest."""
    encoded = source_key.encode()
    if len(encoded) <= MAX_SOURCE_KEY_BYTES:
        return source_key
    mark = "~" + hashlib.sha256(encoded).hexdigest()[:32]
    folder, slash, name = _cut(source_key, MAX_SOURCE_KEY_BYTES - len(mark)).rpartition("/")
    # A container writes below folders of these names: the marked one must still be a file name.
    return f"{folder}{slash}{_cut(name, MAX_FILE_NAME_BYTES - len(mark))}{mark}"


def job_prefix(source_key: str, job_id: str) -> str:
    """`results/<source key>/<job>/`, where `result.json` is committed."""
    return f"{RESULTS_PREFIX}{shown_source_key(source_key)}/{job_id}/"


def attempt_prefix(source_key: str, job_id: str, attempt: int) -> str:
    """`results/<source key>/<job>/attempt-<n>/`, where one attempt writes."""
    return f"{job_prefix(source_key, job_id)}{attempt_folder(attempt)}"


def attempt_folder(attempt: int) -> str:
    """`attempt-<n>/`."""
    if attempt < 1:
        raise ValueError(f"attempts count from 1, got {attempt}")
    return f"attempt-{attempt}/"


def result_key(source_key: str, job_id: str) -> str:
    """The key of the committed `result.json`."""
    return job_prefix(source_key, job_id) + RESULT_DOCUMENT


def segmentation_file(frame_index: int) -> str:
    """The class map of one frame, below the attempt's folder."""
    return f"{SEGMENTATION_FOLDER}{frame_index:08d}.png"


def parse_result_key(key: str) -> ResultKey:
    """
    Take a key of the results bucket apart.

    Raises:
        ValueError: The key is not one that an attempt or a commit writes.
    """
    match = _RESULT_KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"not a result key: {key!r}")
    attempt = match["attempt"]
    return ResultKey(
        source=match["source"],
        job_id=match["job"],
        attempt=int(attempt) if attempt else None,
        name=match["name"],
    )


def job_files_prefix(job_id: str, attempt: int) -> str:
    """`jobs/<job>/attempt-<n>/`, the request and manifest that dispatch writes for one attempt."""
    return f"{JOBS_PREFIX}{job_id}/{attempt_folder(attempt)}"


def bundle_key(digest: str) -> str:
    """The key of a model bundle in the models bucket, by the SHA-256 of its file."""
    return f"{BUNDLES_PREFIX}{digest}/{BUNDLE_FILE}"


def storable_fault(key: str) -> str | None:
    """
    Why a key cannot become a path below a folder, as a sentence; None when it can.

    SageMaker writes File inputs to disk under their keys, so a key must be a relative path whose
    components are ordinary file names.
    """
    if not is_encodable(key):
        return "the key is no Unicode text"
    for component in key.split("/"):
        if component in ("", ".", ".."):
            return f"the key has a path component {component!r}, which is no file name"
        if (size := len(component.encode())) > MAX_FILE_NAME_BYTES:
            return (
                f"a path component of the key is {size} bytes long; "
                f"file systems hold at most {MAX_FILE_NAME_BYTES}"
            )
    if bad := next((c for c in key if unicodedata.category(c) == "Cc"), None):
        return f"the key holds the control character U+{ord(bad):04X}"
    return None


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore")
