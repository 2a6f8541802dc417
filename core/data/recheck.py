"""Check the rows of a dataset that is kept: after a mend, and where a report of an earlier version names examples
only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import duplicates, found, library, meter, picture_duplicates
from core.data.check import default_tokenizer
from core.data.checks import registry, shift
from core.data.checks.context import Context
from core.data.conversations import shown
from core.data.found import Groups
from core.data.ingest import REPORT
from core.data.pictures.source import DecodedPictures, PictureSource
from core.data.report import ERROR, INFO, WARNING, Finding, ImportReport
from core.data.rows import Rows
from core.data.versions import by_class
from core.domain.dataset import Dataset, Split
from core.errors import DataError
from core.settings import Settings


@dataclass(frozen=True, kw_only=True, eq=False)
class Checked:
    """What the checks say of kept rows."""

    findings: tuple[Finding, ...]
    """With all of their rows."""
    groups: Groups


ON_ROWS = frozenset({
    "no-rows", "one-class", "continuous-label", "one-row-per-class", "too-many-classes", "too-few-rows",
    "untrained-classes", "no-validation-rows", "no-test-rows", "leakage", "near-leakage", "label-in-text",
    "contradicting-labels", "label-spelling", "several-labels", "null-word-class", "rare-classes", "few-rows",
    "imbalance", "very-long-texts", "very-short-texts", "html-codes", "length", "exact-duplicates", "near-duplicates",
    "label-noise",
    "prompt-leakage", "prompt-with-answers", "closed-answers", "template-text", "licence-text", "mixed-languages",
    "blank-pictures", "small-pictures", "stretched-pictures", *shift.CODES})
"""Findings that kept rows alone can tell; all others need the file, and stay as its import left them."""
_RANK = {ERROR: 0, WARNING: 1, INFO: 2}


def check_rows(table: Any, dataset: Dataset, *, place: Path, settings: Settings,
               groups: Groups | None = None) -> Checked:
    """Run the checks on these rows of a dataset, the shift set on its own.

    table: as `library.read_rows` gives it; labels are indices into `dataset.classes`. place: the folder of the
    pictures. groups: of these rows, where they are known.
    """
    content, labelled = "text" if "text" in table.column_names else "file", dataset.task.labelled
    split, label = np.asarray(table["split"].to_pylist(), dtype=object), table["label"].to_numpy()
    texts: list[str] = shown(table[content].to_pylist(), None if labelled else dataset.shape)
    pictures = _pictures(table, dataset, place=place, settings=settings) if content == "file" else None
    groups = groups or _groups(texts, pictures)
    at = np.flatnonzero(split != Split.SHIFT.value)
    part = table.take(at)
    kept = Rows(row_id=part["row_id"].to_numpy(), text=part[content], label=label[at], classes=dataset.classes,
                left_out=(), pictures=_take(pictures, at) if pictures else None,
                shape=None if labelled else dataset.shape,
                group=part["group"].to_numpy() if "group" in part.column_names else None)
    context = Context(rows=kept, texts=[texts[i] for i in at.tolist()], split=split[at].astype(str),
                      exact=groups.exact[at], near=groups.near[at], roles=dataset.columns,
                      tokenizer=default_tokenizer(settings))
    meter.report("checking", 0, len(at))
    counts = Counter(label[split == Split.SHIFT.value].tolist())
    about_shift = shift.findings(row_id=table["row_id"].to_numpy(), split=split, exact=groups.exact, near=groups.near,
                                 counts={name: counts[i] for i, name in enumerate(dataset.classes)}
                                 if labelled else {"": counts[-1]})
    every = (*about_shift, *registry.run(context, thorough=True))
    return Checked(findings=tuple(f for f in every if f.code in ON_ROWS), groups=groups)


def report(old: ImportReport, checked: Checked, dataset: Dataset) -> tuple[ImportReport, tuple[Finding, ...]]:
    """(The report of these rows, its findings with all of their rows): what the checks say now, and what only the file
    could tell as it was said then."""
    from_file = tuple(finding for finding in old.findings if finding.code not in ON_ROWS)
    every = tuple(sorted((*checked.findings, *from_file), key=lambda finding: _RANK[finding.severity]))
    classes = Counter(by_class(dataset.counts, without_shift=True))
    return dataclasses.replace(old, findings=found.trimmed(every), splits=dataset.counts,
                               classes=dict(classes.most_common())), every


def dataset(known: Dataset, *, settings: Settings, workspace: str) -> ImportReport:
    """Check a dataset again and keep which rows each finding is about; its rows stay as they are."""
    place = library.folder(known, settings=settings, workspace=workspace)
    library.verify(known, settings=settings, workspace=workspace)
    checked = check_rows(library.rows_of(place, known), known, place=place, settings=settings)
    new, every = report(library.read_report_or_none(known, settings=settings, workspace=workspace)
                        or ImportReport(source=known.source, rows_read=known.rows_read, rows_kept=known.rows_kept),
                        checked, known)
    found.write(place, every, checked.groups)
    files.write_json(place / REPORT, new.to_json())
    return new


def _groups(texts: list[str], pictures: DecodedPictures | None) -> Groups:
    meter.report("looking for duplicates", 0, len(texts))
    if pictures is not None:
        exact = picture_duplicates.exact_groups(pictures)
        return Groups(exact=exact, near=picture_duplicates.near_groups(pictures, exact))
    exact = duplicates.exact_groups(texts)
    return Groups(exact=exact, near=duplicates.near_groups(texts, exact))


def _pictures(table: Any, known: Dataset, *, place: Path, settings: Settings) -> DecodedPictures:
    """What checks need to know of the pictures in a dataset's folder. Raises DataError when one cannot be read."""
    paths = table["image"].to_pylist()
    source = PictureSource(paths, lambda name: (place / name).read_bytes())
    decoded, failed = source.decode(paths, max_pixels=settings.max_pixels,
                                    depth=known.reading.depth if known.reading else None)
    if failed:
        raise DataError(f"A picture of {known.name} cannot be read.", why=next(iter(failed.values())),
                        remedy="Import the file again.")
    return dataclasses.replace(decoded, path=tuple(paths), name=tuple(table["file"].to_pylist()))


def _take(pictures: DecodedPictures, at: Any) -> DecodedPictures:
    """Some of the pictures."""
    def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(values[i] for i in at.tolist())

    return dataclasses.replace(pictures, path=some(pictures.path), name=some(pictures.name),
                               digest=some(pictures.digest), size=pictures.size[at], thumb=pictures.thumb[at],
                               likeness=pictures.likeness[at], spread=pictures.spread[at],
                               changes=some(pictures.changes))
