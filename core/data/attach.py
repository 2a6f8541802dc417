"""Attach a second labelled dataset as the shift set of a first: evaluated on in every run, never trained on."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data import library
from core.data.ingest import DATASET, ROWS, publish, read_dataset, write_json, write_rows
from core.domain import codec
from core.domain.dataset import Dataset, Split
from core.errors import DataError
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Attached:
    """The new dataset, and what of the second one could not be used."""

    dataset: Dataset
    unmatched: dict[str, int]
    """Class of the second set that the first does not have -> rows left out."""


def attach(dataset: Dataset, shift: Dataset, *, settings: Settings, workspace: str) -> Attached:
    """A dataset with the rows of `dataset` and, as its shift split, all rows of `shift` whose class has a namesake.

    Class names match without regard to case and surrounding spaces. Both stay as they are. Raises DataError when no class matches.
    """
    import numpy as np
    import pyarrow as pa

    known = {name.strip().casefold(): index for index, name in enumerate(dataset.classes)}
    index_of = np.array([known.get(name.strip().casefold(), -1) for name in shift.classes], dtype=np.int32)
    if not (index_of >= 0).any():
        raise DataError("The shift set shares no class with the dataset.",
                        why=f"Its classes are {', '.join(shift.classes[:10])}; the dataset's are {', '.join(dataset.classes[:10])}.",
                        remedy="Give it the same class names, then attach it again.")
    own = library.read_rows(dataset, settings=settings, workspace=workspace)
    other = library.read_rows(shift, settings=settings, workspace=workspace)
    own = own.filter(pa.array(np.array(own["split"].to_pylist()) != Split.SHIFT.value))
    labels = index_of[other["label"].to_numpy()]
    unmatched = {name: int((other["label"].to_numpy() == i).sum()) for i, name in enumerate(shift.classes) if index_of[i] < 0}
    other, labels = other.filter(pa.array(labels >= 0)), labels[labels >= 0]
    first_id = int(own["row_id"].to_numpy().max(initial=-1)) + 1
    columns = {
        "row_id": np.concatenate([own["row_id"].to_numpy(), first_id + np.arange(len(other))]),
        "text": pa.chunked_array([*own["text"].chunks, *other["text"].chunks], type=pa.string()),
        "label": np.concatenate([own["label"].to_numpy(), labels]),
        "split": [*own["split"].to_pylist(), *([Split.SHIFT.value] * len(other))],
    }
    digest = hashlib.sha256(f"{dataset.content_hash}+{shift.content_hash}".encode()).hexdigest()
    counts = {split: found for split, found in dataset.counts.items() if split != Split.SHIFT.value}
    counts[Split.SHIFT.value] = {name: int((labels == i).sum()) for i, name in enumerate(dataset.classes)}
    made = dataclasses.replace(dataset, id=digest[:16], name=f"{dataset.name}, shift: {shift.name}", content_hash=digest, counts=counts,
                               source=f"{dataset.source} + {shift.source}", rows_read=dataset.rows_read + shift.rows_kept,
                               rows_kept=dataset.rows_kept + len(other), created=time.time())
    return Attached(dataset=_write(made, columns, settings.workspace(workspace) / "datasets"), unmatched=unmatched)


def _write(dataset: Dataset, columns: dict[str, Any], folder: Path) -> Dataset:
    target = folder / dataset.id
    if (target / DATASET).is_file():
        return read_dataset(target)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    try:
        write_rows(temporary / ROWS, row_id=columns["row_id"], text=columns["text"], label=columns["label"], split=columns["split"])
        write_json(temporary / DATASET, codec.to_json(dataset))
        publish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_dataset(target)
