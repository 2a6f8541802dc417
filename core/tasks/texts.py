"""Texts as a network reads them: tokenised once for all runs, padded a batch at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import cache as cache_module
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models import tokens
from core.tasks.base import Rows

if TYPE_CHECKING:
    import torch

PAD_MULTIPLE = 32
"""Free padding lengths fragment the allocator (2.0 -> 2.5-3.0 GB under bf16 on a CPU); multiples of 32 do not."""


class EncodedTexts:
    """Token ids of all rows, ragged and memory-mapped: row i is ids[offsets[i]:offsets[i + 1]].

    fixed_width: fill every batch up to `max_length`, for models that padding does not leave alone.
    """

    ragged = True

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, *, pad_id: int, max_length: int,
                 fixed_width: bool = False) -> None:
        self.ids = ids
        self.offsets = offsets
        self.pad_id = pad_id
        self.max_length = max_length
        self.fixed_width = fixed_width
        self.lengths = np.diff(offsets)

    def width(self, indices: np.ndarray) -> int:
        """Tokens that rows of a batch of these are filled up to."""
        longest = self.max_length if self.fixed_width else int(self.lengths[indices].max())
        return int(min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, max(self.max_length, longest)))

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """{"input_ids", "attention_mask"}, each (n_rows, n_tokens)."""
        import torch

        width = self.width(indices)
        ids = np.full((len(indices), width), self.pad_id, dtype=np.int64)  # (n_rows, n_tokens)
        mask = np.zeros((len(indices), width), dtype=np.int64)
        for row, index in enumerate(indices):
            own = self.ids[self.offsets[index]:self.offsets[index + 1]]
            ids[row, :len(own)] = own
            mask[row, :len(own)] = 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def beside_prefix(self, indices: np.ndarray, *, prefix_axes: int) -> dict[str, torch.Tensor]:
        """All of them: masks and positions follow from them."""
        return self.batch(indices)


def encode(rows: Rows, tokenizer: Any, *, recipe: Recipe, facts: ModelFacts, cache: Path) -> EncodedTexts:
    """The token ids of all rows, from the cache where they are there."""
    limit = min(recipe.max_length, facts.max_length)
    folder = cache_module.folder_of(cache, "tokens",
                                    [rows.dataset_hash, facts.revision, type(tokenizer).__name__, limit])

    def make() -> dict[str, np.ndarray]:
        ids, offsets = _tokenise(rows.content, tokenizer, limit)
        cache_module.save_arrays(folder, {"ids": ids, "offsets": offsets})
        return {"ids": ids, "offsets": offsets}

    found = cache_module.kept(folder, lambda: cache_module.load_arrays(folder, ("ids", "offsets")), make)
    cache_module.mark_used(folder)  # where it was evicted since: what is mapped or in memory stays readable
    return EncodedTexts(found["ids"], np.array(found["offsets"]), pad_id=tokens.pad_id(tokenizer), max_length=limit,
                        fixed_width=facts.fixed_width)


def _tokenise(texts: list[str], tokenizer: Any, limit: int, chunk: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Token ids end to end (int32) and offsets (n_rows + 1, int64), with the model's special tokens, cut to `limit`."""
    pieces: list[np.ndarray] = []
    for start in range(0, len(texts), chunk):
        encoded = tokenizer(texts[start:start + chunk], truncation=True, max_length=limit, add_special_tokens=True,
                            return_attention_mask=False, return_token_type_ids=False)["input_ids"]
        pieces += [np.asarray(ids if len(ids) else [tokens.pad_id(tokenizer)], dtype=np.int32) for ids in encoded]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int32)), offsets
