"""Rows of a dataset, a page at a time: of a split, a class or a finding, searched and sorted; what is not shown is
never read into memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data import found, library
from core.data.browse import CELL_CHARACTERS
from core.data.conversations import readable
from core.data.ingest import ROWS, read_dataset
from core.domain.dataset import Dataset, Shape
from core.errors import DataError
from core.settings import Settings

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

MOST = 500
"""Rows of one page."""
SORTS = ("as found", "row", "label", "split", "twin", "suggested")


@dataclass(frozen=True, kw_only=True)
class RowPage:
    """Some rows, and how many there are."""

    rows: list[dict[str, Any]]
    """`row_id`, `text` (cut) or `image` and `file`, `label`, `split`; of a finding also `twin` and `suggested`."""
    total: int
    """Rows that match."""
    of: int
    """Rows that there are without a search."""


def of_finding(dataset: Dataset, code: str, *, settings: Settings, workspace: str, place: Path | None = None,
               **asked: Any) -> RowPage | None:
    """The rows of one finding of the dataset's report, see `page`; None where these were not kept."""
    folder = library.folder(dataset, settings=settings, workspace=workspace)
    rows = found.rows_of(place or folder, code)
    return None if rows is None else page(dataset, folder, rows=rows, **asked)


def page(dataset: Dataset, folder: Path, *, rows: found.FoundRows | None = None,
         twins_in: tuple[Dataset, Path] | None = None, split: str | None = None,
         label: str | None = None, search: str = "", sort: str = SORTS[0], descending: bool = False, start: int = 0,
         n: int = 50) -> RowPage:
    """n rows (at most 500) from `start` on, of those that match.

    rows: the ones to choose from; all when None. twins_in: the dataset (and its folder) that their twins are in, where
    it is another one. search: what their text (a picture's file name) contains, letter case
    ignored. sort: one of `SORTS`. Raises DataError for another, or for a class that there is not.
    """
    if sort not in SORTS:
        raise DataError(f"Rows cannot be sorted by {sort[:40]!r}.", remedy=f"Choose one of: {', '.join(SORTS)}.")
    ids, labels, splits = _numbers(folder, dataset.id)
    at = np.arange(len(ids)) if rows is None else _positions(ids, rows.row_id)
    order = np.arange(len(at))
    if split is not None:
        order = order[splits[at[order]] == split]
    if label is not None:
        if label not in dataset.classes:
            raise DataError(f"The dataset has no class {label!r}.",
                            why=f"Its classes: {', '.join(dataset.classes[:20])}.", remedy="Choose one of these.")
        order = order[labels[at[order]] == dataset.classes.index(label)]
    of = len(order)
    if search:
        order = order[_containing(dataset, folder, at[order], search)]
    order = _sorted(order, at, sort, descending, ids=ids, labels=labels, splits=splits, rows=rows)
    shown = order[max(0, start) : max(0, start) + min(max(0, n), MOST)]
    contents = _contents(dataset, folder, at[shown])
    out = [{"row_id": int(ids[p]), **content, "label": dataset.class_name(labels[p]), "split": str(splits[p])}
           for p, content in zip(at[shown].tolist(), contents, strict=True)]
    if rows is not None:
        twins, suggested = rows.twin[shown], [rows.suggested[i] for i in shown.tolist()]
        facts = _Facts(dataset, ids, labels, splits) if twins_in is None else _Facts.read(*twins_in)
        out = [{**row, "twin": facts.get(int(twin)), "suggested": name or None}
               for row, twin, name in zip(out, twins, suggested, strict=True)]
    return RowPage(rows=out, total=len(order), of=of)


@functools.lru_cache(maxsize=8)
def _numbers(folder: Path, dataset_id: str) -> tuple[IntArray, Any, Any]:
    """Row ids, labels and names of splits (n_rows,) of a dataset, which never changes; the last few are kept."""
    table = library.rows_of(folder, read_dataset(folder), columns=["row_id", "label", "split"])
    split = table["split"].combine_chunks().dictionary_encode()
    names = np.asarray(split.dictionary.to_pylist(), dtype=object)
    return table["row_id"].to_numpy(), table["label"].to_numpy(), names[split.indices.to_numpy()]


