"""The frozen prefix: blocks below the first trainable one are run once for all rows, and everything after starts from
there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.domain.dataset import Split
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.run import Phase
from core.features import extract
from core.features.encoded import Encoded
from core.features.row_store import RowStore
from core.models import methods
from core.models.network import Network
from core.settings import Settings
from core.training.inputs import Inputs
from core.training.session import Session, tracked

CACHE_SHARE = 0.5
"""Of the cache folder's limit, what the prefix of one run may take."""
TRIED_ROWS = 3
"""Rows that a cached prefix is tried on; not two, since code that takes two tensors would take two rows for them."""
MIN_CACHED_BLOCKS = 1
"""A prefix of the embeddings alone is not worth a file: looking them up costs nothing."""


def cache(session: Session, inputs: Inputs, *, rows: np.ndarray | None = None) -> None:
    """Run the frozen blocks below the first trainable one once for all rows (or for these alone), and let `inputs`
    start from there ever after."""
    recipe, network = session.recipe, inputs.network
    boundary = _boundary(recipe, network)
    if boundary < MIN_CACHED_BLOCKS:
        return
    if recipe.augmentation != "off" and not session.encoded.ragged:
        session.observer.note("The frozen blocks were not cached, because augmentation changes every picture.")
        return
    if session.facts.fixed_width:
        session.observer.note("The frozen blocks were not cached, because padding changes what this model computes.")
        return
    session.enter(Phase.CACHING)
    wanted = rows if rows is not None else np.concatenate([
        session.train, session.validation, session.rows.of(Split.TEST), session.rows.of(Split.SHIFT), tracked(session)])
    found = extract.try_prefix(network, session.encoded, wanted[:TRIED_ROWS], boundary=boundary,
                               precision=session.precision)
    if found is None:
        session.observer.note("The frozen blocks were not cached: the blocks of this model hand on more "
                              "than one tensor.")
        return
    offsets, width = _layout(session.encoded, found)
    needed = len(wanted) * float(offsets[-1]) / len(session.encoded.lengths) * width * np.dtype(found.dtype).itemsize
    limit = CACHE_SHARE * session.settings.cache_gb * 1e9
    if needed > limit:
        session.observer.note(f"The frozen blocks were not cached: their output takes {needed / 1e9:.1f} GB, "
                              f"more than the {limit / 1e9:.1f} GB that one entry of the cache may take "
                              "(THAW_CACHE_GB).")
        return
    key = _key(recipe, session.facts, boundary=boundary, dataset=session.rows.dataset_hash, precision=session.precision,
               device=session.device.kind)
    store = RowStore(session.settings.cache, "prefix", key=key, offsets=offsets, width=width, dtype=found.dtype)
    session.shared.append(extract.fill_prefix(store, network, session.encoded, wanted, boundary=boundary,
                                              precision=session.precision,
                        report=session.report("rows", f"blocks below {boundary}")))
    _start_from(inputs, store, found, boundary)
    session.observer.note(f"The {boundary} frozen blocks below block {boundary} were run once and cached.")


@contextmanager
def reuse(inputs: Inputs, indices: np.ndarray, *, boundary: int, recipe: Recipe, facts: ModelFacts, dataset: str,
          settings: Settings) -> Iterator[None]:
    """Let `inputs` start at `block boundary` from what a run has cached, where that is still there for all `indices`.

    dataset: its content hash.
    """
    key = _key(recipe, facts, boundary=boundary, dataset=dataset, precision=inputs.precision,
               device=inputs.network.device.type)
    if not RowStore.exists(settings.cache, "prefix", key=key):
        yield
        return
    found = extract.try_prefix(inputs.network, inputs.encoded, indices[:TRIED_ROWS], boundary=boundary,
                               precision=inputs.precision)
    if found is None:
        yield
        return
    offsets, width = _layout(inputs.encoded, found)
    store = RowStore(settings.cache, "prefix", key=key, offsets=offsets, width=width, dtype=found.dtype)
    try:
        if not len(store.missing(indices)):
            _start_from(inputs, store, found, boundary)
        yield
    finally:
        store.close()


def _boundary(recipe: Recipe, network: Network) -> int:
    """Index of the first block that trains; 0 for methods without a freeze plan, the last block where only the head
    trains (its output still passes the final norm)."""
    if not methods.card_of(recipe.method).needs_freeze_plan:
        return 0
    return min(recipe.freeze.first_trainable((*network.stack.names, "head")) - 1, network.stack.size - 1)


def _key(recipe: Recipe, facts: ModelFacts, *, boundary: int, dataset: str, precision: str,
         device: str) -> dict[str, Any]:
    four_bit = methods.card_of(recipe.method).weights is Weights.FOUR_BIT
    return {"kind": "prefix", "boundary": boundary, "dataset": dataset, "model": facts.revision,
            "length": recipe.max_length, "precision": precision, "device": device,
            "quantised": [recipe.quantization.type, recipe.quantization.double] if four_bit else None}


def _layout(encoded: Encoded, found: extract.Boundary) -> tuple[np.ndarray, int]:
    """(offsets of all rows, width) of the store: an entry a token, or one a picture."""
    if encoded.ragged:
        return np.concatenate([[0], np.cumsum(encoded.lengths)]), found.shape[-1]
    return np.arange(len(encoded.lengths) + 1), math.prod(found.shape)


def _start_from(inputs: Inputs, store: RowStore, found: extract.Boundary, boundary: int) -> None:
    inputs.prefix, inputs.prefix_shape, inputs.runner = (store, found.shape,
                                                         extract.PrefixRunner(inputs.network, boundary, found.outputs))
