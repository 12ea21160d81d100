"""Hypothesis strategies for everything that crosses a boundary."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from contracts.keys import MAX_KEY_BYTES
from contracts.messages import (
    AttemptRequest,
    Completion,
    InferenceRequest,
    InferenceRequests,
    JobOutcome,
    Model,
    ObjectLocation,
    Output,
    Source,
)
from contracts.outcomes import JobState, Outcome, RejectionCode, RetryCode
from contracts.pipeline import JobTemplate, PipelineSettings, ReconcileSettings
from contracts.requests import JobCheck, ReprocessRequest
from contracts.results import (
    AttemptDocument,
    Counts,
    Detection,
    FrameRecord,
    FrameResult,
    Mask,
    ResultDocument,
    ResultFile,
    ResultWarning,
    VideoFacts,
)
from contracts.selection import MAX_FRAME_INDEX, Selection, SelectionKind

hex_digits = st.text("0123456789abcdef", min_size=64, max_size=64)
job_ids = st.text("0123456789abcdef", min_size=32, max_size=32)
attempts = st.integers(1, 10_000)
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**53)
texts = st.text(max_size=40)
words = st.text(min_size=1, max_size=40)


def keys(max_bytes: int = MAX_KEY_BYTES) -> st.SearchStrategy[str]:
    """Object keys as S3 takes them: any Unicode, slashes where they like, 1 to 1,024 bytes."""
    pieces = st.sampled_from(["/", "..", ".", " ", "%2F", "+", "🎬", "é", "~", "attempt-1/"])
    runs = st.builds(
        lambda piece, times: piece * times,
        st.one_of(pieces, st.characters(exclude_categories=["Cs"])),
        st.integers(1, 300),
    )
    anything = st.one_of(st.text(max_size=60), pieces, runs, job_ids)
    return (
        st.lists(anything, min_size=1, max_size=12)
        .map("".join)
        .map(lambda key: key.encode()[:max_bytes].decode(errors="ignore"))
        .filter(bool)
    )


def storable_keys() -> st.SearchStrategy[str]:
    """Keys that are relative paths of ordinary file names."""
    component = (
        st.text(
            st.characters(exclude_characters="/\x7f", exclude_categories=["Cs", "Cc"]),
            min_size=1,
            max_size=255,
        )
        .map(lambda text: text.encode()[:255].decode(errors="ignore"))
        .filter(lambda text: text not in ("", ".", ".."))
    )
    dotted = st.builds(lambda dots, rest: "." * dots + rest, st.integers(1, 250), st.just("v"))
    joined = st.lists(st.one_of(component, dotted), min_size=1, max_size=8).map("/".join)
    return joined.filter(lambda key: len(key.encode()) <= MAX_KEY_BYTES)


seconds = st.integers(1, 10**18 - 1).map(lambda n: Fraction(n, 10**9))
frame_indices = st.integers(0, MAX_FRAME_INDEX)
selections: st.SearchStrategy[Selection] = st.one_of(
    seconds.map(lambda s: Selection(SelectionKind.EVERY_SECONDS, every_seconds=s)),
    st.integers(1, MAX_FRAME_INDEX).map(lambda n: Selection(SelectionKind.EVERY_NTH, every_nth=n)),
    st.sets(frame_indices, min_size=1, max_size=30).map(
        lambda found: Selection(SelectionKind.INDICES, indices=tuple(sorted(found)))
    ),
    st.sampled_from([SelectionKind.KEY_FRAMES, SelectionKind.INDEX_API, SelectionKind.ALL]).map(
        Selection
    ),
)
fractions = st.fractions(max_denominator=10**9)
sources = st.builds(
    Source,
    bucket=words,
    key=keys(),
    etag=texts,
    size_bytes=counts,
    version_id=st.none() | words,
)
models = st.builds(Model, name=words, digest=hex_digits)
outputs = st.builds(Output, bucket=words, prefix=texts.map(lambda text: text + "/"))
codes = st.sampled_from([*RejectionCode, *RetryCode]).map(str)


def ended(kind: Any, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Documents with an outcome: a code goes with failures, and only with them."""
    succeeded = st.builds(kind, outcome=st.just(Outcome.SUCCEEDED), code=st.none(), **parts)
    failures = st.sampled_from([Outcome.RETRYABLE, Outcome.REJECTED])
    return succeeded | st.builds(kind, outcome=failures, code=codes, **parts)


