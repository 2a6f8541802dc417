"""What of a dataset teaches a model, counted over all rows and shown for some: `teaching.json`. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core import cache as cache_module
from core.domain import document_versions
from core.domain.dataset import Shape
from core.domain.model import ModelFacts
from core.tasks import taught_rows, teaching
from core.tasks.base import Rows
from core.tasks.taught_rows import TaughtRows

FILE = "teaching.json"
FIRST, WORST, NAMED = 20, 10, 100
"""Rows shown: the first, and those of which most is cut or nothing is taught; row ids named."""
BINS = 32


def survey(rows: Rows, encoded: TaughtRows, tokenizer: Any, *, model: str, dataset: str, limit: int,
           taught: str = teaching.AUTO, indices: np.ndarray | None = None) -> dict[str, Any]:
    """The document. indices: of the rows that it is about; all without."""
    every = np.arange(len(rows.content)) if indices is None else np.asarray(indices, np.int64)
    format = teaching.format_of(tokenizer)
    lengths, cut = encoded.lengths[every].astype(np.int64), encoded.arrays["cut"][every].astype(np.int64)
    n_taught = encoded.n_taught[every]
    without = every[n_taught == 0]
    ends = taught_rows.closing(rows)

    def shown(index: int) -> dict[str, Any]:
        row = teaching.teach(format, rows.content[index], rows.shape, limit, ends=bool(ends[index]), taught=taught)
        found = {"row_id": int(rows.row_ids[index]), "taught": row.n_taught,
                 "context": len(row.ids) - row.n_taught, "cut": row.n_cut, "pieces": row.pieces}
        return found | ({"reason": row.refusal} if row.refusal else {})

    order = every[np.lexsort((every, n_taught, -cut))]
    worst = [int(index) for index in order if encoded.arrays["cut"][index] or not encoded.n_taught[index]]
    counts, edges = np.histogram(lengths + cut, bins=min(BINS, max(1, int((lengths + cut).max(initial=1)))))
    first = [int(index) for index in every[:FIRST]]
    return {
        document_versions.KEY: 1, "model": model, "dataset": dataset, "max_length": limit, "taught": taught,
        "shape": str(rows.shape),
        "format": {"name": format.name, "plain": format.plain,
                   "notes": list(format.notes if rows.shape is Shape.CHAT else format.passage_notes)},
        "totals": {"rows": len(every), "taught": int(n_taught.sum()), "context": int((lengths - n_taught).sum()),
                   "cut": int(cut.sum()), "cut_taught": int(encoded.arrays["cut_taught"][every].sum()),
                   "rows_without_taught": len(without), "rows_cut": int((cut > 0).sum()),
                   "rows_refused": int(encoded.arrays["refused"][every].sum())},
        "lengths": {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]},
        "row_ids_without_taught": [int(id) for id in rows.row_ids[without][:NAMED]],
        "rows": [shown(index) for index in dict.fromkeys([*first, *[w for w in worst if w not in first][:WORST]])],
    }


def limit(max_length: int, facts: ModelFacts) -> int:
    """Tokens a row, of a recipe's text length and what the model reads."""
    return min(max_length, facts.max_length) if facts.max_length else max_length


def folder(cache: Path, *, dataset_hash: str, revision: str, limit: int, taught: str = teaching.AUTO) -> Path:
    """Where the document of a dataset, a model and a length is kept."""
    return cache_module.folder_of(cache, "teaching", [dataset_hash, revision, limit, taught])
