"""What a run left of its predictions, and the metrics that an older result does not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.analysis import predictions
from core.domain.run import Interval, Result
from core.metrics import OF_CLASSES, Judged, Need, measure

KEPT = Interval(value=0.5, low=0.25, high=0.75)
LABELS = np.arange(40) % 3
GUESSES = np.where(np.arange(40) < 8, (LABELS + 1) % 3, LABELS)
PROBABILITIES = np.full((40, 3), 0.1) + 0.7 * np.eye(3)[GUESSES]
ALL = {metric.name for metric in OF_CLASSES}
OF_TABLES = {metric.name for metric in OF_CLASSES if metric.needs <= {Need.LABELS, Need.PREDICTIONS}}


def write(folder: Path, split: str, *, probabilities: bool = True) -> None:
    order = np.random.default_rng(0).permutation(40)
    data = {"row_id": order, "label": LABELS[order].astype(np.int32), "prediction": GUESSES[order].astype(np.int32)}
    more = {"probabilities": PROBABILITIES[order].tolist()} if probabilities else {}
    pq.write_table(pa.table(data | more), predictions.path(folder, split))


def result(metrics: dict[str, dict[str, Interval]]) -> Result:
    return Result(metrics=metrics, trainable_params=1, total_params=2, seconds=1.0, phase_seconds={},
                  peak_memory_bytes=1, estimated_memory_bytes=1, artifact_bytes=1, steps=1, samples=1, precision="fp32",
                  device="cpu")


def test_rows_come_by_id_with_what_their_file_holds(tmp_path: Path) -> None:
    write(tmp_path, "test")
    found = predictions.read(tmp_path, "test")
    assert found is not None and found.row_ids.tolist() == list(range(40))
    assert (found.judged.of(Need.LABELS).tolist() == LABELS.tolist() and found.judged.of(Need.PREDICTIONS).tolist()
            == GUESSES.tolist())
    np.testing.assert_allclose(found.judged.of(Need.PROBABILITIES), PROBABILITIES)
    write(tmp_path, "shift", probabilities=False)
    other = predictions.read(tmp_path, "shift")
    assert other is not None and other.judged.probabilities is None and other.same_rows(found)


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None])
def test_no_file_and_a_damaged_one_are_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        predictions.path(tmp_path, "test").write_bytes(content)
    assert predictions.read(tmp_path, "test") is None
    assert predictions.complete(result({"test": {"accuracy": KEPT}}), tmp_path).metrics == {"test": {"accuracy": KEPT}}


def test_an_older_result_gains_metrics_and_keeps_its_own_numbers(tmp_path: Path) -> None:
    for split in ("test", "validation"):
        write(tmp_path, split)
    found = predictions.complete(result({"test": {"accuracy": KEPT, "of_another_version": KEPT}}), tmp_path).metrics
    fresh = measure(Judged(labels=LABELS, predictions=GUESSES, probabilities=PROBABILITIES))
    assert found == {"test": fresh | {"accuracy": KEPT, "of_another_version": KEPT}, "validation": fresh}
    assert set(fresh) == ALL


def test_predictions_without_probabilities_give_what_they_can(tmp_path: Path) -> None:
    write(tmp_path, "test", probabilities=False)
    assert set(predictions.complete(result({}), tmp_path).metrics["test"]) == OF_TABLES


def test_predictions_that_change_are_measured_again(tmp_path: Path) -> None:
    write(tmp_path, "test")
    first = predictions.complete(result({}), tmp_path).metrics["test"]["accuracy"].value
    rows = {"row_id": range(41), "label": [0] * 41, "prediction": [0] * 41}
    pq.write_table(pa.table(rows), predictions.path(tmp_path, "test"))
    assert first == 32 / 40 and predictions.complete(result({}), tmp_path).metrics["test"]["accuracy"].value == 1.0
