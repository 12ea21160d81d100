from pathlib import Path

import numpy as np
import pytest

from cli.stage import Stage
from contracts.keys import DETECTIONS_FILE
from contracts.results import AttemptDocument
from tests.cli.commands import Commands
from tests.vision.models.graphs import a_bundle, a_spec, constant_graph, plain_outputs
from tests.vision.videos import VideoSpec, make_video
from vision.results import read_attempt, read_detections


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A model that finds the same car in every frame."""
    graph = constant_graph(plain_outputs([[1, 1, 4, 4]], [1], [0.9]))
    return a_bundle(tmp_path, graph, a_spec())


def test_a_video_leaves_the_files_of_an_attempt(
    commands: Commands, bundle: Path, tmp_path: Path
) -> None:
    video = make_video(tmp_path / "numbers.mp4")

    done = commands(
        "run", video, "--to", tmp_path, "--model", bundle, "--select", "every_nth=10", "--json"
    )

    assert done.exit_code == 0
    folder = Path(done.json["folder"])
    assert folder.name == "attempt-1"
    document = read_attempt(folder)
    assert isinstance(document, AttemptDocument)
    assert document.counts.frames_processed == 3
    found = list(read_detections(folder / DETECTIONS_FILE))
    assert [result.frame.frame_index for result in found] == [0, 10, 20]
    assert {path.name for path in folder.iterdir()} == {"attempt.json", DETECTIONS_FILE}


def test_the_built_in_model_runs_unless_another_is_asked_for(
    commands: Commands, tmp_path: Path
) -> None:
    video = make_video(tmp_path / "numbers.mp4", VideoSpec(frame_count=2))

    done = commands("run", video, "--to", tmp_path / "to", "--json")

    assert done.json["model"]["name"] == "builtin:people"


def test_results_are_drawn_beside_the_attempt(
    commands: Commands, bundle: Path, tmp_path: Path
) -> None:
    video = make_video(tmp_path / "numbers.mp4")

    done = commands("run", video, "--to", tmp_path, "--model", bundle, "--render", "--json")

    picture, clip = map(Path, done.json["pictures"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert _shown_frames(clip) == done.json["counts"]["frames_processed"]
    assert picture.parent == clip.parent == Path(done.json["folder"]).parent


def test_a_video_whose_size_changes_is_drawn_up_to_there(
    commands: Commands, bundle: Path, tmp_path: Path
) -> None:
    from tests.vision.videos import join

    small = make_video(tmp_path / "a.ts", VideoSpec(frame_count=12))
    large = make_video(tmp_path / "b.ts", VideoSpec(frame_count=12, size=(192, 128)))
    video = join(tmp_path / "both.ts", small, large)

    done = commands(
        "run", video, "--to", tmp_path, "--model", bundle, "--select", "all", "--render", "--json"
    )

    assert done.exit_code == 0
    assert (
        0 < _shown_frames(Path(done.json["pictures"][1])) < done.json["counts"]["frames_processed"]
    )


def test_a_rejected_video_has_its_code_its_sentence_and_its_document(
    commands: Commands, tmp_path: Path
) -> None:
    video = tmp_path / "words.mp4"
    video.write_text("only words " * 100)

    done = commands("run", video, "--to", tmp_path)

    assert done.exit_code == 65
    assert "not_a_video: " in done.errors
    (written,) = (tmp_path / "results").rglob("attempt.json")
    assert read_attempt(written.parent).code == "not_a_video"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.mp4",), "There is no file"),
        ((".",), ". is a folder"),
        (("a.mp4", "--select", "every_seconds=0"), "every_seconds must be above 0"),
        (("a.mp4", "--select", "sometimes"), "Unknown selection"),
        (("a.mp4", "--model", "builtin:cats"), "Unknown model"),
        (("a.mp4", "--model", "no.tar.gz"), "no model bundle"),
        (("a.mp4", "--model", "bundle:" + "0" * 64), "Give the model.tar.gz"),
        (("a.mp4", "--nonsense"), "No such option"),
    ],
)
def test_wrong_arguments_are_told_from_bad_videos(
    commands: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4", VideoSpec(frame_count=1))

    done = commands("run", *arguments, "--to", "to")

    assert done.exit_code == 64
    assert said in done.errors
    assert not (tmp_path / "to").exists()


def test_a_name_that_is_no_text_is_said_to_be_the_fault(
    stage: Stage, commands: Commands, tmp_path: Path
) -> None:
    video = make_video(tmp_path / "a.mp4", VideoSpec(frame_count=1)).rename(tmp_path / "\udce9.mp4")

    for arguments in (("run", video, "--to", tmp_path / "to"), ("submit", video, "--stage", "dev")):
        done = commands(*arguments)

        assert done.exit_code == 64
        assert "is no Unicode text" in done.errors
        assert "Rename the file" in done.errors


def _shown_frames(clip: Path) -> int:
    import av

    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all(isinstance(frame, np.ndarray) for frame in frames)
    return len(frames)
