"""Training batches: every row once an epoch, and never one row by itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.domain.dataset import Task
from core.domain.model import Block, ModelFacts
from core.domain.recipe import FORWARD_ROWS, FORWARD_TOKENS, Recipe, batches_an_epoch
from core.features.extract import by_length
from core.planning.estimate import estimate
from core.tasks.texts import EncodedTexts
from core.training.inputs import LengthBuckets

FACTS = ModelFacts(id="m", revision="", architecture="", tasks=(Task.TEXT_CLASSIFICATION,), hidden_size=8,
                   intermediate_size=8, attention_heads=1, max_length=64,
                   blocks=(Block(index=0, name="embeddings", parameters=8),))


def buckets(n_rows: int, batch_size: int, seed: int) -> LengthBuckets:
    lengths = np.random.default_rng(seed).integers(1, 99, n_rows + 5)
    return LengthBuckets(np.arange(5, n_rows + 5), lengths, batch_size=batch_size, seed=seed)


@given(n_rows=st.integers(1, 300), batch_size=st.integers(1, 64), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_an_epoch_is_every_row_once_in_as_many_batches_as_planned(n_rows: int, batch_size: int, seed: int,
                                                                  epoch: int) -> None:
    sampler = buckets(n_rows, batch_size, seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(row for batch in batches for row in batch) == list(range(5, n_rows + 5))
    assert len(batches) == len(sampler) == batches_an_epoch(n_rows, batch_size)
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= batch_size + 1
    assert 1 not in sizes or batch_size == 1 or n_rows == 1
    recipe = Recipe(dataset="d", base_model="m", method="full", batch_size=batch_size, epochs=3.0, max_length=32)
    planned = estimate(recipe, facts=FACTS, device=None, n_classes=2, rows={"train": n_rows}, mean_length=40.0)
    assert planned.steps == 3 * len(batches)


@given(full=st.integers(1, 70), batch_size=st.integers(2, 16))
def test_the_row_left_over_joins_the_last_batch_whichever_pool_it_lies_in(full: int, batch_size: int) -> None:
    """Rows are sorted by length in pools of 32 batches; a row that would be a pool by itself has no batch before it
    there."""
    batches = list(buckets(full * batch_size + 1, batch_size, seed=full))
    assert sorted(map(len, batches)) == [batch_size] * (full - 1) + [batch_size + 1]


def test_one_row_is_one_batch() -> None:
    assert list(buckets(1, 8, seed=0)) == [[5]] and batches_an_epoch(0, 8) == 0


@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=200))
def test_a_forward_pass_reads_every_row_once_and_few_long_ones_together(lengths: list[int]) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = EncodedTexts(np.zeros(offsets[-1], np.int32), offsets, pad_id=0, max_length=9000)
    batches = by_length(rows, np.arange(len(lengths)))
    assert sorted(int(row) for batch in batches for row in batch) == list(range(len(lengths)))
    longest = [int(rows.lengths[batch].max()) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, tokens in zip(batches, longest, strict=True):
        assert len(batch) == 1 or len(batch) * tokens <= FORWARD_TOKENS
        assert len(batch) <= FORWARD_ROWS
    for batch, tokens in zip(batches[:-1], longest, strict=False):
        assert len(batch) == FORWARD_ROWS or (len(batch) + 1) * tokens > FORWARD_TOKENS
