"""What the rows of a comparison are: their text or picture, their class, and what each side predicts for them."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.analysis.blockfile import BlockFeatures
from core.analysis.pairs import Table, table_of
from core.domain.dataset import Dataset
from core.domain.side import Side, Which
from core.settings import Settings

UNKNOWN = -1
TEXT_CHARACTERS = 2000


def table(dataset: str, settings: Settings, workspace: str) -> Table:
    """Labels and splits of a dataset; one reading serves all. Raises DataError when its rows on disk are not those of its hash."""
    from core.data import library

    found = library.load(dataset, settings=settings, workspace=workspace)
    library.verify(found, settings=settings, workspace=workspace, pictures=False)
    return _table(dataset, found.content_hash, settings, workspace)


@functools.lru_cache(maxsize=4)
def _table(dataset: str, content_hash: str, settings: Settings, workspace: str) -> Table:
    return table_of(dataset, settings=settings, workspace=workspace)


def contents(dataset: Dataset, row_ids: NDArray[np.int64], *, settings: Settings, workspace: str) -> tuple[str, tuple[str, ...]]:
    """(`text` or `image`, one entry a row): texts cut for display, or paths of picture files."""
    return _contents(dataset.id, row_ids.tobytes(), settings, workspace)


@functools.lru_cache(maxsize=8)
def _contents(dataset_id: str, ids: bytes, settings: Settings, workspace: str) -> tuple[str, tuple[str, ...]]:
    from core.data import library

    dataset = library.load(dataset_id, settings=settings, workspace=workspace)
    rows = library.read_rows(dataset, settings=settings, workspace=workspace)
    kind = "text" if "text" in rows.column_names else "image"
    wanted = np.frombuffer(ids, np.int64)
    place = {int(row): index for index, row in enumerate(rows["row_id"].to_numpy())}
    found = rows[kind].take([place[int(row)] for row in wanted]).to_pylist()
    if kind == "image":
        folder = library.folder(dataset, settings=settings, workspace=workspace)
        return kind, tuple(str(folder / path) for path in found)
    return kind, tuple(text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS]}…" for text in found)


def predictions(ref: Side, features: BlockFeatures | None, row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Class that a side predicts for each row, −1 where it did not; None when it has no head (a recorded step, a run without probe head).

    The end of a run: what it predicted when it was judged. Its base: the solved probe on the base model's stored features.
    """
    if ref.which is Which.FINAL:
        return recorded(ref.folder, row_ids)
    path = ref.folder / "artifact" / "base_head.safetensors"
    if ref.which is Which.STEP or features is None or not path.is_file():
        return None
    from safetensors.numpy import load_file

    head = load_file(path)
    last = list(features.blocks.values())[-1].astype(np.float32)
    return np.asarray((last @ head["weight"].astype(np.float32).T + head["bias"].astype(np.float32)).argmax(axis=1), np.int64)


def recorded(folder: Path, row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The predictions that a run wrote down, in the order of these rows."""
    import pyarrow.parquet as parquet

    known: dict[int, int] = {}
    for path in sorted(folder.glob("predictions-*.parquet")):
        rows = parquet.read_table(path, columns=["row_id", "prediction"])
        known |= dict(zip(rows["row_id"].to_pylist(), rows["prediction"].to_pylist(), strict=True))
    return np.array([known.get(int(row), UNKNOWN) for row in row_ids], np.int64) if known else None
