"""Which rows each finding is about, all of them, and which rows belong together: two tables beside a report that names
a few.

Datasets of earlier versions have neither: their findings name examples only, until they are checked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import files
from core.data.report import Finding

if TYPE_CHECKING:
    import numpy.typing as npt

    IntArray = npt.NDArray[np.int64]

FOUND, GROUPS = "found.parquet", "groups.parquet"
EXAMPLES = 5
"""Rows that a report names of a finding."""
NO_ROWS = frozenset({"left-out", "nul-bytes"})
"""Findings whose rows were not kept, or are numbered before any was left out."""
OF_CLASSES = frozenset({"few-rows", "untrained-classes"})
"""Findings of which a report names the classes, and no rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundRows:
    """The rows of one finding, in its own order: the gravest first."""

    row_id: IntArray
    """(n_rows,)"""
    twin: IntArray
    """(n_rows,) the row that each is like; −1 where there is none."""
    suggested: tuple[str, ...]
    """(n_rows,) the class that each may belong to; empty where nothing is suggested."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Duplicates of a dataset, in the order of its rows."""

    exact: IntArray
    """(n_rows,) equal for equal content."""
    near: IntArray
    """(n_rows,) equal for content that is equal or nearly so."""


def trimmed(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as a report keeps them: with a few rows as examples."""
    return tuple(_trimmed(finding, 0 if finding.code in OF_CLASSES else EXAMPLES) for finding in findings)


def _trimmed(finding: Finding, n: int) -> Finding:
    return dataclasses.replace(finding, rows=finding.rows[:n], twins=finding.twins[:n], suggested=finding.suggested[:n])


def write(folder: Path, findings: Iterable[Finding], groups: Groups | None) -> None:
    """Write all rows of these findings, and the groups where they are known, into a dataset's (or a job's) folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts: dict[str, list[Any]] = {"code": [], "row_id": [], "twin": [], "suggested": []}
    for finding in findings:
        if finding.code in NO_ROWS:
            continue
        n = len(finding.rows)
        parts["code"] += [finding.code] * n
        parts["row_id"] += finding.rows
        parts["twin"] += finding.twins or [-1] * n
        parts["suggested"] += finding.suggested or [""] * n
    kinds = {"code": pa.string(), "row_id": pa.int64(), "twin": pa.int64(), "suggested": pa.string()}
    table = pa.table({name: pa.array(parts[name], type=kind) for name, kind in kinds.items()})
    with files.replacing(folder / FOUND) as new:
        pq.write_table(table, new, compression="zstd")
    if groups is not None:
        with files.replacing(folder / GROUPS) as new:
            pq.write_table(pa.table({"exact": groups.exact, "near": groups.near}), new, compression="zstd")


def rows_of(folder: Path, code: str) -> FoundRows | None:
    """The rows of one finding of the folder's report; None where they were not kept."""
    import pyarrow.parquet as pq

    if not (folder / FOUND).is_file():
        return None
    table = pq.read_table(folder / FOUND, filters=[("code", "==", code)])
    return FoundRows(row_id=table["row_id"].to_numpy(), twin=table["twin"].to_numpy(),
                     suggested=tuple(table["suggested"].to_pylist()))


def counts(folder: Path) -> dict[str, int] | None:
    """code -> rows of that finding; None where they were not kept."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not (folder / FOUND).is_file():
        return None
    found = pc.value_counts(pq.read_table(folder / FOUND, columns=["code"])["code"]).to_pylist()
    return {item["values"]: item["counts"] for item in found}


def groups(folder: Path) -> Groups | None:
    """Which rows are duplicates of each other; None where this was not kept."""
    import pyarrow.parquet as pq

    if not (folder / GROUPS).is_file():
        return None
    table = pq.read_table(folder / GROUPS)
    return Groups(exact=table["exact"].to_numpy(), near=table["near"].to_numpy())


def whole(folder: Path, findings: Iterable[Finding]) -> tuple[Finding, ...] | None:
    """The findings of the folder's report with all of their rows; None where these were not kept."""
    if not (folder / FOUND).is_file():
        return None
    return tuple(finding if finding.code in NO_ROWS else _with_rows(finding, rows_of(folder, finding.code))
                 for finding in findings)


def _with_rows(finding: Finding, rows: FoundRows | None) -> Finding:
    if rows is None or not len(rows.row_id):
        return finding
    return dataclasses.replace(finding, rows=tuple(rows.row_id.tolist()), twins=tuple(rows.twin.tolist()),
                               suggested=rows.suggested)
