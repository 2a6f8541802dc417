"""Known answers: logits drawn to be right, then blown up threefold, are three times too sure; temperature mends it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from core.analysis import calibration, predictions, reliability
from core.domain.dataset import Split
from core.metrics import Judged
from core.plots import reliability as plots


def written(folder: Path, split: Split, rows: int, blown_up: float, seed: int) -> float:
    """Predictions whose confidence was right before it was blown up; returns their calibration error by hand."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (rows, 3))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (random.random((rows, 1)) > true.cumsum(1)).sum(1)
    said = calibration.scaled(true, 1 / blown_up)
    table = pa.table({"row_id": np.arange(rows), "label": labels, "prediction": said.argmax(1),
                      "probabilities": pa.array(list(said.astype(np.float32)), pa.list_(pa.float32()))})
    parquet.write_table(table, predictions.path(folder, split))
    confidence, right = said.max(1), said.argmax(1) == labels
    edges = np.linspace(0, 1, 16)
    inside = [(confidence > low) & (confidence <= high) for low, high in pairwise(edges)]
    return sum(abs(right[rows_].mean() - confidence[rows_].mean()) * rows_.mean() for rows_ in inside if rows_.any())


def test_a_model_that_is_three_times_too_sure_is_mended_by_its_temperature(tmp_path: Path) -> None:
    written(tmp_path, Split.VALIDATION, 4000, 3.0, 0)
    by_hand = written(tmp_path, Split.TEST, 4000, 3.0, 1)
    found = reliability.of_run(tmp_path)
    assert found is not None and found.temperature == pytest.approx(3, rel=0.1)
    assert found.error.value == pytest.approx(by_hand, abs=1e-6) and found.error.value > 0.1
    assert found.scaled_error is not None and found.scaled_error.value < 0.04
    assert sum(each.rows for each in found.bins) == sum(each.rows for each in found.scaled_bins) == found.rows == 4000
    assert found.bins[-1].confidence > 0.95 and found.bins[-1].right.high < 0.9  # too sure
    near = [each for each in found.scaled_bins if each.rows > 200]
    assert near and all(abs(each.confidence - each.right.value) < 0.1 for each in near)
    said = plots.sentence("a run", found)
    assert f"temperature {found.temperature:.2f}" in said
    chart = plots.chart({"a run": found})
    lines = [trace for trace in chart.figure.data if trace.mode == "lines+markers"]
    assert [len(trace.x) for trace in lines] == [len(found.bins), len(found.scaled_bins)]
    titles = [axis.title.text for axis in (chart.figure.layout.xaxis, chart.figure.layout.xaxis2)]
    assert all(len(line) < 20 for title in titles for line in title.split("<br>")), "side by side on a phone"
    assert lines[0].error_y.color == lines[0].line.color
    many = plots.chart(dict.fromkeys(("a", "b", "c"), found)).figure.data
    assert all(trace.error_y.color.startswith("rgba") for trace in many if trace.mode == "lines+markers"), "faint"


def test_without_enough_validation_rows_there_is_no_temperature(tmp_path: Path) -> None:
    assert reliability.of_run(tmp_path) is None
    written(tmp_path, Split.TEST, 50, 1.0, 1)
    found = reliability.of_run(tmp_path)
    assert found is not None and found.temperature is None and found.scaled_error is None and found.bins
    assert "too few validation rows" in plots.sentence("a run", found)


def test_a_bin_has_wilsons_interval() -> None:
    """8 of 10 right: 0.490 to 0.943 (Wilson 1927)."""
    probabilities = np.tile([0.9, 0.1], (10, 1))
    labels = np.array([0] * 8 + [1] * 2)
    judged = Judged(labels=labels, predictions=np.zeros(10, int), probabilities=probabilities)
    (only,) = reliability.of_rows(judged).bins
    assert (only.rows, only.confidence) == (10, pytest.approx(0.9))
    assert only.right.value == 0.8
    assert (only.right.low, only.right.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
