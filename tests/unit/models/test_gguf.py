"""A GGUF file of one's own is a base model like any folder: converted once, known by its content, refused when damaged.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.cli import sources
from core.domain.dataset import Task
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side
from core.errors import ModelError, NotFoundError, RecipeError
from core.models import convert, facts, fetch, origin
from core.models.inspect import inspect_model
from core.settings import Settings
from core.training import artifact
from core.training.execute import execute
from tests.conftest import WORKSPACE, Notes, write_language_dataset
from tests.unit.models.test_convert import write_gguf


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny-Q4_1.gguf"
    write_gguf(path)
    return path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A folder with that file alone."""
    (tmp_path / "model").mkdir()
    shutil.copy(made, tmp_path / "model")
    return tmp_path / "model"


def ensure(model: Path, settings: Settings) -> Path:
    return fetch.ensure_model(str(model), settings=settings, progress=lambda done, total: None)


def test_a_folder_with_one_file_and_the_file_itself_are_one_model_that_is_converted_once(
        folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "tiny-Q4_1.gguf"
    used = ensure(folder, settings)
    assert used.parent == settings.assets / "models" and (used / "model.safetensors").is_file()
    assert [path.name for path in folder.iterdir()] == [file.name]  # a base model is never written to
    monkeypatch.setattr(convert, "gguf", None)  # not called again
    assert ensure(file, settings) == ensure(folder, settings) == used
    assert facts.folder(str(file), settings) == used
    found = inspect_model(str(folder), settings=settings)
    assert Task.LANGUAGE_MODELLING in found.tasks and found.tied_head and found.refusals == {}
    assert found.source == "local" and facts.read(str(folder), settings) == found
    file = file.rename(folder / "renamed.GGUF")
    assert ensure(file, settings) == used and inspect_model(str(file), settings=settings).revision == found.revision


def test_a_configuration_beside_the_file_changes_nothing(folder: Path, settings: Settings) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    assert (ensure(folder, settings) / "model.safetensors").is_file()


def test_another_file_of_the_same_name_is_another_model(folder: Path, settings: Settings) -> None:
    first, before = ensure(folder, settings), inspect_model(str(folder), settings=settings)
    began = origin.Origin(model_revision=before.revision)
    began.check_model(str(folder), settings)
    write_gguf(folder / "tiny-Q4_1.gguf", seed=1)
    assert facts.read(str(folder), settings) is None
    with pytest.raises(RecipeError, match="no longer the one"):
        began.check_model(str(folder), settings)
    second = ensure(folder, settings)
    name = "model.layers.0.mlp.up_proj.weight"
    assert second != first and not torch.equal(*(load_file(each / "model.safetensors")[name] for each in
                                                 (first, second)))
    assert inspect_model(str(folder), settings=settings).revision != before.revision


def test_what_was_made_and_cut_later_is_made_again(folder: Path, settings: Settings) -> None:
    weights = ensure(folder, settings) / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    ensure(folder, settings)
    assert weights.read_bytes() == whole


@pytest.mark.parametrize(("kind", "dtype"), [("F32", torch.float32), ("F16", torch.float16), ("Q8_0", torch.bfloat16)])
def test_numbers_that_are_not_rounded_stay_as_they_are(kind: str, dtype: torch.dtype, tmp_path: Path,
                                                       settings: Settings) -> None:
    meant = write_gguf(tmp_path / "model.gguf", kind=kind)
    stored = load_file(ensure(tmp_path / "model.gguf", settings) / "model.safetensors")
    found = stored["model.layers.1.mlp.down_proj.weight"]
    assert found.dtype == dtype and torch.equal(found, torch.from_numpy(meant["blk.1.ffn_down"]).to(dtype))


def test_of_several_files_one_has_to_be_chosen(folder: Path, settings: Settings) -> None:
    write_gguf(folder / "tiny-F16.gguf", kind="F16")
    with pytest.raises(ModelError, match="holds 2 GGUF files") as caught:
        ensure(folder, settings)
    assert "tiny-F16.gguf, tiny-Q4_1.gguf" in caught.value.why
    assert f"the path of the file itself, such as {folder / 'tiny-F16.gguf'}" in caught.value.remedy
    with pytest.raises(ModelError, match="holds 2 GGUF files"):
        inspect_model(str(folder), settings=settings)
    assert (ensure(folder / "tiny-F16.gguf", settings) / "config.json").is_file()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in the weights": (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "is damaged"),
    "cut in the list": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "is damaged"),
    "cut at once": (lambda path: path.write_bytes(path.read_bytes()[:10]), "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged"),
    "a page": (lambda path: path.write_text("<!doctype html>404"), "does not begin as a GGUF file does"),
    "a pointer": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid"), "git lfs pull"),
    "a kind that is not known": (lambda path: write_gguf(path, architecture="unheardof"), "of the kind unheardof"),
    "a weight is missing": (lambda path: write_gguf(path, without="blk.1.ffn_up"), "lacks weights"),
    "no weights": (lambda path: write_gguf(path, blocks=0, without="token_embd"), "lacks weights"),
    "a part": (lambda path: path.rename(path.with_name("a-00001-of-00002.gguf")), "with gguf-split of llama.cpp"),
    "gone": (lambda path: path.unlink(), "There is no file"),
}


@pytest.mark.parametrize("change", DAMAGE)
def test_a_file_that_is_not_whole_is_refused_in_three_parts(change: str, folder: Path, settings: Settings) -> None:
    path = folder / "tiny-Q4_1.gguf"
    make, words = DAMAGE[change]
    make(path)
    with pytest.raises(ModelError) as caught:
        ensure(next(folder.iterdir(), path), settings)
    assert words in str(caught.value) + caught.value.what and caught.value.why and caught.value.remedy
    left = settings.assets / "models"
    assert not left.exists() or not list(left.glob("gguf-*/"))


def test_the_command_line_takes_the_path_of_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert sources.id_of_model("tiny-Q4_1.gguf") == str(folder / "tiny-Q4_1.gguf")
    assert sources.id_of_model(".") == str(folder)
    assert sources.id_of_model("owner/other.gguf") == "owner/other.gguf"


def test_a_visitor_names_files_below_listed_folders_only(folder: Path, settings: Settings) -> None:
    file = str(folder / "tiny-Q4_1.gguf")
    with pytest.raises(NotFoundError):
        facts.check_named_by_visitor(file, settings)
    listed = dataclasses.replace(settings, model_folders=(folder.parent,))
    facts.check_named_by_visitor(file, listed)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    for other in ("notes.txt", "gone.gguf"):
        with pytest.raises(NotFoundError):
            facts.check_named_by_visitor(str(folder / other), listed)


def test_a_run_on_a_file_learns_and_is_read_back(folder: Path, settings: Settings, tmp_path: Path) -> None:
    passages = write_language_dataset(settings, n_rows=20)
    recipe = Recipe(dataset=passages.id, base_model=str(folder / "tiny-Q4_1.gguf"), method="lora", epochs=2.0,
                    batch_size=4, task=Task.LANGUAGE_MODELLING, learning_rate=1e-2, max_length=32, precision="fp32",
                    lora=LoraSpec(rank=4))
    result = execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run", observer=Notes())
    assert result.metrics["test"]["loss"].value < result.base["test"]["loss"].value
    assert artifact.load(Side.of(tmp_path / "run"), settings=settings).recipe == recipe
