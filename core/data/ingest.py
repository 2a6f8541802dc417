"""Write checked rows as an immutable, content-hashed dataset folder: `rows.parquet`, `dataset.json`, `report.json`."""

from __future__ import annotations

import dataclasses
import json
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import catalogue, found, meter, seal, versions
from core.data.check import Examined, Options, examine
from core.data.fetch import Progress, no_progress
from core.data.pictures.source import copy_pictures
from core.data.readers.table import Table
from core.data.report import ImportReport
from core.data.rows import Rows
from core.domain import codec
from core.domain.dataset import Content, Dataset, Shape, Task
from core.errors import DataError
from core.settings import Settings

ROWS, DATASET, REPORT = "rows.parquet", "dataset.json", "report.json"


def ingest(table: Table, *, roles: Mapping[str, str], name: str, settings: Settings, workspace: str, source: str = "",
           licence: str = "", options: Options | None = None, evidence: Mapping[str, str] | None = None, why: str = "",
           progress: Progress = no_progress) -> tuple[Dataset, ImportReport]:
    """Check a table and, when nothing forbids it, keep it as a dataset of the workspace.

    roles: column name -> `Role`. source: where it came from; the table's name when empty. progress: rows done of all
    rows. Equal content gives the dataset that is already there. Raises DataError when the report has an error finding.
    """
    progress(0, table.rows_read)
    examined = examine(table, roles=roles, settings=settings, options=options, evidence=evidence,
                       why=why)
    dataset = accept(examined, name=name, source=source or table.name, settings=settings, workspace=workspace,
                     licence=licence)
    progress(table.rows_read, table.rows_read)
    return dataset, examined.report


def accept(examined: Examined, *, name: str, source: str, settings: Settings, workspace: str,
           licence: str = "") -> Dataset:
    """Keep rows that were examined. Raises DataError when their report has an error finding."""
    examined.report.raise_errors()
    meter.report("writing", 0, examined.report.rows_kept)
    home = settings.workspace(workspace) / "datasets"
    dataset = write(examined, name=name, folder=home, source=_own_source(source), licence=licence)
    versions.show(home / dataset.id)
    return dataset


def _own_source(source: str) -> str:
    """A person's file may be called like a bundled set; the catalogue id stays the bundled set's."""
    return f"file {source}" if any(entry.id == source for entry in catalogue.DATASETS) else source


def write(examined: Examined, *, name: str, folder: Path, source: str, licence: str = "") -> Dataset:
    """Write the dataset folder `<folder>/<dataset id>` (a temporary one, then renamed) and return the dataset."""
    rows, report = examined.rows, examined.report
    digest = content_hash(rows, examined.split)
    dataset = Dataset(
        id=digest[:16], name=clean_name(name), content_hash=digest, classes=rows.classes,
        task=Task.on(Content.TEXT if rows.pictures is None else Content.PICTURE, labelled=rows.shape is None),
        shape=rows.shape or Shape.TEXT, groups=report.groups,
        answers=report.answers,
        counts=report.splits, source=source, licence=licence, rows_read=len(rows) + len(report.left_out),
        rows_kept=len(rows), columns=report.columns, mean_length=mean_chars(rows), created=time.time(),
        reading=examined.reading)
    target = folder / dataset.id
    if (target / DATASET).is_file():
        return read_as_now(target, dataset)
    with files.new_folder(target, last=DATASET) as new:
        content = {"text": rows.text}
        if rows.pictures is not None:
            copy_pictures(rows.pictures.path, source=rows.pictures.home, target=new)
            content = {"image": rows.pictures.path, "file": rows.pictures.name}
        write_rows(new / ROWS, row_id=rows.row_id, label=rows.label, split=examined.split, group=rows.group, **content)
        seal.write(new)
        found.write(new, examined.findings, examined.groups)
        files.write_json(new / REPORT, report.to_json())
        files.write_json(new / DATASET, codec.to_json(dataset))
    return read_dataset(target)


def read_as_now(target: Path, dataset: Dataset) -> Dataset:
    """The dataset that is there already, with the columns and the way of reading of the file that just gave the same
    rows.

    Runs keep those of their own time; new runs read new files like the file that was imported last.
    """
    known = read_dataset(target)
    if (known.columns, known.reading) == (dataset.columns, dataset.reading):
        return known
    updated = dataclasses.replace(known, columns=dataset.columns, reading=dataset.reading)
    files.write_json(target / DATASET, codec.to_json(updated))
    return updated


def write_rows(path: Path, *, row_id: Any, label: Any, split: Any, text: Any = None, image: Any = None,
               file: Any = None, group: Any = None) -> None:
    """Write `rows.parquet` with either `text`, or `image` and `file`; for its columns see `Dataset`. Rows whose labels
    are all −1 have no label column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = {"text": text.cast(pa.string())} if text is not None else {
        "image": pa.array(image, type=pa.string()), "file": pa.array(file, type=pa.string())}
    label = np.asarray(label, dtype=np.int32)
    more = {} if len(label) and (label < 0).all() else {"label": pa.array(label)}
    grouped = {} if group is None else {"group": pa.array(np.asarray(group), type=pa.int32())}
    table = pa.table({"row_id": pa.array(row_id, type=pa.int64()), **content, **more,
                      "split": pa.array(np.asarray(split).tolist(), type=pa.string()), **grouped})
    pq.write_table(table, path, compression="zstd", row_group_size=16_384, use_dictionary=["split"])


def read_dataset(folder: Path) -> Dataset:
    """The `Dataset` of a dataset folder. Raises DataError, naming the file, when it cannot be read."""
    try:
        return codec.read(Dataset, json.loads((folder / DATASET).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"The dataset in the folder {folder.name} cannot be read.",
                        why=f"{DATASET} in it is damaged ({str(error)[:120]}).",
                        remedy="Delete it on the Data page and import it again; other datasets "
                               "are not affected.") from error


def content_hash(rows: Rows, split: Any) -> str:
    """SHA-256 (hex) over row ids, texts (or digests of the pixels), label names and splits, in row order."""
    contents = rows.text.to_pylist() if rows.pictures is None else rows.pictures.digest
    names = [*rows.classes, ""]                                      # the last is that of rows without a label
    groups = None if rows.group is None else rows.group.tolist()
    return seal.row_hash(rows.row_id.tolist(), contents, (names[label] for label in rows.label.tolist()), split, groups)


def mean_chars(rows: Rows) -> float:
    """Mean characters a text; 0 for pictures."""
    import pyarrow.compute as pc

    if rows.pictures is not None:
        return 0.0
    return float(pc.mean(pc.utf8_length(rows.text)).as_py() or 0.0)


def clean_name(name: str, *, max_chars: int = 80) -> str:
    """A name for display without control and direction-changing characters; markup stays, for pages to escape."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in name)
    return " ".join(kept.split())[:max_chars] or "untitled"
