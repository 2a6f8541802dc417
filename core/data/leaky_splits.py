"""How many rows of a split a model has, in substance, been trained on: a fact to say beside every number on that
split."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data import found, library
from core.data.ingest import REPORT
from core.domain.dataset import Dataset, Split
from core.settings import Settings

WITHIN, SHIFT = ("leakage", "near-leakage"), ("shift-leakage", "shift-near-leakage")


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """Rows of a split with the content, or nearly the content, of a row that is looked at earlier."""

    rows: int
    of: int
    """Rows of the split."""

    def sentence(self, split: str) -> str:
        """What to say beside a number on that split."""
        return (f"{self.rows:,} of {self.of:,} {split} rows repeat a training row or nearly so: numbers on "
                f"{split} rows are too high.")


def of(dataset: Dataset, *, settings: Settings, workspace: str) -> dict[str, Leaks]:
    """split -> its leaks, for the test and the shift rows where there are any.

    Of a dataset of an earlier version only the shift set is known.
    """
    place = library.folder(dataset, settings=settings, workspace=workspace)
    try:
        stamp = (place / REPORT).stat().st_mtime_ns
    except OSError:
        return {}
    counts = _counts(place, stamp, dataset.id, settings, workspace)
    return {split: Leaks(rows=counts[split], of=dataset.rows(split)) for split in (Split.TEST.value, Split.SHIFT.value)
            if counts.get(split)}


@functools.lru_cache(maxsize=256)
def _counts(place: Path, stamp: int, ref: str, settings: Settings, workspace: str) -> dict[str, int]:
    """stamp: part of the key, so that a report that is written anew is read anew."""
    dataset = library.load(ref, settings=settings, workspace=workspace)
    report = library.read_report_or_none(dataset, settings=settings, workspace=workspace)
    codes = {finding.code: finding.count for finding in report.findings} if report else {}
    counts = Counter({Split.SHIFT.value: sum(codes.get(code, 0) for code in SHIFT)})
    rows = [part.row_id for code in WITHIN if code in codes and (part := found.rows_of(place, code))]
    if rows:
        table = library.rows_of(place, dataset, columns=["row_id", "split"])
        leaking = np.isin(table["row_id"].to_numpy(), np.concatenate(rows))
        counts += Counter(np.asarray(table["split"].to_pylist(), dtype=object)[leaking].tolist())
    return dict(counts)
