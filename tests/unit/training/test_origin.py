"""A run's artifact loads onto the revision it was trained on, and its features come from the rows it was trained on;
nothing else."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.analysis import aligned, feature_paths, row_facts
from core.cli import export as cli_export
from core.cli import parser
from core.data import library
from core.domain.dataset import Dataset
from core.domain.model import Weights
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import Phase
from core.domain.side import Side, Which
from core.errors import DataError, RecipeError
from core.models import facts, origin
from core.models.inspect import inspect_model
from core.settings import Settings
from core.training import artifact
from core.training.execute import execute
from core.training.extract import extract, measure
from tests.conftest import WORKSPACE, Notes


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def run_dir(settings: Settings, model: Path, tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """A finished probe."""
    train(recipe(tiny_dataset, model, "probe"), settings, tmp_path / "run")
    return tmp_path / "run"


def recipe(dataset: Dataset, model: Path, method: str, **fields: object) -> Recipe:
    values: dict[str, object] = {"epochs": 2.0, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
                                 "precision": "fp32", "lora": LoraSpec(rank=4)}
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))  # type: ignore[arg-type]


def train(wanted: Recipe, settings: Settings, folder: Path, *, observer: Notes | None = None,
          resume: bool = False) -> None:
    execute(wanted, settings=settings, workspace=WORKSPACE, run_dir=folder, observer=observer or Notes(), resume=resume)


def features(run_dir: Path, settings: Settings) -> None:
    extract(run_dir, settings=settings, workspace=WORKSPACE, observer=Notes())


def change_tokenizer(model: Path) -> None:
    path = model / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"goal"', '"aims"'), encoding="utf-8")


def change_rows(settings: Settings, dataset: Dataset) -> None:
    path = library.folder(dataset, settings=settings, workspace=WORKSPACE) / "rows.parquet"
    table = pq.read_table(path)
    texts = ["another text", *table["text"].to_pylist()[1:]]
    pq.write_table(table.set_column(table.column_names.index("text"), "text", pa.array(texts, pa.string())), path)


USES = {
    "predict": lambda run, settings, to: artifact.load(Side.of(run), settings=settings),
    "the base side": lambda run, settings, to: artifact.load(Side.of(run, Which.BASE), settings=settings),
    "features": lambda run, settings, to: features(run, settings),
    "shift": lambda run, settings, to: aligned.load(Side.of(run, Which.BASE), settings=settings),
    "export merged": lambda run, settings, to: cli_export.export(export_of(run, to, "merged"), settings),
    "export adapter": lambda run, settings, to: cli_export.export(export_of(run, to, "adapter"), settings),
}


def export_of(run: Path, to: Path, form: str) -> Namespace:
    return parser.build().parse_args(["export", str(run), "--to", str(to / form), "--as", form,
                                      "--workspace", WORKSPACE])


def test_nothing_is_done_with_a_run_whose_base_model_changed_until_it_is_back(run_dir: Path, settings: Settings,
                                                                              model: Path, tmp_path: Path) -> None:
    features(run_dir, settings)
    kept, recorded = (model / "tokenizer.json").read_bytes(), origin.of(run_dir).model_revision
    change_tokenizer(model)
    for name, do in USES.items():
        with pytest.raises(RecipeError, match="no longer the one that this run was trained on") as error:
            do(run_dir, settings, tmp_path / "exports")
        named = {word.rstrip(":;.") for word in error.value.why.split() if word.startswith("content:")}
        assert recorded in named and len(named) == 2 and error.value.remedy, name
    (model / "tokenizer.json").write_bytes(kept)
    for do in USES.values():
        do(run_dir, settings, tmp_path / "exports")


def test_a_run_works_again_although_other_files_were_measured_in_between(run_dir: Path, settings: Settings,
                                                                         model: Path) -> None:
    kept, known = (model / "tokenizer.json").read_bytes(), facts.read(str(model), settings)
    change_tokenizer(model)
    inspect_model(str(model), settings=settings)
    (model / "tokenizer.json").write_bytes(kept)
    assert facts.read(str(model), settings) == known
    for path in facts.facts_path(str(model), settings).parent.glob("facts*.json"):
        path.unlink()
    answers = artifact.load(Side.of(run_dir), settings=settings).predict(["goal"])
    assert answers, "what was never measured here is measured when it is needed"
    for path in facts.facts_path(str(model), settings).parent.glob("facts*.json"):
        path.unlink()
    features(run_dir, settings)


def test_a_run_does_not_resume_on_another_revision_or_on_other_rows(settings: Settings, model: Path,
                                                                    tiny_dataset: Dataset, tmp_path: Path) -> None:
    wanted = recipe(tiny_dataset, model, "lora", epochs=4.0)
    train(wanted, settings, tmp_path / "run", observer=Notes(stop_at=9))
    kept = (model / "tokenizer.json").read_bytes()
    change_tokenizer(model)
    with pytest.raises(RecipeError, match="no longer the one"):
        train(wanted, settings, tmp_path / "run", resume=True)
    (model / "tokenizer.json").write_bytes(kept)
    train(wanted, settings, tmp_path / "run", resume=True)
    change_rows(settings, tiny_dataset)
    with pytest.raises(DataError):
        train(wanted, settings, tmp_path / "run", resume=True)


def test_a_model_that_changes_between_looking_and_loading_is_not_trained_under_the_wrong_name(
        settings: Settings, model: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    class Meddler(Notes):
        def phase(self, phase: Phase) -> None:
            if phase is Phase.CACHING:
                change_tokenizer(model)

    with pytest.raises(RecipeError, match="no longer the one"):
        train(recipe(tiny_dataset, model, "probe"), settings, tmp_path / "run", observer=Meddler())


def test_features_are_not_extracted_from_rows_that_changed(run_dir: Path, settings: Settings,
                                                           tiny_dataset: Dataset) -> None:
    change_rows(settings, tiny_dataset)
    with pytest.raises(DataError, match="not the ones that were imported"):
        features(run_dir, settings)
    with pytest.raises(DataError, match="not the ones that were imported"):
        row_facts.table(tiny_dataset.id, settings=settings, workspace=WORKSPACE)


def test_features_are_not_extracted_from_another_dataset_of_the_same_name(run_dir: Path, settings: Settings,
                                                                          tiny_dataset: Dataset) -> None:
    path = library.folder(tiny_dataset, settings=settings, workspace=WORKSPACE) / "dataset.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"content_hash": data["content_hash"] + "0"}), encoding="utf-8")
    with pytest.raises(DataError, match="no longer the one that this run was trained on"):
        features(run_dir, settings)


def test_what_an_earlier_version_left_opens_with_its_features(run_dir: Path, settings: Settings, model: Path) -> None:
    """A run, its base model's features and its report, all recorded under a revision of the weights alone."""
    measure(run_dir, settings=settings, workspace=WORKSPACE, observer=Notes())
    where = feature_paths.of_run(run_dir, settings=settings, rows=2000)
    old = facts.identity(str(model), settings).weights_only
    (run_dir / origin.FILE).unlink()
    for name, key in (("result.json", "model_revision"), ("environment.json", "base_model_revision")):
        data = json.loads((run_dir / name).read_text(encoding="utf-8"))
        (run_dir / name).write_text(json.dumps(data | {key: old}), encoding="utf-8")
    then = feature_paths.base_path(settings, dataset_hash=where.dataset_hash, revisions=(old,), recipe=where.recipe,
                                   precision="fp32", rows=2000, weights=Weights.PRETRAINED)
    where.base.parent.rename(then.parent)
    path = facts.facts_path(str(model), settings)
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"revision": old}), encoding="utf-8")
    opened = feature_paths.of_run(run_dir, settings=settings, rows=2000)
    assert opened.base == then and opened.ready
    assert artifact.load(Side.of(run_dir), settings=settings).predict(["goal team"])
    (model / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(RecipeError, match="sha256:"):
        artifact.load(Side.of(run_dir), settings=settings)
