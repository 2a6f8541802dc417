"""Rows as the run read them, token by token, in batches of like length."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import torch

FILLED = 32
"""Rows are filled up to a multiple of so many tokens."""
BATCH_ROWS, BATCH_TOKENS, BUCKETS = 32, 4096, 32
IGNORED = -100


class Rows:
    """The rows that trained, chose and tested, by their place in the file."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        """path: tokens.parquet (columns row_id, ids, taught: whether a token is, and group where rows have one)."""
        table = parquet.read_table(path)
        self.about = about
        self.place = {int(id): place for place, id in enumerate(table["row_id"].to_pylist())}
        self.ids = [np.asarray(ids, np.int64) for ids in table["ids"].to_pylist()]
        self.taught = [np.asarray(marks, bool) for marks in table["taught"].to_pylist()]
        for marks in self.taught:
            marks[0] = False  # nothing is said before the first token
        self.groups = np.asarray(table["group"].to_pylist()) if "group" in table.column_names else None
        self.lengths = np.array([len(ids) for ids in self.ids])

    def places(self, row_ids: Iterable[int]) -> np.ndarray:
        """(n_rows,) of the rows with these ids."""
        return np.array([self.place[id] for id in row_ids], np.int64)

    def batch(self, places: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """({"input_ids", "attention_mask"}, labels: the tokens themselves, -100 where not taught), each (n_rows,
        n_tokens)."""
        limit = self.about["max_length"]
        longest = limit if self.about["fixed_width"] else int(self.lengths[places].max())
        width = min(-(-longest // FILLED) * FILLED, max(limit, longest))
        ids = np.full((len(places), width), self.about["pad_id"], np.int64)
        mask, labels = np.zeros((len(places), width), np.int64), np.full((len(places), width), IGNORED, np.int64)
        for row, place in enumerate(places):
            own = self.ids[place]
            ids[row, :len(own)], mask[row, :len(own)] = own, 1
            labels[row, :len(own)] = np.where(self.taught[place], own, IGNORED)
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}, torch.from_numpy(labels)

    def tokens(self, places: np.ndarray) -> np.ndarray:
        """(n_rows,): how many of each row are taught."""
        return np.array([int(self.taught[place].sum()) for place in places], np.int64)

    def by_length(self, places: np.ndarray) -> list[np.ndarray]:
        """Batches to be read without training, the longest rows first."""
        order, batches = places[np.argsort(-self.lengths[places], kind="stable")], []
        while len(order):
            size = max(1, min(BATCH_ROWS, BATCH_TOKENS // int(self.lengths[order[0]])))
            batches.append(order[:size])
            order = order[size:]
        return batches

    def shuffled(self, places: np.ndarray, size: int, seed: int, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch: rows of like length in random order. A last row by itself joins the batch before."""
        random = np.random.default_rng((seed, epoch))
        order, batches = random.permutation(places), []
        for start in range(0, len(order), size * BUCKETS):
            part = order[start:start + size * BUCKETS]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[at:at + size] for at in range(0, len(part), size)]
        if len(batches) > batches_an_epoch(len(places), size):
            batches[-2:] = [np.concatenate(batches[-2:])]
        return [batches[at] for at in random.permutation(len(batches))]


def batches_an_epoch(n_rows: int, size: int) -> int:
    """Of so many rows."""
    full, left = divmod(n_rows, size)
    return full + (left > 1 or (left == 1 and full == 0))


def read(path: Path) -> dict[str, Any]:
    """A JSON document."""
    return dict(json.loads(path.read_text(encoding="utf-8")))
