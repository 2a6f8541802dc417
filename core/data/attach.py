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
from typing import TYPE_CHECKING, Any

import numpy as np

from core import files
from core.data import duplicates, found, leaks, library, seal, versions
from core.data import labels as labels_of
from core.data.checks import shift as shift_checks
from core.data.conversations import asked_and_answered, shown
from core.data.found import Groups
from core.data.ingest import DATASET, REPORT, ROWS, read_as_now, read_dataset, write_rows
from core.data.pictures.depth import describe
from core.data.pictures.source import copy_pictures
from core.data.report import WARNING, Finding, ImportReport, LeftOut, several
from core.data.versions import Changes
from core.domain import codec
from core.domain.dataset import Dataset, Shape, Split
from core.errors import DataError
from core.settings import Settings

if TYPE_CHECKING:
    import numpy.typing as npt

    Mask = npt.NDArray[np.bool_]

Places = tuple[Path, Path]
"""The folders of a dataset and of what becomes its shift set."""


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """A shift set before it is attached: which of its rows would be kept, and what is to be said of them."""

    base: Any
    """The dataset's rows (`pyarrow.Table`)."""
    shift: Any
    """The rows that would be kept, numbered as in their own file."""
    label: Any
    """int32 (n_kept,): index into the dataset's classes."""
    matched: dict[str, str]
    unmatched: dict[str, int]
    groups: Groups
    """Of the dataset's rows and the kept ones behind them."""
    left_out: tuple[LeftOut, ...]
    """Rows that would not be kept: without a class here, or leaking."""
    counts: dict[str, int]
    """class -> rows, of every class of the dataset."""
    findings: tuple[Finding, ...]
    """About the shift set; rows as in its own file, twins as in the dataset."""

    @property
    def repeated(self) -> int:
        """Kept rows with the content of a training row."""
        return next((finding.count for finding in self.findings if finding.code == "shift-leakage"), 0)


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


def look(dataset: Dataset, other: Dataset, *, places: Places, labels: Mapping[str, str] | None = None,
         drop_leaks: bool = False) -> Look:
    """What the shift set would be; nothing is written. drop_leaks: leave out rows that repeat a training row.

    Raises DataError when no label matches, when the two hold different things, or `dataset` has a shift set already.
    """
    import pyarrow as pa

    if dataset.rows(Split.SHIFT):
        raise DataError(f"{dataset.name} already has a shift set.",
                        remedy="Take it off on the dataset's page first, or use the dataset from before.")
    _check_alike(dataset, other)
    matched = match_labels(other.classes, dataset.classes, labels)
    if not matched and dataset.task.labelled:
        raise DataError(f"No label of {other.name} is a class of {dataset.name}.",
                        why=f"One has {', '.join(other.classes[:8])}; the other {', '.join(dataset.classes[:8])}.",
                        remedy="Rename the labels of one of the two so that they agree, or choose the matches by hand.")
    base, shift = library.rows_of(places[0], dataset), library.rows_of(places[1], other)
    # the last entries are those of rows without a label, −1
    lookup = np.asarray([*(dataset.classes.index(matched[name]) if name in matched else -1 for name in other.classes),
                         -1], dtype=np.int32)
    named, label = shift["label"].to_numpy(), lookup[shift["label"].to_numpy()]
    groups, prompts = _groups(base, shift, places, dataset.shape), _prompts(base, shift, dataset)
    why = np.asarray([*(f"its label {name[:40]!r} is no class here" if name not in matched else ""
                        for name in other.classes), ""], dtype=object)[named]
    split = np.concatenate([np.asarray(base["split"].to_pylist()), np.full(len(label), Split.SHIFT.value)])
    if drop_leaks:
        leaking = np.concatenate(shift_checks.leaking(split, groups.exact, groups.near, prompts)) - base.num_rows
        why[leaking[why[leaking] == ""]] = "it repeats a training row"
    kept = np.asarray(why == "")
    every = np.concatenate([np.ones(base.num_rows, dtype=bool), kept])
    groups = Groups(exact=groups.exact[every], near=groups.near[every])
    unmatched = Counter(other.classes[i] for i in named[(label < 0) & (named >= 0)].tolist())
    ids = shift["row_id"].to_numpy()
    left_out = tuple(LeftOut(row=int(ids[at]), reason=str(why[at]), file=other.name)
                     for at in np.flatnonzero(~kept).tolist())
    shift, label = shift.filter(pa.array(kept)), label[kept]
    numbers = Counter(label.tolist())
    counts = {name: numbers[i] for i, name in (enumerate(dataset.classes) if dataset.task.labelled else [(-1, "")])}
    about = shift_checks.findings(row_id=np.concatenate([base["row_id"].to_numpy(), ids[kept]]), split=split[every],
                                  exact=groups.exact, near=groups.near, counts=counts, name=other.name,
                                  prompts=None if prompts is None else prompts[every])
    return Look(base=base, shift=shift, label=label, matched=matched, unmatched=dict(unmatched), groups=groups,
                left_out=left_out, counts=counts,
                findings=(*about, *_unmatched(other, unmatched), *_other_depth(dataset, other)))


