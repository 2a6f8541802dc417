"""Text classification: tokenising once for all runs, dynamic padding, and the body's token pooling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import cache as cache_module
from core.domain.model import ModelFacts
from core.domain.recipe import Recipe
from core.models import blocks, load, sharing, tokens
from core.models.network import Network
from core.tasks.base import Report, Rows, no_report

PAD_MULTIPLE = 32
"""Free padding lengths fragment the allocator (2.0 -> 2.5-3.0 GB under bf16 on a CPU); multiples of 32 do not."""


class EncodedTexts:
    """Token ids of all rows, ragged and memory-mapped: row i is ids[offsets[i]:offsets[i + 1]].

    fixed_width: fill every batch up to `max_length`, for models that padding does not leave alone.
    """

    ragged = True

    def __init__(self, ids: np.ndarray, offsets: np.ndarray, *, pad_id: int, max_length: int, fixed_width: bool = False) -> None:
        self.ids = ids
        self.offsets = offsets
        self.pad_id = pad_id
        self.max_length = max_length
        self.fixed_width = fixed_width
        self.lengths = np.diff(offsets)

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        longest = self.max_length if self.fixed_width else int(self.lengths[indices].max())
        width = min(-(-longest // PAD_MULTIPLE) * PAD_MULTIPLE, max(self.max_length, longest))
        ids = np.full((len(indices), width), self.pad_id, dtype=np.int64)  # (n_rows, n_tokens)
        mask = np.zeros((len(indices), width), dtype=np.int64)
        for row, index in enumerate(indices):
            tokens = self.ids[self.offsets[index]:self.offsets[index + 1]]
            ids[row, :len(tokens)] = tokens
            mask[row, :len(tokens)] = 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}

    def beside_prefix(self, indices: np.ndarray, *, prefix_axes: int) -> dict[str, torch.Tensor]:
        return self.batch(indices)


class TextClassification:
    """The task adapter; see `core.tasks.base.TaskAdapter`."""

    def load_processor(self, folder: Path) -> Any:
        return tokens.load(folder)

    def encode(self, rows: Rows, *, processor: Any, recipe: Recipe, facts: ModelFacts, cache: Path,
               report: Report = no_report) -> EncodedTexts:
        limit = min(recipe.max_length, facts.max_length)
        folder = cache_module.folder_of(cache, "tokens", [rows.dataset_hash, facts.revision, type(processor).__name__, limit])
        found = cache_module.load_arrays(folder, ("ids", "offsets"))
        if found is None:
            with cache_module.filling(folder):
                found = cache_module.load_arrays(folder, ("ids", "offsets"))  # another process may have been quicker
                if found is None:
                    ids, offsets = _tokenise(rows.content, processor, limit)
                    cache_module.save_arrays(folder, {"ids": ids, "offsets": offsets})
                    found = {"ids": ids, "offsets": offsets}
        cache_module.mark_used(folder)  # where it was evicted since: what is mapped or in memory stays readable
        return EncodedTexts(found["ids"], np.array(found["offsets"]), pad_id=tokens.pad_id(processor), max_length=limit,
                            fixed_width=facts.fixed_width)

    def build(self, folder: Path, *, recipe: Recipe, facts: ModelFacts, n_classes: int, weights: str, dropout: float,
              compute_dtype: torch.dtype, device: str) -> Network:
        body = load.load_body(folder, weights=weights, dropout=dropout, quantization=recipe.quantization,
                              compute_dtype=compute_dtype, device=device)
        pooling = facts.pooling if recipe.pooling == "auto" else recipe.pooling
        stack = sharing.of_build(body, blocks.find_stack(body), facts)
        network = Network(body, stack=stack, pooling=pooling, width=facts.hidden_size, n_classes=n_classes)
        network.head.to(device)
        return network

    def save_processor(self, processor: Any, folder: Path) -> None:
        processor.save_pretrained(folder)


def _tokenise(texts: list[str], tokenizer: Any, limit: int, chunk: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Token ids end to end (int32) and offsets (n_rows + 1, int64), with the model's special tokens, cut to `limit`."""
    pieces: list[np.ndarray] = []
    for start in range(0, len(texts), chunk):
        encoded = tokenizer(texts[start:start + chunk], truncation=True, max_length=limit, add_special_tokens=True,
                            return_attention_mask=False, return_token_type_ids=False)["input_ids"]
        pieces += [np.asarray(ids if len(ids) else [tokens.pad_id(tokenizer)], dtype=np.int32) for ids in encoded]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int32)), offsets
