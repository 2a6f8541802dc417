"""Passes over rows that are done once: pooled features, what enters a block, and a network that starts from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.features import extract
from core.features.pooled import every_block
from core.features.row_store import RowStore
from core.models import blocks, load
from core.models.blocks import Stack
from core.models.network import Network, pool
from core.tasks.texts import EncodedTexts

LENGTHS = np.array([5, 40, 9, 40, 3, 17, 33])
EVERY = np.arange(len(LENGTHS))
SHUFFLED = np.array([4, 1, 6, 0, 3])


@pytest.fixture(scope="module")
def network(tiny_model: Path) -> Network:
    body = load.load_body(tiny_model)
    return Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean").eval()


@pytest.fixture(scope="module")
def encoded() -> EncodedTexts:
    ids = np.random.default_rng(0).integers(5, 60, LENGTHS.sum()).astype(np.int32)
    return EncodedTexts(ids, np.concatenate([[0], np.cumsum(LENGTHS)]), pad_id=0, max_length=64)


@pytest.fixture(scope="module")
def hidden(network: Network, encoded: EncodedTexts) -> list[torch.Tensor]:
    """What the body itself says it hands on: of the embeddings and of each block, (n_rows, n_tokens, width)."""
    with torch.no_grad():
        return list(network.body(**encoded.batch(EVERY), output_hidden_states=True).hidden_states)


@pytest.fixture
def called(network: Network) -> Iterator[list[int]]:
    """The number of each block that is computed."""
    seen: list[int] = []
    handles = [member.register_forward_hook(lambda module, args, output, i=i: seen.append(i))
               for i, member in enumerate(blocks.members(network.body, network.stack))]
    yield seen
    for handle in handles:
        handle.remove()


def store(root: Path, offsets: np.ndarray, dtype: str = "float32") -> RowStore:
    return RowStore(root, "features", key={}, offsets=offsets, width=64, dtype=dtype)


def test_activations_are_stored_as_they_are() -> None:
    values = torch.randn(3, 5, 4)
    assert torch.equal(extract.from_stored(extract.to_stored(values, np.dtype("float32"))), values)
    half = values.to(torch.bfloat16)
    bits = extract.to_stored(half, np.dtype("uint16"))
    assert bits.dtype == np.uint16 and bits.shape == values.shape
    assert torch.equal(extract.from_stored(bits), half) and extract.from_stored(bits).dtype == torch.bfloat16


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_holds_inside_only_and_keeps_no_copies(precision: str, dtype: torch.dtype) -> None:
    device = torch.device("cpu")
    with extract.autocast(precision, device):
        assert torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == dtype
        assert not torch.is_autocast_cache_enabled()
    with extract.autocast("fp32", device):
        assert not torch.is_autocast_enabled("cpu")


def test_pooled_features_are_those_of_the_body_and_computed_once(network: Network, encoded: EncodedTexts,
                                                                 hidden: list[torch.Tensor], called: list[int],
                                                                 tmp_path: Path) -> None:
    kept, reports = store(tmp_path, np.arange(len(LENGTHS) + 1)), []
    twice = np.concatenate([SHUFFLED, SHUFFLED[:2]])
    spent = extract.fill_features(kept, network, encoded, twice, precision="fp32",
                                  report=lambda done, total: reports.append((done, total)))
    wanted = pool(hidden[-1], encoded.batch(EVERY)["attention_mask"], "mean")
    np.testing.assert_allclose(kept.read_single(SHUFFLED), wanted[SHUFFLED].numpy(), atol=1e-5)
    assert reports[-1] == (5, 5) and kept.missing(EVERY).tolist() == [2, 5]
    assert 0 < spent.whole <= spent.own
    passes = len(called)
    again = extract.fill_features(kept, network, encoded, SHUFFLED, precision="fp32", report=lambda *_: None)
    assert len(called) == passes and again.whole == pytest.approx(spent.whole)


def test_a_pass_that_is_cut_keeps_what_was_done(network: Network, encoded: EncodedTexts, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "FLUSH_ROWS", 2)
    monkeypatch.setattr(extract, "forward_rows", lambda tokens: 1)
    kept = store(tmp_path, np.arange(len(LENGTHS) + 1))

    def cut(done: float, total: float | None) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract.fill_features(kept, network, encoded, EVERY, precision="fp32", report=cut)
    assert len(kept.missing(EVERY)) == len(LENGTHS) - 4


@pytest.mark.parametrize("boundary", [0, 2])
def test_what_enters_a_block_is_kept_without_padding_and_nothing_above_is_computed(
        boundary: int, network: Network, encoded: EncodedTexts, hidden: list[torch.Tensor], called: list[int],
        tmp_path: Path) -> None:
    kept = store(tmp_path, encoded.offsets)
    extract.fill_prefix(kept, network, encoded, SHUFFLED, boundary=boundary, precision="fp32", report=lambda *_: None)
    assert set(called) == set(range(boundary))
    for row in SHUFFLED:
        assert kept.read(row).shape == (LENGTHS[row], 64)
        np.testing.assert_allclose(kept.read(row), hidden[boundary][row, :LENGTHS[row]].numpy(), atol=1e-5)


def test_a_network_that_starts_at_a_block_says_the_same_and_can_be_put_back(network: Network, encoded: EncodedTexts,
                                                                            hidden: list[torch.Tensor]) -> None:
    found = extract.try_prefix(network, encoded, EVERY[:3], boundary=2, precision="fp32")
    assert found is not None and (found.shape, found.dtype, len(found.outputs)) == ((64, 64), "float32", 2)
    before = blocks.members(network.body, network.stack)
    with torch.no_grad():
        whole = network.features(**encoded.batch(EVERY))
    runner = extract.PrefixRunner(network, 2, found.outputs)
    assert runner.removed == ("embeddings", "block 0", "block 1")
    with pytest.raises(RuntimeError, match="without its prefix"):
        network.features(**encoded.batch(EVERY))
    runner.current = hidden[2]
    with torch.no_grad():
        started = network.features(**encoded.beside_prefix(EVERY, prefix_axes=2))
    torch.testing.assert_close(started, whole, atol=1e-5, rtol=0)
    runner.remove()
    assert blocks.members(network.body, network.stack) == before
    with torch.no_grad():
        assert torch.equal(network.features(**encoded.batch(EVERY)), whole)


class Block(nn.Linear):
    """It hands on one tensor that stands alone, or a tuple of so many values."""

    def __init__(self, count: int = 0) -> None:
        super().__init__(8, 8)
        self.count = count

    def forward(self, hidden_states: torch.Tensor) -> Any:
        out = super().forward(hidden_states)
        return (out, *[None] * (self.count - 1)) if self.count else out


class Turned(nn.Module):
    """A body of two blocks whose second one reads `entering`, made of what the first one gives."""

    def __init__(self, entering: Any, count: int = 0) -> None:
        super().__init__()
        self.embed, self.entering = nn.Embedding(99, 8), entering
        self.blocks = nn.ModuleList([Block(count), Block()])

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        first = self.blocks[0](self.embed(input_ids))
        return SimpleNamespace(last_hidden_state=self.entering(self.blocks[1], first))


@pytest.mark.parametrize(("entering", "count", "fits"), [
    (lambda block, first: block(first), 0, True),
    (lambda block, first: block(hidden_states=first), 0, True),
    (lambda block, first: block(first) * first.shape[-1], 0, True),
    (lambda block, first: block(first[0]), 1, True),
    (lambda block, first: block(first[0]) if first[1] is None else None, 2, True),
    (lambda block, first: block(first.transpose(0, 1)).transpose(0, 1), 0, False),  # would be mixed up row by row
    (lambda block, first: block(first) + first, 0, False),                          # what is cached is read once more
    (lambda block, first: block(first.flatten(1).unflatten(1, (-1, 8))) * first.var(), 0, False),
])
def test_only_a_start_that_gives_the_same_is_taken(entering: Any, count: int, fits: bool,
                                                   encoded: EncodedTexts) -> None:
    torch.manual_seed(0)
    network = Network(Turned(entering, count), head=nn.Linear(8, 2), stack=Stack(("blocks.0", "blocks.1")),
                      pooling="mean")
    found = extract.try_prefix(network, encoded, EVERY[:3], boundary=1, precision="fp32")
    assert (found.outputs if found else None) == ((count,) if fits else None)
    assert isinstance(network.body.blocks[0], Block), "the blocks are put back"  # type: ignore[union-attr,index]


def test_each_block_is_pooled_as_the_body_hands_it_on(network: Network, encoded: EncodedTexts,
                                                      hidden: list[torch.Tensor]) -> None:
    reports: list[tuple[float, float | None]] = []
    found = every_block(network, encoded, SHUFFLED, precision="fp32",
                        report=lambda done, total: reports.append((done, total)))
    mask = encoded.batch(EVERY)["attention_mask"]
    assert list(found) == ["embeddings", "block 0", "block 1", "block 2", "block 3"]
    for values, name in zip(hidden, found, strict=True):
        np.testing.assert_allclose(found[name], pool(values, mask, "mean")[SHUFFLED].numpy(), atol=1e-5)
    assert reports[-1] == (5, 5)


def test_of_the_tokens_of_all_blocks_no_more_is_held_than_a_pass_holds(network: Network, encoded: EncodedTexts) -> None:
    handed: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def watch(module: nn.Module, args: Any, output: Any) -> None:
        handed.append(weakref.ref(output[0] if isinstance(output, tuple) else output))
        alive.append(sum(reference() is not None for reference in handed))

    handles = [member.register_forward_hook(watch) for member in blocks.members(network.body, network.stack)]
    every_block(network, encoded, SHUFFLED, precision="fp32")
    for handle in handles:
        handle.remove()
    assert len(alive) >= 4 and max(alive) <= 2


def test_of_a_block_that_hands_on_a_tuple_the_first_value_is_pooled(encoded: EncodedTexts) -> None:
    body = Turned(lambda block, first: block(first[0]), 2)
    network = Network(body, head=nn.Linear(8, 2), stack=Stack(("blocks.0", "blocks.1")), pooling="mean")
    found = every_block(network, encoded, SHUFFLED, precision="fp32")
    inputs = encoded.batch(SHUFFLED)
    with torch.no_grad():
        first = body.blocks[0](body.embed(inputs["input_ids"]))[0]
        wanted = pool(first, inputs["attention_mask"], "mean")
    np.testing.assert_allclose(found["block 0"], wanted.numpy(), atol=1e-5)


def test_what_enters_a_block_of_rows_that_are_all_alike_is_kept_flat(encoded: EncodedTexts, tmp_path: Path) -> None:
    network = Network(Turned(lambda block, first: block(first)), head=nn.Linear(8, 2),
                      stack=Stack(("blocks.0", "blocks.1")), pooling="mean")
    rows, alike = np.array([0, 2, 4]), SimpleNamespace(ragged=False, lengths=np.ones(7, int), batch=encoded.batch)
    kept = RowStore(tmp_path, "prefix", key={}, offsets=np.arange(8), width=32 * 8)
    extract.fill_prefix(kept, network, alike, rows, boundary=1, precision="fp32",  # type: ignore[arg-type]
                        report=lambda *_: None)
    with torch.no_grad():
        wanted = network.body.blocks[0](network.body.embed(encoded.batch(rows)["input_ids"]))  # type: ignore[operator,union-attr,index]
    np.testing.assert_allclose(kept.read_single(rows), wanted.flatten(1).numpy(), atol=1e-5)
