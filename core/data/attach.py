"""Attach one dataset to another as its shift set: rows of another domain, only ever evaluated on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import duplicates, library, seal
from core.data import labels as labels_of
from core.data.ingest import DATASET, REPORT, ROWS, read_as_now, read_dataset, write_rows
from core.data.pictures.depth import describe
from core.data.pictures.source import copy_pictures
from core.data.report import INFO, WARNING, Finding, ImportReport, several
from core.domain import codec
from core.domain.dataset import Dataset, Split
from core.errors import DataError
from core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Attached:
    """The new dataset, and how the labels of the shift set met its classes."""

    dataset: Dataset
    matched: dict[str, str]
    """label of the shift set -> class of the dataset."""
    unmatched: dict[str, int]
    """label of the shift set without a class -> rows left out."""
    repeated: int
    """Shift rows whose text or picture is also that of a training row."""


def match_labels(labels: tuple[str, ...], classes: tuple[str, ...],
                 given: Mapping[str, str] | None = None) -> dict[str, str]:
    """label -> class for labels that have one: by hand (`given`), else equal, else the only class that looks the same
    (`labels.key`).

    Raises DataError when `given` names a class that does not exist.
    """
    matched = labels_of.match(labels, classes)
    for label, name in (given or {}).items():
        if name not in classes:
            raise DataError(f"There is no class {name[:60]!r} to match {label[:60]!r} with.",
                            why=f"The classes are: {', '.join(classes[:20])}.", remedy="Choose one of these.")
        if label in labels:
            matched[label] = name
    return matched


def attach(dataset: Dataset, other: Dataset, *, settings: Settings, workspace: str,
           labels: Mapping[str, str] | None = None) -> Attached:
    """A new dataset: the rows of `dataset` with their splits, and all rows of `other` with a matched label as its shift
    set.

    Row ids of the shift set go on after the largest of the dataset. labels: matches chosen by hand, shift label ->
    class. The same pair gives the same dataset. Raises DataError when no label matches or `dataset` has a shift set
    already.
    """
    places = [library.folder(part, settings=settings, workspace=workspace) for part in (dataset, other)]
    return join(dataset, other, places=(places[0], places[1]), home=settings.workspace(workspace) / "datasets",
                labels=labels, name=f"{dataset.name} + {other.name}"[:80],
                source=f"{dataset.source} with shift set {other.source}")


def join(dataset: Dataset, other: Dataset, *, places: tuple[Path, Path], home: Path, name: str, source: str,
         labels: Mapping[str, str] | None = None) -> Attached:
    """`attach` for dataset folders anywhere: `places` are those of the two, the new one is made below `home`."""
    import pyarrow as pa

    if dataset.rows(Split.SHIFT):
        raise DataError(f"{dataset.name} already has a shift set.",
                        remedy="Attach to the dataset it was made from instead.")
    if dataset.task != other.task:
        raise DataError(f"{other.name} cannot be the shift set of {dataset.name}.",
                        why="One holds texts, the other pictures.", remedy="Choose a shift set of the same kind.")
    base, shift = library.rows_of(places[0], dataset), library.rows_of(places[1], other)
    matched = match_labels(other.classes, dataset.classes, labels)
    if not matched:
        raise DataError(f"No label of {other.name} is a class of {dataset.name}.",
                        why=f"One has {', '.join(other.classes[:8])}; the other {', '.join(dataset.classes[:8])}.",
                        remedy="Rename the labels of one of the two so that they agree, or choose the matches by hand.")
    lookup = np.asarray([dataset.classes.index(matched[name]) if name in matched else -1 for name in other.classes],
                        dtype=np.int32)
    label = lookup[shift["label"].to_numpy()]
    unmatched = Counter(other.classes[i] for i in shift["label"].to_numpy()[label < 0].tolist())
    shift, label = shift.filter(pa.array(label >= 0)), label[label >= 0]
    start = int(base["row_id"].to_numpy().max(initial=0))
    contents = [column for column in ("text", "image", "file") if column in base.column_names]
    joined = {"row_id": np.concatenate([base["row_id"].to_numpy(), start + shift["row_id"].to_numpy()]),
              **{c: pa.chunked_array([*base[c].chunks, *shift[c].chunks], type=pa.string()) for c in contents},
              "label": np.concatenate([base["label"].to_numpy(), label]),
              "split": np.concatenate([np.asarray(base["split"].to_pylist()), np.full(len(label), Split.SHIFT.value)])}
    repeated = _repeated(base, shift)
    result = _write(dataset, other, joined, label, places=places, home=home, name=name, source=source,
                    findings=(*_findings(other, len(label), unmatched, repeated), *_other_depth(dataset, other)))
    return Attached(dataset=result, matched=matched, unmatched=dict(unmatched), repeated=repeated)


def _repeated(base: Any, shift: Any) -> int:
    """Shift rows whose text (or picture) is also one of the training rows."""
    import pyarrow.compute as pc

    content = "text" if "text" in base.column_names else "image"     # pictures are named after their pixels
    train = {duplicates.normalise(text)
             for text in base.filter(pc.equal(base["split"], Split.TRAIN.value))[content].to_pylist()}
    return sum(duplicates.normalise(text) in train for text in shift[content].to_pylist())


def _other_depth(dataset: Dataset, other: Dataset) -> tuple[Finding, ...]:
    """A finding where pictures of more than 8 bits were brought to 8 differently in the two datasets."""
    if dataset.reading is None or other.reading is None:
        return ()
    own, its = dataset.reading.depth, other.reading.depth
    if all(None in (a, b) or a == b for a, b in ((own.whole, its.whole), (own.real, its.real))):
        return ()
    return (Finding(code="shift-depth", severity=WARNING, count=1,
                    message=f"Black and white mean other values in {other.name}: {describe(its)} there, "
                            f"{describe(own)} here.",
                    remedy="Import its file anew as the shift set of this dataset, and its pictures are "
                           "read like these."),)


def _findings(other: Dataset, kept: int, unmatched: Counter[str], repeated: int) -> tuple[Finding, ...]:
    found = [Finding(code="shift-set", severity=INFO, count=kept,
                     message=several(kept, "row", "rows") + f" of {other.name} make its shift set.",
                     remedy="Nothing to do: every run is evaluated on them, none is trained on them.")]
    if unmatched:
        shown = ", ".join(f"{name[:40]} ({count:,})" for name, count in unmatched.most_common(5))
        found.append(Finding(code="shift-unmatched", severity=WARNING, count=sum(unmatched.values()), example=shown,
                             message=several(sum(unmatched.values()), "row", "rows")
                                     + f" of {other.name} left out: the label is no class here.",
                             remedy="Match these labels by hand if they mean one of the classes."))
    if repeated:
        found.append(Finding(code="shift-leakage", severity=WARNING, count=repeated,
                             message=several(repeated, "shift row has", "shift rows have")
                                     + " the content of a training row: scores there would be too high.",
                             remedy="Take these rows out of the shift set and attach it again."))
    return tuple(found)


def _write(dataset: Dataset, other: Dataset, rows: dict[str, Any], label: Any, *, places: tuple[Path, Path], home: Path,
           name: str, source: str, findings: tuple[Finding, ...]) -> Dataset:
    counts = Counter(label.tolist())
    digest = hashlib.sha256(f"{dataset.content_hash} shift {other.content_hash} {sorted(counts.items())}".encode())
    digest.update(rows["label"].astype("<i4").tobytes())
    result = dataclasses.replace(
        dataset, id=digest.hexdigest()[:16], content_hash=digest.hexdigest(), name=name, created=time.time(),
        source=source, rows_read=dataset.rows_read + other.rows_read,
        rows_kept=len(rows["row_id"]),
        counts={**dataset.counts, Split.SHIFT.value: {n: counts[i] for i, n in enumerate(dataset.classes)}})
    target = home / result.id
    if (target / DATASET).is_file():
        return read_as_now(target, result)
    with files.new_folder(target, last=DATASET) as folder:
        write_rows(folder / ROWS, **rows)
        if "image" in rows:
            own = rows["image"].to_pylist()
            for place, paths in zip(places, (own[: -len(label)], own[-len(label):]), strict=True):
                copy_pictures(paths, source=place, target=folder)
        seal.write(folder)
        report = _report(places[0], dataset, result)
        report = dataclasses.replace(report, findings=(*findings, *report.findings))
        files.write_json(folder / REPORT, report.to_json())
        files.write_json(folder / DATASET, codec.to_json(result))
    return read_dataset(target)


def _report(place: Path, dataset: Dataset, result: Dataset) -> ImportReport:
    """The report of the dataset it was made from, with the new splits."""
    try:
        report = ImportReport.from_json(json.loads((place / REPORT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        report = ImportReport(source=dataset.source, rows_read=dataset.rows_read, rows_kept=dataset.rows_kept)
    return dataclasses.replace(report, splits=result.counts)
