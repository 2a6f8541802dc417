"""Mend a dataset in place: carry out chosen steps on its rows, check what is left, and put the new dataset where the
old one was in the list."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import found, library, mends, meter, recheck, seal, versions
from core.data.ingest import DATASET, REPORT, ROWS, read_dataset, write_rows
from core.data.pictures.source import copy_pictures
from core.data.report import ImportReport, LeftOut
from core.data.splits import NAMES
from core.data.versions import Changes
from core.domain import codec
from core.domain.dataset import Dataset, Split
from core.errors import DataError, NotFoundError
from core.settings import Settings

MENDED = ", mended"
"""Behind the source of a dataset that was mended: it is no longer the file (or the bundled set) that it came from."""


def state(place: Path, dataset: Dataset) -> mends.State:
    """The rows of a dataset as mends see them, without their contents. Raises NotFoundError where it was not kept
    which rows are duplicates."""
    groups = found.groups(place)
    if groups is None:
        raise NotFoundError(f"It was not kept which rows of {dataset.name} are duplicates.",
                            why="It was imported by an earlier version.", remedy="Check its rows again first.")
    table = library.rows_of(place, dataset, columns=["row_id", "label", "split", "group"])
    names = np.asarray([*dataset.classes, ""], dtype=object)
    return mends.State(row_id=table["row_id"].to_numpy(), label=names[table["label"].to_numpy()],
                       split=np.asarray(table["split"].to_pylist(), dtype=object), exact=groups.exact,
                       near=groups.near, group=table["group"].to_numpy() if "group" in table.column_names else None,
                       why=np.full(table.num_rows, "", dtype=object))


def carried_out(start: mends.State, steps: Sequence[mends.Step], *, place: Path) -> mends.State:
    """The rows after these steps, in the order of the registry. Raises DataError for a step that does not exist."""
    order = list(mends.REGISTRY)
    for step in steps:
        mends.get(step.mend)
    now = start
    for step in sorted(steps, key=lambda step: order.index(step.mend)):
        now = mends.get(step.mend).apply(now, _meant(now, step, place))
    return now


def _meant(now: mends.State, step: mends.Step, place: Path) -> mends.Meant:
    of_finding = found.rows_of(place, step.finding) if step.finding else None
    ids = step.rows if step.rows is not None else of_finding.row_id if of_finding else ()
    suggested = (dict(zip(of_finding.row_id.tolist(), of_finding.suggested, strict=True)) if of_finding else {})
    return mends.Meant(rows=np.isin(now.row_id, np.asarray(ids, dtype=np.int64)), finding=step.finding,
                       suggested=suggested, classes=step.classes, name=step.name)


def changes(start: mends.State, end: mends.State, steps: Sequence[mends.Step] = ()) -> Changes:
    """What is otherwise in `end`: `rows_before == rows_after + dropped`."""
    kept = end.kept
    return Changes(before=_counts(start), after=_counts(end), steps=tuple(steps),
                   dropped=dict(Counter(str(reason) for reason in end.why[~kept]).most_common()),
                   relabelled=int((kept & (end.label != start.label)).sum()),
                   moved=int((kept & (end.split != start.split)).sum()))


def _counts(rows: mends.State) -> dict[str, dict[str, int]]:
    kept = rows.kept
    pairs = Counter(zip(rows.split[kept].tolist(), rows.label[kept].tolist(), strict=True))
    classes = sorted({label for _, label in pairs})
    return {split: {label: pairs[split, label] for label in classes} for split in (*NAMES, Split.SHIFT.value)
            if any(part == split for part, _ in pairs)}


def preview(dataset: Dataset, steps: Sequence[mends.Step], *, settings: Settings, workspace: str) -> Changes:
    """What these steps would change; reads no contents, so that pages can ask after every click."""
    place = library.folder(dataset, settings=settings, workspace=workspace)
    start = state(place, dataset)
    return changes(start, carried_out(start, steps, place=place), steps)


def mend(dataset: Dataset, steps: Sequence[mends.Step], *, settings: Settings, workspace: str) -> Dataset:
    """Carry out these steps: a new dataset in the place of this one, which stays on disk.

    Row ids stay. Raises DataError when nothing would change, or when what is left cannot be trained on.
    """
    place = library.folder(dataset, settings=settings, workspace=workspace)
    library.verify(dataset, settings=settings, workspace=workspace)
    start = state(place, dataset)
    end = carried_out(start, steps, place=place)
    changed = changes(start, end, steps)
    if changed.relabelled and not dataset.task.labelled:
        raise DataError("Rows for a language model have no labels.", why="What was chosen gives rows a label.",
                        remedy="Drop rows instead, or import the file as text classification.")
    if changed.nothing:
        raise DataError("Nothing would change.", why="No row is concerned by what was chosen.",
                        remedy="Choose something else, or go on with the data as it is.")
    new = _write(dataset, end, changed, place=place, settings=settings, workspace=workspace)
    versions.replace(place, new.id, changed)
    return new


def _write(dataset: Dataset, end: mends.State, changed: Changes, *, place: Path, settings: Settings,
           workspace: str) -> Dataset:
    import pyarrow as pa

    kept = np.flatnonzero(end.kept)
    classes = tuple(sorted(set(end.label[kept].tolist()) - {""}))
    number = {"": -1, **{name: index for index, name in enumerate(classes)}}
    table = library.rows_of(place, dataset).take(kept)
    label = np.asarray([number[name] for name in end.label[kept].tolist()], dtype=np.int32)
    split = end.split[kept].tolist()
    table = (table.set_column(table.column_names.index("label"), "label", pa.array(label))
             .set_column(table.column_names.index("split"), "split", pa.array(split, type=pa.string())))
    digest = _hash(table, classes)
    result = dataclasses.replace(
        dataset, id=digest[:16], content_hash=digest, classes=classes, counts=changed.after, rows_kept=len(kept),
        source=dataset.source.removesuffix(MENDED) + MENDED, created=time.time(), mean_length=_mean_chars(table))
    target = place.parent / result.id
    if (target / DATASET).is_file():
        return read_dataset(target)
    checked = recheck.check_rows(table, result, place=place, settings=settings,
                                 groups=found.Groups(exact=end.exact[kept], near=end.near[kept]))
    report, findings = recheck.report(_report(dataset, end, settings, workspace), checked, result)
    report.raise_errors()
    meter.report("writing", 0, len(kept))
    with files.new_folder(target, last=DATASET) as folder:
        write_rows(folder / ROWS, **{name: table[name].combine_chunks() if name == "text" else table[name].to_pylist()
                                     for name in table.column_names})
        if "image" in table.column_names:
            copy_pictures(table["image"].to_pylist(), source=place, target=folder)
        seal.write(folder)
        found.write(folder, findings, checked.groups)
        files.write_json(folder / REPORT, report.to_json())
        files.write_json(folder / DATASET, codec.to_json(result))
    return read_dataset(target)


def _hash(table: Any, classes: tuple[str, ...]) -> str:
    """SHA-256 over the rows; pictures are named after their pixels."""
    content = table["text" if "text" in table.column_names else "image"].to_pylist()
    names = [*classes, ""]                                           # the last is that of rows without a label
    groups = table["group"].to_pylist() if "group" in table.column_names else None
    return seal.row_hash(table["row_id"].to_pylist(), content, (names[i] for i in table["label"].to_pylist()),
                         table["split"].to_pylist(), groups)


def _mean_chars(table: Any) -> float:
    import pyarrow.compute as pc

    return float(pc.mean(pc.utf8_length(table["text"])).as_py() or 0.0) if "text" in table.column_names else 0.0


def _report(dataset: Dataset, end: mends.State, settings: Settings, workspace: str) -> ImportReport:
    """The report of the dataset before, with the rows that were dropped now among those left out."""
    old = (library.read_report_or_none(dataset, settings=settings, workspace=workspace)
           or ImportReport(source=dataset.source, rows_read=dataset.rows_read, rows_kept=dataset.rows_kept))
    dropped = np.flatnonzero(~end.kept)
    left_out = tuple(LeftOut(row=int(end.row_id[at]), reason=str(end.why[at])) for at in dropped.tolist())
    # where texts were cut, a row of the file has become several: from here on the passages are the rows
    read = old.rows_read - old.rows_kept + dataset.rows_kept
    return dataclasses.replace(old, rows_read=read, rows_kept=int(end.kept.sum()),
                               left_out=(*old.left_out, *left_out))