frames = st.builds(
    FrameRecord,
    frame_index=counts,
    pts=st.integers(-(2**63), 2**63 - 1),
    time_base=fractions,
    time_s=numbers,
    is_key_frame=st.booleans(),
    width=st.integers(1, 10**5),
    height=st.integers(1, 10**5),
)
boxes = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
masks = st.builds(Mask, size=st.tuples(counts, counts), counts=texts)
detections = st.builds(
    Detection,
    class_id=counts,
    class_name=texts,
    score=numbers,
    box=boxes,
    mask=st.none() | masks,
)
files = st.builds(ResultFile, name=words, size_bytes=counts, sha256=hex_digits)
videos = st.builds(
    VideoFacts,
    container=texts,
    codec=texts,
    pixel_format=texts,
    width=counts,
    height=counts,
    rotation_degrees=st.sampled_from([0, 90, 180, 270]),
    time_base=fractions,
    duration_s=st.none() | numbers,
    frame_count=st.none() | counts,
    average_frame_rate=st.none() | fractions,
    has_audio=st.booleans(),
)
warnings = st.builds(ResultWarning, code=texts, message=texts, frame_index=st.none() | counts)
tallies = st.builds(Counts, frames_decoded=counts, frames_processed=counts, detections=counts)
timings = st.dictionaries(texts, numbers, max_size=4)


def _few(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3).map(tuple)


requests = st.builds(
    InferenceRequest,
    job_id=job_ids,
    attempt=attempts,
    source=sources,
    selection=selections,
    model=models,
    output=outputs,
    deadline_epoch_s=st.none() | counts,
    callback_topic_arn=st.none() | texts,
)
run = {
    "job_id": job_ids,
    "attempt": attempts,
    "source": sources,
    "model": models,
    "selection": selections,
    "counts": tallies,
    "timings_s": timings,
    "peak_memory_bytes": counts,
    "warnings": _few(warnings),
    "files": _few(files),
}
settings = st.builds(
    PipelineSettings,
    default_model=st.just("builtin:people"),
    default_selection=selections.map(str),
    allowed_models=_few(texts).map(lambda more: ("builtin:*", *more)),
    allowed_selections=_few(texts).map(lambda more: ("*", *more)),
    max_size_bytes=counts,
    max_attempts=attempts,
    retry_base_s=counts,
    model_aliases=st.dictionaries(texts, texts, max_size=3),
)
templates = st.builds(
    JobTemplate,
    image_uri=texts,
    role_arn=texts,
    kms_key_arn=texts,
    instance_type=texts,
    volume_size_gb=counts,
    max_runtime_s=counts,
    arguments=_few(texts),
)

documents: dict[type, st.SearchStrategy[Any]] = {
    InferenceRequest: requests,
    InferenceRequests: st.builds(InferenceRequests, requests=_few(requests)),
    AttemptRequest: st.builds(
        AttemptRequest, job_id=job_ids, attempt=attempts, start=attempts, waits=counts
    ),
    ReprocessRequest: st.builds(
        ReprocessRequest, source=sources, model=st.none() | texts, selection=st.none() | texts
    ),
    JobCheck: st.builds(JobCheck, job_id=job_ids),
    ReconcileSettings: st.builds(
        ReconcileSettings, **dict.fromkeys(ReconcileSettings.__dataclass_fields__, attempts)
    ),
    Completion: ended(
        Completion,
        job_id=job_ids,
        attempt=attempts,
        message=st.none() | texts,
        result_key=st.none() | keys(),
        timings_s=st.none() | timings,
    ),
    JobOutcome: st.builds(
        JobOutcome,
        job_id=job_ids,
        state=st.sampled_from(JobState),
        attempt=attempts,
        source=sources,
        model=models,
        selection=selections,
        code=st.none() | codes,
        message=st.none() | texts,
        result=st.none() | st.builds(ObjectLocation, bucket=words, key=keys()),
    ),
    FrameResult: st.builds(
        FrameResult,
        frame=frames,
        detections=_few(detections),
        segmentation=st.none() | texts,
    ),
    AttemptDocument: ended(
        AttemptDocument, **run, message=st.none() | texts, video=st.none() | videos
    ),
    ResultDocument: st.builds(
        ResultDocument, **run, video=videos, bucket=words, prefix=texts, committed_at=texts
    ),
    PipelineSettings: settings,
    JobTemplate: templates,
}
"""Every kind of document, and examples of it."""
