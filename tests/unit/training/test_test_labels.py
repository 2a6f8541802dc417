"""Test rows choose nothing: with other test labels every choice, sample, map and piece of advice stays what it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from core import values
from core.analysis import calibration, predictions
from core.analysis.feature_files import BlockFeatures
from core.analysis.sample import probe_sample
from core.api import questions
from core.domain.dataset import Dataset
from core.domain.model import ModelFacts
from core.domain.recipe import LoraSpec, Recipe
from core.domain.run import Result
from core.planning import designs
from core.planning.designs.base import Choices, expanded, experiment
from core.settings import Settings
from core.shift import report
from core.shift.projection import View
from core.shift.sides import AlignedFeatures
from core.training.execute import execute
from core.training.extract import extract
from tests.conftest import WORKSPACE, Notes, write_dataset

ROWS = 40


def other_test_labels(settings: Settings, dataset: Dataset) -> None:
    """Every test and shift row of the stored dataset gets another class."""
    path = settings.workspace(WORKSPACE) / "datasets" / dataset.id / "rows.parquet"
    table = pq.read_table(path)
    held = np.isin(np.array(table["split"].to_pylist()), ["test", "shift"])
    labels = table["label"].to_numpy()
    changed = np.where(held, (labels + 1) % len(dataset.classes), labels).astype(np.int32)
    pq.write_table(table.set_column(table.column_names.index("label"), "label", pa.array(changed)), path)


@pytest.mark.parametrize("method", ["probe", "lora"])
def test_checkpoint_temperature_weights_and_features_do_not_see_them(method: str, tiny_model: Path,
                                                                     tmp_path: Path) -> None:
    made: list[tuple[Result, Path]] = []
    for changed in (False, True):
        settings = Settings(home=tmp_path / str(changed), hub=False)
        dataset = write_dataset(settings, n_rows=300, shift_rows=12)
        if changed:
            other_test_labels(settings, dataset)
        recipe = Recipe(dataset=dataset.id, base_model=str(tiny_model), method=method, task=dataset.task, epochs=3.0,
                        max_length=32, precision="fp32", lora=LoraSpec(rank=2), learning_rate=3e-3, track_features=30)
        run = settings.workspace(WORKSPACE) / "runs" / "r1"
        execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
        result = values.read(run / "result.json", Result)
        assert result is not None
        made.append((result, run))
    (one, first), (two, second) = made
    assert one.metrics["test"] != two.metrics["test"], "the labels did change"
    assert (one.best_step, one.metrics["validation"]) == (two.best_step, two.metrics["validation"])
    assert calibration.of_run(first) == calibration.of_run(second) is not None
    for path in sorted(first.rglob("*.safetensors")):
        mine, theirs = load_file(path), load_file(second / path.relative_to(first))
        assert mine.keys() == theirs.keys() and all(np.array_equal(mine[key], theirs[key]) for key in mine), path.name
    for split in ("test", "shift"):
        a, b = predictions.read(first, split), predictions.read(second, split)
        assert a is not None and b is not None and np.array_equal(a.judged.predictions, b.judged.predictions)
        assert np.array_equal(a.row_ids, b.row_ids)


def test_the_sample_of_rows_and_their_map_do_not_see_them() -> None:
    rng = np.random.default_rng(0)
    splits = np.array(["train"] * 200 + ["validation"] * 100 + ["test"] * 300 + ["shift"] * 100)
    labels = rng.integers(0, 4, len(splits))
    held = np.isin(splits, ["test", "shift"])
    changed = np.where(held, rng.permutation(labels), labels)
    for rows in (20, 100, 350, 2000):
        sample = probe_sample(labels, splits, rows=rows)
        assert np.array_equal(sample, probe_sample(changed, splits, rows=rows)), rows
    base = rng.normal(size=(len(labels), 8))
    tuned = base + rng.normal(size=(len(labels), 8))
    for view in (View.UNION, View.CHANGE, View.BASE, View.CLASSES):
        drawn, again = (report.draw(AlignedFeatures(
            names=("block 0",), base=[base], tuned=[tuned], frozen=(False,), labels=each, shift=splits == "shift",
            held_out=held), 0, view=view) for each in (labels, changed))
        assert drawn is not None and again is not None
        assert np.array_equal(drawn.tuned, again.tuned) and np.array_equal(drawn.base, again.base), view


def test_without_other_rows_class_axes_are_fitted_to_test_rows() -> None:
    labels = np.arange(60) % 3
    held = np.arange(60) >= 6  # two training rows of each class
    features = AlignedFeatures(names=("block 0",), base=[np.eye(60)], tuned=[np.eye(60)], frozen=(False,),
                               labels=labels, held_out=held)
    assert features.supervised.all()
    held = np.arange(60) >= 30
    assert np.array_equal(dataclasses.replace(features, held_out=held).supervised, ~held)
    missing = np.where(held, labels, labels % 2)  # no class 2 among the rows that may be used
    assert dataclasses.replace(features, held_out=held, labels=missing).supervised.all()


def test_a_sample_that_an_earlier_version_drew_is_kept(tiny_model: Path, settings: Settings) -> None:
    """All sides are of the rows of the one that is there already."""
    dataset = write_dataset(settings, n_rows=90)
    run = settings.workspace(WORKSPACE) / "runs" / "r1"
    recipe = Recipe(dataset=dataset.id, base_model=str(tiny_model), method="probe", task=dataset.task, epochs=1.0,
                    max_length=32, precision="fp32")
    execute(recipe, settings=settings, workspace=WORKSPACE, run_dir=run, observer=Notes())
    where = extract(run, settings=settings, workspace=WORKSPACE, observer=Notes(), rows=20, second="none")
    mine = BlockFeatures.load(where.tuned)
    older = np.setdiff1d(BlockFeatures.load(where.base).row_ids, mine.row_ids[:1])
    mine.at(older).save(where.tuned)
    where.base.unlink()
    extract(run, settings=settings, workspace=WORKSPACE, observer=Notes(), rows=20, second="none")
    assert np.array_equal(BlockFeatures.load(where.base).row_ids, older)


@pytest.mark.parametrize("name", list(designs.REGISTRY))
def test_no_design_chooses_an_arm_or_a_rate_by_them(name: str, tiny_facts: ModelFacts, settings: Settings,
                                                    tmp_path: Path) -> None:
    other = dataclasses.replace(tiny_facts, id="/models/other")
    choices = Choices(dataset=write_dataset(settings, n_rows=300, shift_rows=30), models=(tiny_facts, other),
                      effort="quick", rates=(0.3, 1.0, 3.0), budgets=(30, None) if name == "labels" else ())
    laid = experiment(designs.get(name), choices, seeds=(0,))
    planned = expanded(laid)
    found = []
    for changed in (False, True):
        folders = {}
        for number, each in enumerate(planned):
            folder = folders[each.arm, each.rate, each.seed] = tmp_path / str(changed) / each.name
            folder.mkdir(parents=True)
            rng = np.random.default_rng(number)
            for split in ("validation", "test", "shift"):
                labels = rng.integers(0, 2, ROWS)
                guesses = np.where(rng.random(ROWS) < 0.7, labels, 1 - labels)
                told = 1 - labels if changed and split != "validation" else labels
                pq.write_table(pa.table({"row_id": np.arange(ROWS), "label": told, "prediction": guesses}),
                               folder / f"predictions-{split}.parquet")
        found.append(questions.read(designs.get(name), laid, folders))
    one, two = found
    assert one.found is not None and two.found is not None and one.found.rates == two.found.rates
    assert [arm["rates"] for arm in one.document["arms"]] == [arm["rates"] for arm in two.document["arms"]]
    assert one.answer is not None and two.answer is not None
    scores = [answer.details.get("transfer_scores") for answer in (one.answer, two.answer)]
    assert scores[0] == scores[1]
    if name == "rate":
        assert one.answer.details == two.answer.details and one.answer.details, "what validation rows choose"
    assert one.document["comparisons"] != two.document["comparisons"] or name == "seeds"
