"""Settings: one file a stage, no default, and errors that say what to write."""

from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.model import StringShape
from botocore.session import get_session

from stacks.constructs.logs import log_retention
from stacks.settings import SettingsError, load_settings
from tests.stacks.synthesis import ROOT, STAGES

DEV = (ROOT / "config" / "dev.toml").read_text()
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a stage `dev` of its own."""

    def write_dev(content: str) -> Path:
        (tmp_path / "dev.toml").write_text(content)
        return tmp_path

    return write_dev


def test_there_is_no_default_stage() -> None:
    with pytest.raises(SettingsError, match=r"name a stage, .*-c stage=dev .*dev, local, prod"):
        load_settings(None)


def test_an_unknown_stage_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"no config/test.toml \(known stages: dev, local, pr"):
        load_settings("test")


@pytest.mark.parametrize("stage", ["../dev", "Dev", "d", "dev/"])
def test_a_stage_is_a_name_and_no_path(stage: str) -> None:
    with pytest.raises(SettingsError, match="2 to 10 lower-case letters and digits"):
        load_settings(stage)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("keep_data = false", "", r"config/dev\.toml\.keep_data: missing"),
        ("keep_data = false", "keep_data = 0", r"\.keep_data: expected bool, got 0"),
        ("keep_data", "keep_date", r"\.keep_data: missing"),
        ("keep_data = false", "keep_data = false\nextra = 1", r"unknown field 'extra'; known are"),
        ("max_attempts = 3", "max_attempts = 0", r"pipeline: max_attempts must be at least 1"),
        ("max_concurrency = 10", "max_concurrency = 1", r"functions: max_concurrency is 2 to 1000"),
        ("max_runtime_s = 14_400", "max_runtime_s = 0", r"processing: max_runtime_s is 1 to 777"),
        ("volume_size_gb = 30", "volume_size_gb = 5", r"volume_size_gb must hold .* got 5"),
        ("max_streams = 64", "max_streams = 0", r"limits: max_streams must be above 0, got 0"),
        ("max_decode_s = 10_800", "max_decode_s = 14_400", r"max_decode_s must be below max_runt"),
        ('"builtin:people"', '"builtin:cats"', r"pipeline: unknown model 'builtin:cats'; known"),
        ('"every_seconds=1"', '"index_api"', r"pipeline: the stage does not offer index_api"),
        ("[processing]", "[processing", r"config/dev\.toml: "),
    ],
)
def test_what_is_wrong_in_a_file_is_named(write: Write, old: str, new: str, message: str) -> None:
    assert old in DEV
    with pytest.raises(SettingsError, match=message):
        load_settings("dev", write(DEV.replace(old, new, 1)))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stages_file_is_right_and_of_its_own_name(stage: str) -> None:
    settings = load_settings(stage)
    assert settings.stage == stage
    assert log_retention(settings.log_retention_days)


@pytest.mark.parametrize("stage", STAGES)
def test_processing_knows_every_stages_instance_type(stage: str) -> None:
    model = get_session().get_service_model("sagemaker")
    known = model.shape_for("ProcessingInstanceType")
    assert isinstance(known, StringShape)
    assert load_settings(stage).processing.instance_type in known.enum


def test_a_retention_that_cloudwatch_has_not_is_answered_with_those_it_has() -> None:
    with pytest.raises(ValueError, match="one of 1, 7, 14, 30, 90, 365, got 5"):
        log_retention(5)


def test_prod_keeps_data_and_offers_models_one_by_one() -> None:
    settings = load_settings("prod")
    assert settings.keep_data
    assert not any("*" in model for model in settings.pipeline.allowed_models)
