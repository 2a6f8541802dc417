"""The datasets of a workspace: load, list, delete, read rows. Bundled sets may be named by their catalogue id."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.data import seal, versions
from core.data.ingest import REPORT, ROWS, read_dataset
from core.data.report import ImportReport
from core.domain.dataset import Dataset
from core.errors import DataError, NewerVersionError, NotFoundError
from core.files import remove_folder
from core.settings import Settings

log = logging.getLogger("thaw.data")


def folder(dataset: Dataset | str, *, settings: Settings, workspace: str) -> Path:
    """The folder of a dataset of the workspace. Raises NotFoundError for an id that could not be one."""
    dataset_id = dataset if isinstance(dataset, str) else dataset.id
    if not re.fullmatch(r"[0-9a-f]{16}", dataset_id):
        raise _missing(dataset_id)
    return _home(settings, workspace) / dataset_id


def find(ref: str, *, settings: Settings, workspace: str) -> Dataset | None:
    """The dataset with this id, or the bundled one with this catalogue id; None when the workspace does not have it."""
    if re.fullmatch(r"[0-9a-f]{16}", ref):
        path = folder(ref, settings=settings, workspace=workspace)
        return read_dataset(path) if path.is_dir() else None
    return next((dataset for dataset in list_datasets(settings=settings, workspace=workspace, replaced=True)
                 if dataset.source == ref), None)


def load(ref: str, *, settings: Settings, workspace: str) -> Dataset:
    """Like `find`; raises NotFoundError instead of returning None."""
    dataset = find(ref, settings=settings, workspace=workspace)
    if dataset is None:
        raise _missing(ref)
    return dataset


def list_datasets(*, settings: Settings, workspace: str, replaced: bool = False) -> list[Dataset]:
    """All datasets of the workspace that can be read, newest first; for the others see `damaged`.

    replaced: also those that another one has taken the place of (`core.data.versions`).
    """
    home = _home(settings, workspace)
    found = [dataset for dataset in _sorted_out(settings, workspace)[0]
             if replaced or versions.replaced(home / dataset.id) is None]
    return sorted(found, key=lambda dataset: (-dataset.created, dataset.id))


def damaged(*, settings: Settings, workspace: str) -> dict[str, str]:
    """Dataset folders that cannot be read: id -> why. They can be deleted."""
    return _sorted_out(settings, workspace)[1]


def _sorted_out(settings: Settings, workspace: str) -> tuple[list[Dataset], dict[str, str]]:
    sound, broken = [], {}
    for path in sorted(_home(settings, workspace).glob("*")):
        if not re.fullmatch(r"[0-9a-f]{16}", path.name):
            continue
        try:
            sound.append(read_dataset(path))
        except DataError as error:
            if path.is_dir():  # it may have been deleted meanwhile
                broken[path.name] = str(error) if isinstance(error, NewerVersionError) else error.why
    return sound, broken


def delete(ref: str, *, settings: Settings, workspace: str) -> None:
    """Remove a dataset, also a damaged one. What depends on it is the caller's to name. Raises NotFoundError."""
    known = ref if re.fullmatch(r"[0-9a-f]{16}", ref) else load(ref, settings=settings, workspace=workspace).id
    path = folder(known, settings=settings, workspace=workspace)
    versions.forget(path)
    if not remove_folder(path):
        raise _missing(ref)


def read_rows(dataset: Dataset, *, settings: Settings, workspace: str, split: str | None = None,
              columns: list[str] | None = None) -> Any:
    """The rows as a `pyarrow.Table` (row_id int64, text string, label int32, split string), all or of one split.

    Rows without labels have the label −1, and a column `group` where they are grouped.

    Rows of pictures have `image` (a path below the dataset folder) and `file` (its name in the archive) instead of
    `text`. Raises NotFoundError when the folder is gone, DataError when its file is damaged.
    """
    return rows_of(folder(dataset, settings=settings, workspace=workspace), dataset, split=split, columns=columns)


def verify(dataset: Dataset, *, settings: Settings, workspace: str, pictures: bool = True) -> None:
    """Raises DataError when the rows on disk are no longer those of the dataset's hash; see `seal.check`."""
    place = folder(dataset, settings=settings, workspace=workspace)
    if not (place / ROWS).is_file():
        raise _missing(dataset.id)
    seal.check(place, dataset, pictures=pictures)


def rows_of(place: Path, dataset: Dataset, *, split: str | None = None, columns: list[str] | None = None) -> Any:
    """`read_rows` of a dataset folder that is known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = place / ROWS
    if not path.is_file():
        raise _missing(dataset.id)
    try:
        there = None if columns is None else [name for name in columns if name in pq.read_schema(path).names]
        rows = pq.read_table(path, columns=there, filters=None if split is None else [("split", "==", str(split))])
        return _labelled(rows) if columns is None or "label" in columns else rows
    except (pa.ArrowException, OSError) as error:
        raise _damaged(dataset, error) from error


def scan(dataset: Dataset, *, settings: Settings, workspace: str) -> Iterator[Any]:
    """The rows as `pyarrow.Table`s of at most 4,096 rows, one after the other: for processes that must stay small.

    Raises what `read_rows` raises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder(dataset, settings=settings, workspace=workspace) / ROWS
    if not path.is_file():
        raise _missing(dataset.id)
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=4_096, use_threads=False):
                yield _labelled(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(dataset, error) from error


def _labelled(rows: Any) -> Any:
    """Rows without labels have the label −1."""
    import pyarrow as pa

    if "label" in rows.column_names:
        return rows
    return rows.append_column("label", pa.array(np.full(rows.num_rows, -1, dtype=np.int32)))


def read_report(dataset: Dataset, *, settings: Settings, workspace: str) -> ImportReport:
    """The import report that was made when the dataset was kept. Raises NotFoundError when it is gone."""
    path = folder(dataset, settings=settings, workspace=workspace) / REPORT
    if not path.is_file():
        raise _missing(dataset.id)
    try:
        return ImportReport.from_json(json.loads(path.read_text(encoding="utf-8")))
    except NewerVersionError:
        raise
    except Exception as error:
        log.exception("The import report of dataset %s cannot be read", dataset.id)
        raise DataError(f"The import report of {dataset.name} cannot be read.",
                        why=f"{REPORT} is damaged ({str(error)[:100]}).",
                        remedy="The dataset itself can be used. Import the file again to see "
                               "the report again.") from error


def read_report_or_none(dataset: Dataset, *, settings: Settings, workspace: str) -> ImportReport | None:
    """`read_report`; None where there is none, or it is damaged."""
    try:
        return read_report(dataset, settings=settings, workspace=workspace)
    except (NotFoundError, DataError):
        return None


def _home(settings: Settings, workspace: str) -> Path:
    return settings.workspace(workspace) / "datasets"


def _damaged(dataset: Dataset, error: Exception) -> DataError:
    return DataError(f"The rows of {dataset.name} cannot be read.", why=f"{ROWS} is damaged ({str(error)[:100]}).",
                     remedy="Delete this dataset and import it again.")


def _missing(ref: str) -> NotFoundError:
    return NotFoundError(f"This workspace has no dataset {ref[:60]!r}.",
                         why="It was deleted, belongs to another workspace, or was never imported.",
                         remedy="Choose a dataset from the list on the Data page, or import it again.")
