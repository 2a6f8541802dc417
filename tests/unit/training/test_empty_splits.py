"""Runs on datasets without validation or test rows, and with classes that nothing trains on: they say so and end
well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.analysis.feature_files import BlockFeatures
from core.analysis.sample import of_training, probe_sample
from core.domain.dataset import Dataset
from core.domain.recipe import LoraSpec, Recipe
from core.domain.side import Side
from core.settings import Settings
from core.training import artifact
from core.training.execute import execute
from core.training.extract import measure
from tests import turns
from tests.conftest import WORKSPACE, Notes, write_dataset


def make(dataset: Dataset, model: Path, method: str, **fields: object) -> Recipe:
    values: dict[str, object] = {"epochs": 1.0, "batch_size": 8, "learning_rate": 1e-3, "max_length": 32,
                                 "precision": "fp32", "lora": LoraSpec(rank=4), "track_features": 20,
                                 "early_stopping_patience": 1}
    return Recipe(dataset=dataset.id, base_model=str(model), method=method, **(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "without"), turns.part([
    ("probe", ("validation", "test")), ("probe", ("validation",)), ("lp_ft", ("validation",)),
    ("full", ("validation", "test")), ("scratch", ("test",)), ("lora", ("validation", "test"))], every=2))
def test_a_run_without_rows_to_judge_on_says_so_and_ends_well(method: str, without: tuple[str, ...], settings: Settings,
                                                              tiny_model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(settings, n_rows=45, without=without)
    notes, folder = Notes(), tmp_path / "run"
    result = execute(make(dataset, tiny_model, method), settings=settings, workspace=WORKSPACE, run_dir=folder,
                     observer=notes)
    for split in ("validation", "test"):
        assert any(f"There is no {split} row" in note for note in notes.notes) == (split in without)
        assert (folder / f"predictions-{split}.parquet").is_file() == (split not in without)
    assert set(result.metrics) == {"validation", "test"} - set(without)
    assert len(notes.evaluations) == 0 or "validation" not in without
    assert len(artifact.load(Side.of(folder), settings=settings).predict(["the team goal"])) == 1
    found = measure(folder, settings=settings, workspace=WORKSPACE, observer=Notes())
    assert len(found.row_ids) == 45 and "training rows stand in" in str(of_training(found.splits))
    if method == "full":
        steps = sorted((folder / "features").glob("step-*.safetensors"))
        assert len(steps) > 1 and len(BlockFeatures.load(steps[0]).row_ids) == 20


def test_resuming_without_validation_rows_gives_the_uninterrupted_result(settings: Settings, tiny_model: Path,
                                                                         tmp_path: Path) -> None:
    dataset = write_dataset(settings, n_rows=45, without=("validation", "test"))
    recipe = make(dataset, tiny_model, "full", epochs=2.0)
    for folder, stop in (("whole", None), ("cut", 7)):
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / folder, observer=Notes(stop_at=stop))
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "cut", observer=Notes(), resume=True)
    texts = ["the team goal", "bank market"]
    whole, cut = (artifact.load(Side.of(tmp_path / folder), settings=settings).outputs(texts)["logits"]
                  for folder in ("whole", "cut"))
    assert np.array_equal(whole, cut)


def test_a_class_without_training_rows_is_named_before_training(settings: Settings, tiny_model: Path,
                                                                tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dataset = write_dataset(settings, n_rows=45)
    place = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    rows = pq.read_table(place).to_pydict()
    rows["split"] = ["test" if label == 1 else split for label, split in zip(rows["label"], rows["split"], strict=True)]
    pq.write_table(pa.table(rows).cast(pq.read_schema(place)), place)
    notes = Notes()
    execute(make(dataset, tiny_model, "probe"), settings=settings, workspace=WORKSPACE, run_dir=tmp_path / "run",
            observer=notes)
    assert [note for note in notes.notes if "no training row" in note] == [
        f"1 class has no training row: {dataset.classes[1]} (15 rows). No model can get these rows right."]


def test_training_rows_stand_in_only_where_next_to_nothing_else_is_there() -> None:
    labels = np.arange(60) % 3
    splits = np.array(["train"] * 40 + ["test"] * 10 + ["validation"] * 10)
    assert of_training(splits[probe_sample(labels, splits)]) is None
    few = np.array(["train"] * 51 + ["test"] * 9)
    chosen = few[probe_sample(labels, few, rows=30)]
    assert len(chosen) == 30 and (chosen == "test").sum() == 9 and "21 training rows" in str(of_training(chosen))
    shifted = np.array(["train"] * 30 + ["shift"] * 30)
    chosen = shifted[probe_sample(labels, shifted, rows=20)]
    assert (chosen == "shift").sum() == 5 and (chosen == "train").sum() == 15