def attach(dataset: Dataset, other: Dataset, *, settings: Settings, workspace: str,
           labels: Mapping[str, str] | None = None, place: Path | None = None, drop_leaks: bool = False,
           in_place: bool = False) -> Attached:
    """A new dataset: the rows of `dataset` with their splits, and all rows of `other` with a matched label as its shift
    set.

    Row ids of the shift set go on after the largest of the dataset. labels: matches chosen by hand, shift label ->
    class. place: the folder of `other` where it is none of the workspace's datasets. in_place: the new one is called
    like `dataset` and takes its place in the list. The same pair gives the same dataset. Raises what `look` raises.
    """
    places = (library.folder(dataset, settings=settings, workspace=workspace),
              place or library.folder(other, settings=settings, workspace=workspace))
    made = join(dataset, other, places=places, home=settings.workspace(workspace) / "datasets", labels=labels,
                name=dataset.name if in_place else f"{dataset.name} + {other.name}"[:80],
                source=f"{dataset.source} with shift set {other.source}", drop_leaks=drop_leaks)
    if in_place:
        versions.replace(places[0], made.dataset.id,
                         Changes(before=dataset.counts, after=made.dataset.counts,
                                 added=made.dataset.rows(Split.SHIFT)))
    return made


def join(dataset: Dataset, other: Dataset, *, places: Places, home: Path, name: str, source: str,
         labels: Mapping[str, str] | None = None, drop_leaks: bool = False) -> Attached:
    """`attach` for dataset folders anywhere: `places` are those of the two, the new one is made below `home`."""
    seen = look(dataset, other, places=places, labels=labels, drop_leaks=drop_leaks)
    if not len(seen.label):
        raise DataError(f"No row of {other.name} is left to attach.", why="All of them repeat training rows.",
                        remedy="Choose rows that the models have not been trained on.")
    result = _write(dataset, other, seen, places=places, home=home, name=name, source=source)
    return Attached(dataset=result, matched=seen.matched, unmatched=seen.unmatched, repeated=seen.repeated)


def report(other: Dataset, seen: Look, place: Path) -> ImportReport:
    """The report on a shift set before it is attached: its own rows, and what matters of them."""
    own = _report(place, other)
    return dataclasses.replace(own, rows_kept=len(seen.label), left_out=(*own.left_out, *seen.left_out),
                               classes=seen.counts, splits={Split.SHIFT.value: seen.counts},
                               findings=found.trimmed(seen.findings))


def _check_alike(dataset: Dataset, other: Dataset) -> None:
    """Raise DataError unless both hold rows of the same kind."""
    if dataset.task.content is not other.task.content:
        why = "One holds texts, the other pictures."
    elif dataset.task.labelled != other.task.labelled:
        why = "The rows of one have labels, those of the other have none."
    elif dataset.shape is not other.shape and not dataset.task.labelled:
        why = "One holds conversations, the other passages of text."
    else:
        return
    raise DataError(f"{other.name} cannot be the shift set of {dataset.name}.", why=why,
                    remedy="Choose a shift set of the same kind.")


def _prompts(base: Any, shift: Any, dataset: Dataset) -> Any:
    """Group numbers of the prompts of the rows of both; None where rows are no conversations."""
    if dataset.task.labelled or dataset.shape is not Shape.CHAT:
        return None
    return duplicates.exact_groups([asked_and_answered(text)[0] for table in (base, shift)
                                    for text in table["text"].to_pylist()])


def _groups(base: Any, shift: Any, places: Places, shape: Shape) -> Groups:
    """Duplicates among the rows of both. Pictures are named after their pixels; which are nearly equal is known within
    each set."""
    if "text" in base.column_names:
        texts = shown([*base["text"].to_pylist(), *shift["text"].to_pylist()], shape)
        exact = duplicates.exact_groups(texts)
        return Groups(exact=exact, near=duplicates.near_groups(texts, exact))
    exact = duplicates.exact_groups([*base["image"].to_pylist(), *shift["image"].to_pylist()])
    parts = [found.groups(place) for place in places]
    if any(part is None for part in parts):
        return Groups(exact=exact, near=exact)
    own, its = (part.near for part in parts if part is not None)
    within = np.concatenate([own, its + int(own.max(initial=0)) + 1])
    return Groups(exact=exact, near=leaks.merge_groups(within, exact))


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


