"""What there is to do: requests matched with the videos on this instance."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from containers.processing.arguments import Arguments, UsageError
from containers.processing.layout import MlTree, UnsafePathError, safe_join
from contracts.documents import DocumentError, from_json
from contracts.messages import InferenceRequest, InferenceRequests, Model, Source, inference_request
from contracts.outcomes import RejectionCode
from vision.faults import RejectedVideoError


@dataclass(frozen=True, slots=True)
class Task:
    """
    One video to process.

    Attributes:
        name: The source key, for logs and messages.
        request: Makes the request; it may read the file, so it is called with the video's turn.
        video: The file; None where the job has none for the request.
    """

    name: str
    request: Callable[[], InferenceRequest]
    video: Path | None


def requested_tasks(tree: MlTree) -> list[Task] | None:
    """
    The requests file's tasks that are this instance's; None where there is no requests file.

    Raises:
        UsageError: The file is no requests document.
    """
    try:
        text = tree.requests_file.read_bytes()
    except FileNotFoundError:
        return None
    try:
        requests = from_json(InferenceRequests, text).requests
    except DocumentError as error:
        raise UsageError(f"{tree.requests_file.name}: {error}") from error
    is_sharded = tree.host_count() > 1
    tasks = []
    for request in requests:
        video = find_video(tree.videos, request.source)
        # Of several instances each has some of the videos, and answers for those alone.
        if video is not None or not is_sharded:
            tasks.append(Task(request.source.key, _given(request), video))
    return tasks


def found_tasks(tree: MlTree, arguments: Arguments, model: Model) -> Iterator[Task]:
    """A task for every video file among the inputs, in the order of their names."""
    location, results_bucket = tree.videos_location(), tree.results_bucket()
    for path in sorted(tree.videos.rglob("*")):
        if path.is_file() and path.suffix.lstrip(".").lower() in arguments.video_formats:
            key = location.prefix + path.relative_to(tree.videos).as_posix()

            def request(path: Path = path, key: str = key) -> InferenceRequest:
                return inference_request(
                    source=Source(location.bucket, key, _md5(path), path.stat().st_size),
                    model=model,
                    selection=arguments.selection,
                    attempt=1,
                    results_bucket=results_bucket,
                )

            yield Task(key, request, path)


def find_video(videos: Path, source: Source) -> Path | None:
    """
    The file of a source: SageMaker cuts off what the input's prefix has of the key.

    Of several candidates the one with most of the key wins, one of the right size before any other.
    """
    parts = source.key.split("/")
    candidates = []
    for start in range(len(parts)):
        try:
            candidate = safe_join(videos, "/".join(parts[start:]))
        except UnsafePathError:
            continue
        if candidate.is_file():
            candidates.append(candidate)
    exact = [path for path in candidates if path.stat().st_size == source.size_bytes]
    return next(iter([*exact, *candidates]), None)


def check_source(task: Task, request: InferenceRequest) -> Path:
    """
    The task's file, if it is what the request means.

    Raises:
        RejectedVideoError: There is none, or it is another version of the object.
    """
    if task.video is None:
        raise RejectedVideoError(
            RejectionCode.SOURCE_MISSING,
            f"The job was given no file for {request.source.uri[:300]}. Upload it again.",
        )
    size_bytes = task.video.stat().st_size
    if size_bytes != request.source.size_bytes:
        raise RejectedVideoError(
            RejectionCode.SOURCE_REPLACED,
            f"The object has {size_bytes} bytes now and had {request.source.size_bytes} when it "
            "was uploaded: a newer version took its key, and that version has its own job.",
        )
    return task.video


def _given(request: InferenceRequest) -> Callable[[], InferenceRequest]:
    return lambda: request


def _md5(path: Path) -> str:
    """S3's ETag of an object put in one part."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
