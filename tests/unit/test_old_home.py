"""A data folder of the first released form opens with everything it had: dataset, runs, results, predictions, features, maps.

`tests/fixtures/home-1.zip` was made by commit 3a4fbf7: a table imported, five methods trained on a tiny BERT through the queue, the
features of two runs measured. `expected.json` in it holds what that version answered.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.api import Thaw
from core.domain import codec
from core.domain.run import JobKind, Status
from core.domain.side import Side, Which
from core.settings import Settings
from core.training import artifact

FIXTURE = Path(__file__).parents[1] / "fixtures" / "home-1.zip"
MADE_AT = "/tmp/fx/home"


@pytest.fixture
def old(tmp_path: Path) -> tuple[Thaw, dict[str, Any]]:
    home = tmp_path / "home"
    with zipfile.ZipFile(FIXTURE) as archive:
        archive.extractall(home)
    with sqlite3.connect(home / "thaw.db") as database:  # run folders are kept as absolute paths
        database.execute("UPDATE jobs SET folder = replace(folder, ?, ?)", (MADE_AT, str(home)))
    return Thaw(Settings(home=home, hub=False)), json.loads((home / "expected.json").read_text())


def known(found: Any, wanted: Any) -> bool:
    """Whether everything that was there before is there now, unchanged; more may have come."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and known(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(known, found, wanted))
    return bool(found == wanted)


def test_datasets_runs_and_results_are_all_there(old: tuple[Thaw, dict[str, Any]]) -> None:
    thaw, expected = old
    ws = expected["ws"]
    dataset, = thaw.data.all(ws)
    assert (dataset.id, dataset.name, dataset.rows_kept) == (expected["dataset"], "Tiny topics", 90)
    report = thaw.data.report(ws, dataset.id)
    assert report is not None and report.rows_read == 90
    assert len(thaw.data.rows(ws, dataset.id, n=5)) == 5
    runs = thaw.runs.all(ws)
    assert {run.kind for run in runs} == {JobKind.PREPARE, JobKind.TRAIN, JobKind.FEATURES}
    assert all(run.status is Status.DONE for run in runs)
    assert [experiment.name for experiment in thaw.experiments.all(ws)] == ["Old experiment"]
    for run in expected["runs"]:
        assert known(codec.to_json(thaw.runs.result(ws, run["id"])), run["result"])
        assert thaw.runs.get(ws, run["id"]).recipe is not None
    ids = [run["id"] for run in expected["runs"]]
    assert len(thaw.experiments.compare(ws, ids).rows) == len(ids)
    assert len(thaw.runs.curves(ws, ids[1]).evals) > 1
    assert thaw.experiments.paired(ws, ids[0], ids[1]).n == 18


def test_trained_models_still_predict_what_was_recorded(old: tuple[Thaw, dict[str, Any]]) -> None:
    thaw, expected = old
    rows = pq.read_table(thaw.settings.workspace(expected["ws"]) / "datasets" / expected["dataset"] / "rows.parquet")
    texts = dict(zip(rows["row_id"].to_pylist(), rows["text"].to_pylist(), strict=True))
    for run in expected["runs"]:
        folder = Path(thaw.runs.get(expected["ws"], run["id"]).folder)
        recorded = pq.read_table(folder / "predictions-test.parquet")
        side = artifact.load(Side.of(folder), settings=thaw.settings)
        found = side.predict([texts[row] for row in recorded["row_id"].to_pylist()])
        wanted = np.stack(recorded["probabilities"].to_pylist())
        probabilities = np.array([[item["probabilities"][name] for name in side.classes] for item in found])
        np.testing.assert_allclose(probabilities, wanted, atol=3e-2 if side.precision == "bf16" else 1e-4)


def test_measured_features_open_without_being_measured_again(old: tuple[Thaw, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    thaw, expected = old
    ws, run = expected["ws"], expected["runs"][1]["id"]

    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("core.shift.report.measure", never)
    assert thaw.features.state(ws, run).ready
    space = thaw.features.shift(ws, Side(run=run, which=Which.BASE), Side(run=run), names=("base", "tuned"))
    assert known(space.shift.to_json(), expected["shift"])
    story = thaw.features.story(ws, run, "block 1")
    assert story is not None and len(story.steps) > 2
