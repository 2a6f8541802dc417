"""Rows that a run was judged on, from numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import files
from core.analysis import judged_rows
from core.analysis.judged_rows import JudgedRows
from core.errors import NotFoundError

P = [[0.5, 0.5], [0.9, 0.1], [0.25, 0.75], [1.0, 0.0]]


def run(folder: Path, predictions: list[int], probabilities: list[list[float]] | None, *, first: int = 0) -> Path:
    files.write_json(folder / "artifact" / "labels.json", {"classes": ["cat", "dog"]})
    columns = {"row_id": [first + 3, first + 2, first + 1, first], "label": [1, 1, 0, 0],
               "prediction": predictions[::-1]}
    if probabilities:
        columns["probabilities"] = probabilities[::-1]  # type: ignore[assignment]
    pq.write_table(pa.table(columns), folder / "predictions-test.parquet")
    return folder


def read(folder: Path, **options: Path) -> JudgedRows:
    found = judged_rows.of_run(folder, **options)
    assert found is not None
    return found


def test_loss_margin_entropy_and_confidence(tmp_path: Path) -> None:
    found = read(run(tmp_path, [0, 0, 1, 0], P))  # labels 0 0 1 1
    n = found.numbers
    assert n is not None and found.row_ids.tolist() == [0, 1, 2, 3]
    assert n.loss[:3] == pytest.approx([np.log(2), -np.log(0.9), -np.log(0.75)])
    assert n.loss[3] == pytest.approx(-np.log(1e-12))
    assert n.margin == pytest.approx([0.0, 0.8, 0.5, 1.0])
    assert n.entropy == pytest.approx([1.0, 0.468996, 0.811278, 0.0], abs=1e-6)
    assert n.confidence == pytest.approx([0.5, 0.9, 0.75, 1.0])


def test_order_cells_and_records(tmp_path: Path) -> None:
    found = read(run(tmp_path, [0, 0, 1, 0], P))
    assert found.ordered("worst").tolist() == [3, 0, 2, 1]
    assert found.ordered("doubtful").tolist() == [0, 2, 1, 3]
    assert found.cell(1, 0).tolist() == [3] and found.cell(0, 0).tolist() == [0, 1]
    assert found.ordered("worst", found.cell(0, 0)).tolist() == [0, 1]
    first = found.records([3])[0]
    assert (first["row_id"], first["True"], first["Predicted"], first["Sure"]) == (3, "dog", "cat", 1.0)


def test_two_runs_on_the_same_rows(tmp_path: Path) -> None:
    a = run(tmp_path / "a", [0, 0, 1, 0], P)
    b = run(tmp_path / "b", [1, 0, 1, 1], [[0.2, 0.8], [0.9, 0.1], [0.25, 0.75], [0.4, 0.6]])
    found = read(a, other=b)
    assert found.change == pytest.approx([0.3, 0.0, 0.0, 0.6])
    assert found.ordered("changed").tolist() == [3, 0, 1, 2]
    assert found.outcome(a=True, b=False).tolist() == [0] and found.outcome(a=False, b=True).tolist() == [3]
    assert found.outcome(a=True, b=True).tolist() == [1, 2] and found.outcome(a=False, b=False).tolist() == []
    said = found.records([0], a="LoRA", b="Probe")[0]
    assert (said["Predicted (LoRA)"], said["Predicted (Probe)"]) == ("cat", "dog")


def test_without_probabilities_wrong_rows_come_first(tmp_path: Path) -> None:
    found = read(run(tmp_path / "a", [0, 1, 1, 1], None), other=run(tmp_path / "b", [0, 0, 1, 1], None))
    assert found.numbers is None and found.ordered("worst").tolist()[0] == 1
    assert found.change == pytest.approx([0, 1, 0, 0])


def test_other_rows_are_refused_and_none_are_none(tmp_path: Path) -> None:
    a = run(tmp_path / "a", [0, 0, 1, 0], P)
    with pytest.raises(NotFoundError, match="row by row"):
        judged_rows.of_run(a, other=run(tmp_path / "b", [0, 0, 1, 0], P, first=7))
    with pytest.raises(NotFoundError):
        judged_rows.of_run(a, other=tmp_path / "gone")
    assert judged_rows.of_run(tmp_path / "gone") is None
