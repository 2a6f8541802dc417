"""Rows of language models as a network reads them: encoded once for all runs, with what each token is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import cache as cache_module
from core.models import tokens
from core.tasks import teaching
from core.tasks.base import Report, Rows, no_report
from core.tasks.texts import EncodedTexts

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of a token that is not taught, as everywhere in transformers."""
NAMES = ("ids", "taught", "offsets", "cut", "cut_taught", "n_bytes", "answer", "end", "refused")


class TaughtRows(EncodedTexts):
    """Token ids of all rows, and which of them are taught; see `EncodedTexts` for how they are padded (on the right).

    arrays: by the names of `NAMES`. One entry a token: ids, taught. One a row: offsets (one more), cut and cut_taught
    (tokens that did not fit), n_bytes (of the taught text), answer (n_rows, 2) and end (places in the row, −1: none),
    refused (whether the format is the reason that nothing is taught).
    """

    def __init__(self, arrays: dict[str, np.ndarray], *, pad_id: int, max_length: int, fixed_width: bool) -> None:
        super().__init__(arrays["ids"], np.array(arrays["offsets"]), pad_id=pad_id, max_length=max_length,
                         fixed_width=fixed_width)
        self.arrays = arrays
        before = np.concatenate([[0], np.cumsum(arrays["taught"], dtype=np.int64)])
        self.n_taught = before[self.offsets[1:]] - before[self.offsets[:-1]]
        """(n_rows,) taught tokens."""

    def labels(self, indices: np.ndarray) -> torch.Tensor:
        """(n_rows, n_tokens): the tokens themselves where they are taught, else −100; as wide as `batch`."""
        import torch

        found = np.full((len(indices), self.width(indices)), IGNORED, np.int64)
        for row, index in enumerate(indices):
            part = slice(self.offsets[index], self.offsets[index + 1])
            own = np.asarray(self.ids[part], np.int64)
            found[row, :len(own)] = np.where(self.arrays["taught"][part], own, IGNORED)
        return torch.from_numpy(found)


def encode(rows: Rows, tokenizer: Any, *, taught: str, limit: int, revision: str, cache: Path,
           fixed_width: bool = False, report: Report = no_report) -> TaughtRows:
    """All rows, from the cache where they are there. limit: tokens a row; revision: of the model."""
    format = teaching.format_of(tokenizer)
    folder = cache_module.folder_of(cache, "tokens", ["taught", rows.dataset_hash, str(rows.shape), revision,
                                                      format.digest, taught, limit])

    def make() -> dict[str, np.ndarray]:
        arrays = _arrays(rows, format, taught, limit, report)
        cache_module.save_arrays(folder, arrays)
        return arrays

    found = cache_module.kept(folder, lambda: cache_module.load_arrays(folder, NAMES), make)
    cache_module.mark_used(folder)
    return TaughtRows(found, pad_id=tokens.pad_id(tokenizer), max_length=limit, fixed_width=fixed_width)


def closing(rows: Rows) -> np.ndarray:
    """(n_rows,) bool: whether a document ends with this passage: the last row of its group."""
    last = np.ones(len(rows.content), bool)
    if rows.groups is not None:
        where = {int(group): place for place, group in enumerate(rows.groups)}
        last[:] = False
        last[list(where.values())] = True
    return last


def _arrays(rows: Rows, format: teaching.Format, taught: str, limit: int, report: Report) -> dict[str, np.ndarray]:
    made: dict[str, list[Any]] = {name: [] for name in NAMES}
    ends = closing(rows)
    for number, text in enumerate(rows.content):
        row = teaching.teach(format, text, rows.shape, limit, ends=bool(ends[number]), taught=taught)
        empty = not len(row.ids)
        made["ids"].append(np.array([tokens.pad_id(format.tokenizer)], np.int32) if empty else row.ids)
        made["taught"].append(np.zeros(1, bool) if empty else row.taught)
        for name, value in (("cut", row.n_cut), ("cut_taught", row.n_cut_taught), ("n_bytes", row.n_bytes),
                            ("answer", row.answer), ("end", row.end), ("refused", bool(row.refusal))):
            made[name].append(value)
        if number % 500 == 0:
            report(number, len(rows.content))
    lengths = [len(ids) for ids in made["ids"]]
    return {"offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            "ids": np.concatenate(made["ids"] or [np.zeros(0, np.int32)]),
            "taught": np.concatenate(made["taught"] or [np.zeros(0, bool)]),
            "answer": np.asarray(made["answer"], np.int32).reshape(-1, 2),
            **{name: np.asarray(made[name], np.int32) for name in ("cut", "cut_taught", "n_bytes", "end")},
            "refused": np.asarray(made["refused"], bool)}
