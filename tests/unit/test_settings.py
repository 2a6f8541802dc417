"""Settings: read from THAW_* once, refused with the variable's name when they do not parse."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from core import settings
from core.errors import ThawError
from core.settings import Settings


def test_defaults_need_no_environment() -> None:
    found = settings.load({})
    assert found == Settings()
    assert found.home.is_absolute()
    assert found.slots == 1


def test_every_field_is_read_from_its_variable(tmp_path: Path) -> None:
    raw = {"bool": "0", "int": "7", "float": "7", "Path": str(tmp_path),
           "tuple[Path, ...]": f"{tmp_path}{os.pathsep}/models", "tuple[str, ...]": "TensorBoard, mlflow"}
    expected = {"bool": False, "int": 7, "float": 7.0, "Path": tmp_path,
                "tuple[Path, ...]": (tmp_path, Path("/models")), "tuple[str, ...]": ("tensorboard", "mlflow")}
    for spec in dataclasses.fields(Settings):
        found = settings.load({f"THAW_{spec.name.upper()}": raw[str(spec.type)]})
        assert getattr(found, spec.name) == expected[str(spec.type)], spec.name


def test_a_child_reads_the_same_settings(tmp_path: Path) -> None:
    own = Settings(home=tmp_path, slots=3, hub=False, public=True, cache_gb=0.5,
                   model_folders=(tmp_path / "a", tmp_path / "b"), trackers=("tensorboard", "mlflow"))
    assert settings.load(settings.as_environment(own)) == own
    assert settings.load(settings.as_environment(Settings(home=tmp_path))) == Settings(home=tmp_path)


def test_every_field_says_what_it_is_for() -> None:
    for spec in dataclasses.fields(Settings):
        assert len(spec.metadata["help"]) > 10, spec.name


def test_folders_follow_the_home(tmp_path: Path) -> None:
    found = Settings(home=tmp_path)
    assert found.database == tmp_path / "thaw.db"
    assert found.assets == tmp_path / "assets"
    assert found.cache == tmp_path / "cache"
    assert found.workspace("ab-C_1") == tmp_path / "workspaces" / "ab-C_1"


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a b", "ü", "a.b", "\x00", "x" * 101, "x" * 100_000])
def test_workspace_ids_never_leave_the_folder(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ThawError, match="not valid"):
        Settings(home=tmp_path).workspace(bad)


@pytest.mark.parametrize(("name", "value"), [("SLOTS", "two"), ("SLOTS", "1.5"), ("SLOTS", "-1"), ("HUB", "maybe"),
                                             ("HUB_TIMEOUT_S", "soon")])
def test_a_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(ThawError) as caught:
        settings.load({f"THAW_{name}": value})
    assert f"THAW_{name}" in caught.value.what
    assert value in caught.value.what
    assert caught.value.remedy


def test_empty_values_count_as_unset() -> None:
    assert settings.load({"THAW_SLOTS": "", "OTHER": "x"}) == Settings()


def test_home_is_absolute_whatever_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.load({"THAW_HOME": "data"}).home == tmp_path / "data"
    assert settings.load({"THAW_HOME": "~/data"}).home == tmp_path / "data"


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().slots = 2  # type: ignore[misc]
