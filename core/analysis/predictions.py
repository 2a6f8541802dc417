"""What a run left of its predictions: rows as its task judged them, and metrics that its result does not hold."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.analysis import damage
from core.domain.dataset import Split
from core.domain.run import Interval, Result
from core.errors import DataError
from core.metrics import METRICS, OF_CLASSES, Judged, measure


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """The rows of one split, by row id."""

    row_ids: np.ndarray
    """(n_rows,) ascending."""
    judged: Judged

    def same_rows(self, other: Predictions) -> bool:
        """Whether both are of the same rows with the same labels."""
        labels, others = self.judged.labels, other.judged.labels
        same = labels is others if labels is None or others is None else np.array_equal(labels, others)
        return same and np.array_equal(self.row_ids, other.row_ids)


def path(folder: Path, split: str) -> Path:
    """Where a run keeps the predictions of a split."""
    return folder / f"predictions-{split}.parquet"


def read(folder: Path, split: str) -> Predictions | None:
    """The predictions of a run folder; None when it has none of that split.

    Those that cannot be read are None too; `damage.of_run` names them.
    """
    return _read(path(folder, split))


def base_path(folder: Path, split: str) -> Path:
    """Where a run keeps what the untouched model says of the same rows."""
    return folder / f"base-predictions-{split}.parquet"


def read_base(folder: Path, split: str) -> Predictions | None:
    """The same rows as the untouched model answers them, where a run kept that."""
    return _read(base_path(folder, split))


def read_other(folder: Path, split: str) -> Predictions | None:
    """As `read`, of a run that another is held against. Raises DataError where they are damaged."""
    found, file = read(folder, split), path(folder, split).name
    if found is None and (why := damage.of_run(folder).get(file)):
        raise DataError("The predictions of the other run cannot be read.", why=f"{file} is damaged: {why}.",
                        remedy="Fork that run to make them anew, or choose another.")
    return found


def _read(file: Path) -> Predictions | None:
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(file).sort_by("row_id") if file.is_file() else None
        if table is None or not len(table):
            return None
        judged = _of_tokens(table) if "tokens" in table.column_names else Judged(
            labels=table["label"].to_numpy(), predictions=table["prediction"].to_numpy(),
            probabilities=_probabilities(table))
        return Predictions(row_ids=table["row_id"].to_numpy(), judged=judged)
    except (OSError, ValueError, KeyError, DataError):  # pyarrow's ArrowInvalid is a ValueError
        return None


def complete(result: Result, folder: Path) -> Result:
    """The result with the metrics that the version which made the run did not know, from the run's predictions."""
    found = dict(result.metrics)
    for split in (Split.TEST, Split.SHIFT, Split.VALIDATION):
        kept = found.get(split.value, {})
        if all(metric.name in kept for metric in OF_CLASSES):
            continue
        if fresh := _measured(folder, split.value):
            both = fresh | kept
            order = dict.fromkeys((*(metric.name for metric in METRICS), *kept))
            found[split.value] = {name: both[name] for name in order if name in both}
    return dataclasses.replace(result, metrics=found)


def _measured(folder: Path, split: str) -> dict[str, Interval]:
    try:
        stamp = path(folder, split).stat()
    except OSError:
        return {}
    return _measured_once(folder, split, stamp.st_mtime_ns, stamp.st_size)


@functools.lru_cache(maxsize=1024)
def _measured_once(folder: Path, split: str, modified_ns: int, size_bytes: int) -> dict[str, Interval]:
    """The time and the size of the file are part of the key."""
    found = read(folder, split)
    return measure(found.judged) if found is not None else {}


def _of_tokens(table: Any) -> Judged:
    """Rows of a language model."""
    def column(name: str) -> np.ndarray | None:
        return table[name].to_numpy() if name in table.column_names else None

    return Judged(losses=table["loss"].to_numpy(), tokens=table["tokens"].to_numpy(), bytes=column("bytes"),
                  right=column("right"), exact=column("exact"), ends=column("ends"), answers=column("answer"),
                  groups=column("group"))


def _probabilities(table: Any) -> np.ndarray | None:
    """(n_rows, n_classes); None where the rows have none, or not as many each."""
    if "probabilities" not in table.column_names:
        return None
    values = table["probabilities"].combine_chunks().flatten().to_numpy()
    return values.reshape(len(table), -1) if len(values) and len(values) % len(table) == 0 else None
