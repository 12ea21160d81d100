"""Documents: JSON out and in are inverses, and reading is strict with errors that help."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import messages, pipeline, results
from contracts.documents import DocumentError, from_dict, from_json, to_dict, to_json
from contracts.messages import AttemptRequest, Completion, InferenceRequest
from contracts.outcomes import Outcome
from contracts.results import AttemptDocument, FrameResult
from tests.contracts.strategies import documents, requests

KINDS = sorted(documents, key=lambda kind: kind.__name__)
JOB = "0123456789abcdef" * 2
REQUEST: dict[str, Any] = {
    "schema": "framewright/inference-request/1",
    "job_id": JOB,
    "attempt": 1,
    "source": {"bucket": "b", "key": "v.mp4", "etag": "e", "size_bytes": 3},
    "selection": {"every_seconds": "0.5"},
    "model": {"name": "builtin:people", "digest": "0" * 64},
    "output": {"bucket": "r", "prefix": "results/"},
}


def changed(*path: str, to: object) -> dict[str, Any]:
    """REQUEST with one value changed; `...` removes it."""
    copy: dict[str, Any] = json.loads(json.dumps(REQUEST))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return copy


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_document_reads_back_as_it_was_written(kind: type, data: st.DataObject) -> None:
    document = data.draw(documents[kind])
    text = to_json(document)
    assert from_json(kind, text) == document
    assert from_json(kind, text.encode()) == document
    assert to_json(from_json(kind, text)) == text
    assert "\n" not in text


def test_every_dataclass_with_a_schema_is_covered_here() -> None:
    with_schema = {
        value
        for module in (messages, pipeline, results)
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and hasattr(value, "SCHEMA")
    }
    assert with_schema <= set(documents)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_unknown_field_is_refused_by_name(kind: type, data: st.DataObject) -> None:
    plain = to_dict(data.draw(documents[kind])) | {"surprise": 1}
    with pytest.raises(DocumentError, match=rf"^{kind.__name__}: unknown field 'surprise'; known"):
        from_dict(kind, plain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_missing_field_is_named(kind: type, data: st.DataObject) -> None:
    plain = to_dict(data.draw(documents[kind]))
    required = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    name = data.draw(st.sampled_from(required))
    del plain[name]
    with pytest.raises(DocumentError, match=rf"^{kind.__name__}\.{name}: missing"):
        from_dict(kind, plain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(value=st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()))
def test_what_is_no_object_is_no_document(kind: type, value: object) -> None:
    with pytest.raises(DocumentError, match="expected an object"):
        from_json(kind, json.dumps(value))


@given(
    text=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(json.dumps)
    | st.text()
    | st.binary()
)
def test_no_input_raises_anything_but_a_document_error(text: str | bytes) -> None:
    with pytest.raises(DocumentError):
        from_json(AttemptRequest, text)


@given(data=st.data(), value=st.integers() | st.floats() | st.text() | st.none() | st.booleans())
def test_no_value_of_a_field_raises_anything_but_a_document_error(
    data: st.DataObject, value: object
) -> None:
    plain = to_dict(data.draw(documents[AttemptDocument]))
    plain[data.draw(st.sampled_from(sorted(plain)))] = value
    try:
        from_dict(AttemptDocument, plain)
    except DocumentError:
        return


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed("attempt", to="1"), r"InferenceRequest\.attempt: expected int, got '1'"),
        (changed("attempt", to=True), r"InferenceRequest\.attempt: expected int, got True"),
        (changed("attempt", to=1.0), r"InferenceRequest\.attempt: expected int, got 1\.0"),
        (changed("attempt", to=0), r"InferenceRequest: attempts count from 1, got 0"),
        (changed("attempt", to=None), r"InferenceRequest\.attempt: expected int, got None"),
        (changed("job_id", to="X"), r"job_id is 32 lower-case hex digits, got 'X'"),
        (changed("schema", to=...), r"\.schema: expected 'framewright/inference-request/1', got"),
        (changed("schema", to="framewright/inference-request/2"), r"got 'framewright/inf.*/2'"),
        (changed("source", to=[]), r"InferenceRequest\.source: expected an object, got \[\]"),
        (changed("source", "key", to=7), r"InferenceRequest\.source\.key: expected str, got 7"),
        (changed("source", "key", to=""), r"InferenceRequest\.source: .* needs a bucket and a key"),
        (changed("source", "key", to="\ud800"), r"\.source\.key: expected Unicode text, got"),
        (changed("source", "size_bytes", to=-1), r"size_bytes must not be negative, got -1"),
        (changed("source", "sise", to=1), r"InferenceRequest\.source: unknown field 'sise'; known"),
        (changed("model", "digest", to="0"), r"InferenceRequest\.model: a model digest is 64 hex"),
        (changed("output", "prefix", to="p"), r"InferenceRequest\.output: .* ends with '/'"),
        (changed("selection", to={"every_nth": 0}), r"\.selection: every_nth must be 1 to"),
        (changed("selection", to={"each": 1}), r"\.selection: unknown selection 'each'; known are"),
        (changed("selection", to=None), r"\.selection: expected one selection such as"),
    ],
)
def test_an_error_names_the_path_and_what_would_be_right(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(DocumentError, match=message):
        from_json(InferenceRequest, json.dumps(document))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 2, 3], r"detections\[0\]\.box: expected 4 values, got 3"),
        ([1, 2, "3", 4], r"detections\[0\]\.box\[2\]: expected float, got '3'"),
        ([1, 2, 10**400, 4], r"detections\[0\]\.box\[2\]: expected a finite number, got 1000"),
        ([3, 2, 1, 4], r"detections\[0\]: a box is \(x_min, y_min, x_max, y_max\)"),
        (7, r"detections\[0\]\.box: expected a list, got 7"),
    ],
)
def test_an_error_in_a_list_names_the_item(box: object, message: str) -> None:
    frame = {
        "frame_index": 0,
        "pts": 0,
        "time_base": "1/25",
        "time_s": 0,
        "is_key_frame": True,
        "width": 2,
        "height": 2,
    }
    detection = {"class_id": 1, "class_name": "person", "score": 1, "box": box}
    with pytest.raises(DocumentError, match=message):
        from_dict(FrameResult, {"frame": frame, "detections": [detection]})
    with pytest.raises(DocumentError, match=r"time_base: expected a fraction such as '1/12800'"):
        from_dict(FrameResult, {"frame": frame | {"time_base": "1/0"}, "detections": []})


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(constant: str) -> None:
    text = to_json(Completion(JOB, 1, Outcome.SUCCEEDED, timings_s={"total": 1.5}))
    with pytest.raises(DocumentError):
        from_json(Completion, text.replace("1.5", constant))


def test_an_outcome_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    text = to_json(Completion(JOB, 1, Outcome.SUCCEEDED)).replace("succeeded", "won")
    message = r"Completion\.outcome: expected one of succeeded, retryable, rejected, got 'won'"
    with pytest.raises(DocumentError, match=message):
        from_json(Completion, text)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_code_goes_with_failures_and_only_with_them(outcome: Outcome) -> None:
    code = "not_a_video" if outcome is Outcome.SUCCEEDED else None
    with pytest.raises(ValueError, match="a code goes with failures"):
        Completion(JOB, 1, outcome, code=code)


def test_deep_nesting_is_refused_not_fatal() -> None:
    with pytest.raises(DocumentError):
        from_json(AttemptRequest, "[" * 200_000)


def test_a_long_wrong_value_is_shown_short() -> None:
    with pytest.raises(DocumentError) as caught:
        from_dict(InferenceRequest, changed("attempt", to="x" * 10_000))
    assert len(str(caught.value)) < 200


@given(request=requests)
def test_absent_fields_are_left_out_of_the_json(request: InferenceRequest) -> None:
    assert None not in to_dict(request).values()


def test_a_document_without_a_schema_name_is_read_by_its_fields_alone() -> None:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

    assert from_json(Point, '{"x":1}') == Point(1)