class _Facts:
    """What is said of the row that another is like."""

    def __init__(self, dataset: Dataset, ids: IntArray, labels: Any, splits: Any) -> None:
        self._dataset, self._ids, self._labels, self._splits = dataset, ids, labels, splits
        self._order = np.argsort(ids, kind="stable")

    @staticmethod
    def read(dataset: Dataset, folder: Path) -> _Facts:
        """Of another dataset."""
        return _Facts(dataset, *_numbers(folder, dataset.id))

    def get(self, row_id: int) -> str | None:
        """`row 7 (train, sport)`; None where there is no such row."""
        place = int(np.searchsorted(self._ids, row_id, sorter=self._order))
        if row_id < 0 or place >= len(self._ids) or self._ids[self._order[place]] != row_id:
            return None
        at = self._order[place]
        name = self._dataset.class_name(self._labels[at])
        return f"row {row_id:,} ({self._splits[at]}{f', {name}' if name else ''})"


def _positions(ids: IntArray, wanted: IntArray) -> IntArray:
    """Where these row ids stand; ids that are not there are left away."""
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), max(0, len(ids) - 1))
    return np.asarray(order[place]) if len(ids) else np.zeros(0, dtype=np.int64)


def _sorted(order: IntArray, at: IntArray, sort: str, descending: bool, *, ids: IntArray, labels: Any, splits: Any,
            rows: found.FoundRows | None) -> IntArray:
    keys: Any = None
    if sort == "row":
        keys = ids[at[order]]
    elif sort == "label":
        keys = labels[at[order]]
    elif sort == "split":
        keys = splits[at[order]].astype(str)
    elif sort == "twin" and rows is not None:
        keys = rows.twin[order]
    elif sort == "suggested" and rows is not None:
        keys = np.asarray(rows.suggested, dtype=str)[order]
    if keys is not None:
        order = order[np.argsort(keys, kind="stable")]
    return order[::-1] if descending else order


def _containing(dataset: Dataset, folder: Path, at: IntArray, search: str) -> Any:
    """Boolean (n,): which of these positions contain the text; the contents are read in parts."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    hits = []
    with pq.ParquetFile(folder / ROWS, pre_buffer=False) as file:
        column = "text" if "text" in file.schema_arrow.names else "file"
        for batch in file.iter_batches(batch_size=4_096, use_threads=False, columns=[column]):
            texts = batch[column]
            if dataset.shape is Shape.CHAT:                          # as it is read, not as it is kept
                texts = pa.array(map(readable, texts.to_pylist()), pa.string())
            hits.append(np.asarray(pc.fill_null(pc.match_substring(texts, search, ignore_case=True), False)))
    found_at = np.concatenate(hits) if hits else np.zeros(0, dtype=bool)
    return found_at[at]


def _contents(dataset: Dataset, folder: Path, at: IntArray) -> list[dict[str, Any]]:
    """Text, or image and file, of these few positions."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted, by_place = np.sort(at), dict[int, dict[str, Any]]()
    with pq.ParquetFile(folder / ROWS, pre_buffer=False) as file:
        columns = [name for name in ("text", "image", "file") if name in file.schema_arrow.names]
        begin = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            inside = np.unique(wanted[(wanted >= begin) & (wanted < begin + size)])
            if len(inside):
                part = file.read_row_group(group, columns=columns, use_threads=False).take(pa.array(inside - begin))
                by_place |= dict(zip(inside.tolist(), (_shown(row, dataset) for row in part.to_pylist()), strict=True))
            begin += size
    return [by_place[place] for place in at.tolist()]


def _shown(row: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """A row for people: a conversation as it reads, a long text cut."""
    text = row.get("text")
    if not text:
        return row
    text = readable(text) if dataset.shape is Shape.CHAT else text
    return {**row, "text": f"{text[:CELL_CHARACTERS]}…" if len(text) > CELL_CHARACTERS else text}


def sorts(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The ways to sort that make a difference for rows such as these."""
    return tuple(name for name in SORTS if name not in ("twin", "suggested") or any(row.get(name) for row in rows))
