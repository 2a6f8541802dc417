"""Rows of a language run, from numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.analysis import predictions, take_home, token_rows
from core.analysis.token_rows import TokenRows
from core.errors import DataError, NotFoundError

OWN, BASE, TOKENS = [6.0, 2.0, 0.0, 9.0], [9.0, 1.5, 0.0, 18.0], [2, 1, 0, 9]  # a token: 3, 2, none, 1; 4.5, 1.5, –, 2


def write(path: Path, losses: list[float], *, tokens: list[int] = TOKENS, first: int = 0,
          exact: list[bool] | None = None, answers: list[int] | None = None) -> None:
    columns: dict[str, object] = {"row_id": [first + 3, first + 2, first + 1, first], "loss": losses[::-1],
                                  "tokens": tokens[::-1], "bytes": [8] * 4, "right": [0] * 4}
    columns |= {name: values[::-1] for name, values in (("exact", exact), ("answer", answers)) if values is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def run(folder: Path, losses: list[float] = OWN, **more: object) -> Path:
    write(predictions.path(folder, "test"), losses, **more)  # type: ignore[arg-type]
    return folder


def read(folder: Path, other: Path | None = None) -> TokenRows:
    found = token_rows.of_run(folder, other=other)
    assert found is not None
    return found


def test_loss_a_taught_token_and_the_rows_that_teach_nothing(tmp_path: Path) -> None:
    found = read(run(tmp_path))
    assert found.own.loss == pytest.approx([3, 2, np.nan, 1], nan_ok=True)
    assert found.row_ids.tolist() == [0, 1, 2, 3] and found.difference is None
    assert found.ordered("worst").tolist() == [0, 1, 3, 2]
    assert found.records([0, 2], a="LoRA") == [{"row_id": 0, "Loss (LoRA)": 3.0, "Taught tokens": 2},
                                               {"row_id": 2, "Loss (LoRA)": None, "Taught tokens": 0}]


def test_beside_the_untouched_model(tmp_path: Path) -> None:
    assert not token_rows.has_base(run(tmp_path)) and token_rows.beside_base(tmp_path) is None
    write(predictions.base_path(tmp_path, "test"), BASE)
    assert token_rows.has_base(tmp_path)
    found = token_rows.beside_base(tmp_path)
    assert found is not None and found.difference == pytest.approx([-1.5, 0.5, np.nan, -1.0], nan_ok=True)
    assert found.ordered("improved").tolist() == [0, 3, 1, 2]
    assert found.ordered("worsened").tolist() == [1, 3, 0, 2]
    assert found.ordered("changed").tolist() == [0, 3, 1, 2]
    assert found.ordered("worst", np.array([3, 1])).tolist() == [1, 3]
    assert found.records([1], a="LoRA", b="untouched")[0] == {
        "row_id": 1, "Loss (LoRA)": 2.0, "Loss (untouched)": 1.5, "Difference": 0.5, "Taught tokens": 1}
    assert not len(found.outcome(a=True, b=False))  # passages have no answer


def test_two_runs_on_conversations_with_closed_answers(tmp_path: Path) -> None:
    a = run(tmp_path / "a", exact=[True, False, False, True], answers=[0, 1, 0, 1])
    b = run(tmp_path / "b", BASE, exact=[False, False, False, True], answers=[0, 1, 0, 1])
    found = read(a, b)
    assert found.outcome(a=True, b=False).tolist() == [0] and found.outcome(a=False, b=False).tolist() == [1, 2]
    row = found.records([0], a="LoRA", b="Full")[0]
    assert (row["Answer (LoRA)"], row["Answer (Full)"]) == ("right", "wrong")


def test_answers_that_are_no_closed_set_are_exact_or_not(tmp_path: Path) -> None:
    found = read(run(tmp_path, exact=[True, False, False, True]))
    assert [row["Answer (run)"] for row in found.records([0, 1])] == ["exact", "not exact"]


def test_other_rows_and_other_tokens_are_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a")
    with pytest.raises(NotFoundError, match="same rows"):
        token_rows.of_run(a, other=run(tmp_path / "b", first=7))
    with pytest.raises(NotFoundError, match="same tokens"):
        token_rows.of_run(a, other=run(tmp_path / "c", tokens=[2, 1, 0, 8]))
    with pytest.raises(NotFoundError, match="same rows"):
        token_rows.of_run(a, other=tmp_path / "gone")
    predictions.path(tmp_path / "b", "test").write_bytes(b"no table")
    with pytest.raises(DataError, match="damaged"):
        token_rows.of_run(a, other=tmp_path / "b")
    assert token_rows.of_run(tmp_path / "gone") is None


def test_they_are_taken_away_as_csv_beside_the_untouched_model(tmp_path: Path) -> None:
    write(predictions.base_path(run(tmp_path), "test"), BASE)
    lines = take_home.predictions_csv(tmp_path, {1: {"text": "Once upon a time"}}).decode().splitlines()
    assert lines[0].split(",") == ["split", "row_id", "Loss (run)", "Loss (untouched)", "Difference", "Taught tokens",
                                   "text"]
    assert lines[2].split(",") == ["test", "1", "2.0", "1.5", "0.5", "1", "Once upon a time"]
