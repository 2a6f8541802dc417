"""The rows of a dataset on disk are those that were kept: files are sealed by their SHA-256 when written, and looked at
before use.

Looking is cheap: sizes and times first, content only where these have changed. Datasets of earlier versions have no
seal: texts are checked against the dataset's own hash and sealed then; pictures and joined sets are sealed as they are
found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core import checksums
from core.domain.dataset import Dataset, Split
from core.errors import DataError

SEAL, PICTURES_SEAL = "seal.json", "pictures-seal.json"
ROWS = "rows.parquet"
SHA256_DIGITS = 64


def write(folder: Path) -> None:
    """Seal the rows of a dataset folder, and its pictures, as they are now."""
    checksums.write(folder / SEAL, checksums.look(folder, [ROWS], {}))
    if pictures := _pictures(folder):
        checksums.write(folder / PICTURES_SEAL, checksums.look(folder, pictures, {}))


def check(folder: Path, dataset: Dataset, *, pictures: bool = True) -> None:
    """Raises DataError when the rows in `folder` are not those of the dataset. pictures: look at their files, too."""
    if not dataset.content_hash.startswith(dataset.id):
        raise _broken(dataset, "its description names another hash than its own id")
    _check(folder, SEAL, [ROWS], dataset)
    if pictures and (names := _pictures(folder)):
        _check(folder, PICTURES_SEAL, names, dataset)


def row_hash(row_ids: Iterable[int], contents: Iterable[str | None], labels: Iterable[str],
             splits: Iterable[str], groups: Iterable[int] | None = None) -> str:
    """SHA-256 (hex) over row ids, texts (or digests of the pixels), label names and splits, in row order; then over the
    groups, where there are any."""
    digest = hashlib.sha256()
    for row_id, content, label, split in zip(row_ids, contents, labels, splits, strict=True):
        raw = (content or "").encode("utf-8")
        digest.update(f"{row_id}\x1f{split}\x1f{label}\x1f{len(raw)}\x1e".encode())
        digest.update(raw)
    if groups is not None:
        digest.update(",".join(map(str, groups)).encode())
    return digest.hexdigest()


def _check(folder: Path, seal: str, names: list[str], dataset: Dataset) -> None:
    sealed = checksums.read(folder / seal)
    try:
        found = checksums.look(folder, names, sealed or {})
    except OSError as error:
        raise _broken(dataset, f"{error.filename or 'a file'} cannot be read") from error
    if sealed is None:
        if seal == SEAL and not _are_the_rows(folder, dataset):
            raise _broken(dataset, f"the rows in {ROWS} have another hash than those that were imported")
    else:
        before, now = checksums.digests(sealed), checksums.digests(found)
        changed = sorted(name for name in now if before.get(name) != now[name])
        if changed:
            more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
            raise _broken(dataset, f"{changed[0]}{more} changed since it was written")
    if found != sealed:
        checksums.write(folder / seal, found)


def _are_the_rows(folder: Path, dataset: Dataset) -> bool:
    """Whether unsealed rows are those of the hash; true where the hash is not one over texts alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(folder / ROWS)
    except (pa.ArrowException, OSError):
        return False
    if "text" not in table.column_names or len(dataset.content_hash) != SHA256_DIGITS:
        return True
    try:
        labels = [dataset.classes[label] for label in table["label"].to_pylist()]
    except (IndexError, TypeError):
        return False
    found = row_hash(table["row_id"].to_pylist(), table["text"].to_pylist(), labels, table["split"].to_pylist())
    # a set with a shift set joined to it is hashed otherwise
    return found == dataset.content_hash or dataset.rows(Split.SHIFT) > 0


def _pictures(folder: Path) -> list[str]:
    """Picture files that the rows name, relative to the folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if "image" not in pq.read_schema(folder / ROWS).names:
            return []
        return sorted(set(pq.read_table(folder / ROWS, columns=["image"])["image"].to_pylist()))
    except (pa.ArrowException, OSError):
        return []


def _broken(dataset: Dataset, why: str) -> DataError:
    return DataError(f"The rows of {dataset.name} on disk are not the ones that were imported.",
                     why=f"The reason: {why}.",
                     remedy="Delete this dataset and import it again; runs on the rows of that time stay as they are.")