def _unmatched(other: Dataset, unmatched: Counter[str]) -> tuple[Finding, ...]:
    if not unmatched:
        return ()
    shown = ", ".join(f"{name[:40]} ({count:,})" for name, count in unmatched.most_common(5))
    return (Finding(code="shift-unmatched", severity=WARNING, count=sum(unmatched.values()), example=shown,
                    message=several(sum(unmatched.values()), "row", "rows")
                            + f" of {other.name} left out: the label is no class here.",
                    remedy="Match these labels by hand if they mean one of the classes."),)


def _write(dataset: Dataset, other: Dataset, seen: Look, *, places: Places, home: Path, name: str,
           source: str) -> Dataset:
    rows, start = _joined(seen), int(seen.base["row_id"].to_numpy().max(initial=0))
    counts = Counter(seen.label.tolist())
    digest = hashlib.sha256(f"{dataset.content_hash} shift {other.content_hash} {sorted(counts.items())}".encode())
    digest.update(rows["label"].astype("<i4").tobytes())
    result = dataclasses.replace(
        dataset, id=digest.hexdigest()[:16], content_hash=digest.hexdigest(), name=name, created=time.time(),
        source=source, licence=_licences(dataset, other), made=other.made,
        rows_read=dataset.rows_read + other.rows_read,
        rows_kept=len(rows["row_id"]), groups=len(np.unique(rows["group"])) if "group" in rows else 0,
        counts={**dataset.counts, Split.SHIFT.value: seen.counts})
    target = home / result.id
    if (target / DATASET).is_file():
        return read_as_now(target, result)
    base_report, findings = _report(places[0], dataset), tuple(_moved(finding, start) for finding in seen.findings)
    with files.new_folder(target, last=DATASET) as folder:
        write_rows(folder / ROWS, **rows)
        if "image" in rows:
            own = rows["image"].to_pylist()
            for place, paths in zip(places, (own[: seen.base.num_rows], own[seen.base.num_rows:]), strict=True):
                copy_pictures(paths, source=place, target=folder)
        seal.write(folder)
        before = found.whole(places[0], base_report.findings)
        if before is not None:
            found.write(folder, (*findings, *before), seen.groups)
        left_out = (*base_report.left_out, *report(other, seen, places[1]).left_out)
        new = dataclasses.replace(base_report, splits=result.counts, left_out=left_out, rows_kept=result.rows_kept,
                                  rows_read=result.rows_kept + len(left_out), groups=result.groups, passages=0,
                                  findings=(*found.trimmed(findings), *base_report.findings))
        files.write_json(folder / REPORT, new.to_json())
        files.write_json(folder / DATASET, codec.to_json(result))
    return read_dataset(target)


def _licences(dataset: Dataset, other: Dataset) -> str:
    """Of both, where that of the shift set is another."""
    if not other.licence or other.licence == dataset.licence:
        return dataset.licence
    return "; ".join([*([dataset.licence] if dataset.licence else []), f"shift set: {other.licence}"])


def _joined(seen: Look) -> dict[str, Any]:
    """The columns of both, row ids of the shift set behind those of the dataset."""
    import pyarrow as pa

    base, shift = seen.base, seen.shift
    start = int(base["row_id"].to_numpy().max(initial=0))
    contents = [column for column in ("text", "image", "file") if column in base.column_names]
    return {"row_id": np.concatenate([base["row_id"].to_numpy(), start + shift["row_id"].to_numpy()]),
            **{c: pa.chunked_array([*base[c].chunks, *shift[c].chunks], type=pa.string()) for c in contents},
            **_joined_groups(base, shift), "label": np.concatenate([base["label"].to_numpy(), seen.label]),
            "split": np.concatenate([np.asarray(base["split"].to_pylist()),
                                     np.full(len(seen.label), Split.SHIFT.value)])}


def _joined_groups(base: Any, shift: Any) -> dict[str, Any]:
    """The groups of both, where one has some: those of the shift set are others than those of the dataset."""
    if not any("group" in table.column_names for table in (base, shift)):
        return {}
    own, its = (table["group"].to_numpy() if "group" in table.column_names else np.arange(table.num_rows)
                for table in (base, shift))
    return {"group": np.concatenate([own, its + int(own.max(initial=-1)) + 1]).astype(np.int32)}


def _moved(finding: Finding, start: int) -> Finding:
    """A finding on the shift set with the row ids of the joined dataset."""
    return dataclasses.replace(finding, rows=tuple(start + row for row in finding.rows))


def _report(place: Path, dataset: Dataset) -> ImportReport:
    """The report in a dataset's folder."""
    try:
        return ImportReport.from_json(json.loads((place / REPORT).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ImportReport(source=dataset.source, rows_read=dataset.rows_read, rows_kept=dataset.rows_kept)
