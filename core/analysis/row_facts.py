"""What the rows of a comparison are: their text or picture, their class, and what each side predicts for them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.conversations import readable
from core.domain.dataset import Dataset, Shape, Split
from core.domain.side import Side, Which
from core.errors import DataError
from core.settings import Settings

UNKNOWN = -1
TEXT_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class RowTable:
    """What is known of every row of a dataset."""

    row_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    """−1 where there is none."""
    splits: NDArray[np.str_]
    dataset_hash: str
    groups: NDArray[np.int64] | None = None
    """Equal for rows of one document or group; None where each row stands for itself."""

    def at(self, row_ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """Labels and splits of these rows. Raises DataError for a row that the dataset does not have."""
        order = self._places(row_ids)
        return self.labels[order], self.splits[order]

    def groups_at(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Groups of these rows."""
        return None if self.groups is None else self.groups[self._places(row_ids)]

    def _places(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        position = {int(row): index for index, row in enumerate(self.row_ids)}
        order = np.array([position.get(int(row), -1) for row in row_ids], int)
        if len(order) and order.min() < 0:
            raise DataError("The dataset of these runs has changed.",
                            why="Rows of the probe sample are no longer in it.",
                            remedy="Train on the dataset as it is now.")
        return order


def table(dataset: str, *, settings: Settings, workspace: str) -> RowTable:
    """Labels and splits of a dataset, by its id; one reading serves all. Raises DataError when its rows on disk are not
    those of its hash."""
    from core.data import library

    found = library.load(dataset, settings=settings, workspace=workspace)
    library.verify(found, settings=settings, workspace=workspace, pictures=False)
    return _table(dataset, found.content_hash, settings, workspace)


@functools.lru_cache(maxsize=4)
def _table(dataset: str, content_hash: str, settings: Settings, workspace: str) -> RowTable:
    from core.data import library

    found = library.load(dataset, settings=settings, workspace=workspace)
    columns = ["row_id", "label", "split", *(["group"] if found.groups else [])]
    rows = library.read_rows(found, settings=settings, workspace=workspace, columns=columns)
    labels = rows["label"].fill_null(UNKNOWN).to_numpy().astype(np.int64)
    groups = rows["group"].to_numpy().astype(np.int64) if found.groups else None
    return RowTable(row_ids=rows["row_id"].to_numpy(), labels=labels, splits=np.array(rows["split"].to_pylist()),
                    dataset_hash=content_hash, groups=groups)


@dataclass(frozen=True)
class Contents:
    """What people see of rows, one entry a row: texts cut for display, or paths of picture files."""

    shown: tuple[str, ...]
    pictures: bool


def contents(dataset: Dataset, row_ids: NDArray[np.int64], *, settings: Settings, workspace: str) -> Contents:
    """Texts or pictures of these rows, in this order."""
    from core.data import ingest, library

    stamp = (library.folder(dataset, settings=settings, workspace=workspace) / ingest.ROWS).stat()
    return _contents(dataset.id, row_ids.tobytes(), settings, workspace, stamp.st_ino)


@functools.lru_cache(maxsize=8)
def _contents(dataset_id: str, ids: bytes, settings: Settings, workspace: str, inode: int) -> Contents:
    """inode: of the file of rows, part of the key: texts of the recorded example come later than its other parts."""
    from core.data import library

    dataset = library.load(dataset_id, settings=settings, workspace=workspace)
    rows = library.read_rows(dataset, settings=settings, workspace=workspace)
    column = "text" if "text" in rows.column_names else "image"
    place = {int(row): index for index, row in enumerate(rows["row_id"].to_numpy())}
    found = rows[column].take([place[int(row)] for row in np.frombuffer(ids, np.int64)]).to_pylist()
    if column == "image":
        folder = library.folder(dataset, settings=settings, workspace=workspace)
        return Contents(tuple(str(folder / path) for path in found), pictures=True)
    if dataset.shape is Shape.CHAT:
        found = list(map(readable, found))
    return Contents(tuple(text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS]}…" for text in found),
                    pictures=False)


def predictions(side: Side, last_block: NDArray[np.floating], row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Class that a side predicts for each row, −1 where it did not; None when it has no head (a recorded step, a run
    without probe head).

    The end of a run: what it predicted when it was judged. Its base: the solved probe on the base model's stored
    features `last_block`, (n_rows, n_dims).
    """
    if side.which is Which.FINAL:
        return recorded(side.folder, row_ids)
    if side.which is Which.STEP or not base_head(side.folder).is_file():
        return None
    return np.asarray(base_logits(side.folder, last_block).argmax(axis=1), np.int64)


def base_head(folder: Path) -> Path:
    """Where a run keeps the solved probe on its base model's features, if it has one."""
    return folder / "artifact" / "base_head.safetensors"


def base_logits(folder: Path, last_block: NDArray[np.floating]) -> NDArray[np.float32]:
    """What that probe says of features, `(n_rows, n_dims)` -> `(n_rows, n_classes)`."""
    from safetensors.numpy import load_file

    head = {name: tensor.astype(np.float32) for name, tensor in load_file(base_head(folder)).items()}
    return np.asarray(last_block.astype(np.float32) @ head["weight"].T + head["bias"])


def recorded(folder: Path, row_ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The predictions that a run wrote down, in the order of these rows; None where it wrote none of classes."""
    import pyarrow.parquet as parquet

    known: dict[int, int] = {}
    for path in sorted(folder.glob("predictions-*.parquet")):
        if "prediction" in parquet.read_schema(path).names:
            rows = parquet.read_table(path, columns=["row_id", "prediction"])
            known |= dict(zip(rows["row_id"].to_pylist(), rows["prediction"].to_pylist(), strict=True))
    return np.array([known.get(int(row), UNKNOWN) for row in row_ids], np.int64) if known else None


def losses(side: Side, row_ids: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Loss of each row on a side, in nats a taught token, NaN where it was not judged; None where a run wrote no losses
    down: of its end, and of the untouched model where it judged that, too."""
    import pyarrow.parquet as parquet

    if side.which not in (Which.FINAL, Which.BASE):
        return None
    known: dict[int, float] = {}
    for split in Split:
        name = f"base-{split.value}" if side.which is Which.BASE else split.value
        path = side.folder / f"predictions-{name}.parquet"
        if path.is_file() and {"loss", "tokens"} <= set(parquet.read_schema(path).names):
            rows = parquet.read_table(path, columns=["row_id", "loss", "tokens"])
            each = rows["loss"].to_numpy() / np.maximum(rows["tokens"].to_numpy(), 1)
            known |= dict(zip(rows["row_id"].to_pylist(), each.tolist(), strict=True))
    return np.array([known.get(int(row), np.nan) for row in row_ids]) if known else None
