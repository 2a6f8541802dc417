"""Blocks are found in every family, in forward order, and account for every parameter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from core.domain import freeze
from core.errors import PatternError, RecipeError
from core.models import blocks, load
from core.models.network import Network, pool
from tests import tiny


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_every_parameter_belongs_to_one_block(family: str, tmp_path: Path) -> None:
    body = load.load_body(tiny.FAMILIES[family](tmp_path))
    stack = blocks.find_stack(body)
    found = blocks.describe(body, stack)
    assert [block.name for block in found] == ["embeddings", *(f"block {i}" for i in range(stack.size))]
    assert sum(block.parameters for block in found) == sum(p.numel() for p in body.parameters())
    assert all(block.parameters > 0 for block in found)


@pytest.mark.parametrize(("family", "attention", "mlp"),
                         [("bert", 4, 2), ("gpt2", 2, 2), ("llama", 4, 3), ("distilbert", 4, 2)])
def test_linear_layers_of_a_block_are_told_apart(family: str, attention: int, mlp: int, tmp_path: Path) -> None:
    body = load.load_body(tiny.FAMILIES[family](tmp_path))
    stack = blocks.find_stack(body)
    layers = blocks.linear_layers(body, stack)["block 1"]
    kinds = [layer.kind for layer in layers]
    assert (kinds.count("attention"), kinds.count("mlp")) == (attention, mlp)


@pytest.mark.parametrize("family", sorted(tiny.FAMILIES))
def test_registration_order_is_forward_order(family: str, tmp_path: Path) -> None:
    body = load.load_body(tiny.FAMILIES[family](tmp_path))
    stack = blocks.find_stack(body)
    seen: list[int] = []
    for index, module in enumerate(blocks.members(body, stack)):
        module.register_forward_hook(lambda *_, index=index: seen.append(index))
    body(input_ids=torch.ones(1, 5, dtype=torch.long), attention_mask=torch.ones(1, 5, dtype=torch.long))
    assert seen == list(range(stack.size))


def test_a_model_without_a_stack_is_refused() -> None:
    with pytest.raises(RecipeError, match="no stack of blocks"):
        blocks.find_stack(nn.Linear(2, 2))


def test_a_freeze_plan_turns_off_gradients_and_train_mode(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path), dropout=0.5)
    network = Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")
    network.freeze(freeze.FreezePlan(frozen=("embeddings", "block 1")))
    network.train()
    layers = blocks.members(body, network.stack)
    assert not body.embeddings.training and not layers[1].training and layers[0].training and layers[2].training
    assert not any(p.requires_grad for p in layers[1].parameters())
    assert all(p.requires_grad for p in layers[2].parameters()) and network.head.weight.requires_grad


def test_what_is_kept_in_eval_mode_is_so_at_once_and_ever_after(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path), dropout=0.5)
    network = Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean").train()
    kept, held = blocks.members(body, network.stack)[:2]
    network.keep_in_eval([kept])
    assert not kept.training and held.training
    network.hold([held])
    assert not held.training and not any(module.training for module in held.modules())
    network.eval().train()
    assert not kept.training and not held.training and network.head.training
    network.hold([])
    assert held.training and not kept.training


def test_the_pooled_feature_is_over_real_tokens_or_the_bodys_own(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path))
    network = Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean").eval()
    ids = torch.arange(5, 11)[None]
    padded = {"input_ids": torch.cat([ids, ids.new_zeros(1, 4)], 1),
              "attention_mask": torch.tensor([[1] * 6 + [0] * 4])}
    with torch.no_grad():
        alone = network.features(input_ids=ids, attention_mask=torch.ones_like(ids))
        torch.testing.assert_close(network.features(**padded), alone, atol=1e-5, rtol=0)
        hidden = body(input_ids=ids).last_hidden_state
        torch.testing.assert_close(alone, hidden.mean(1))
    own = Network(body, head=nn.Linear(64, 3), stack=network.stack, pooling="model")
    torch.testing.assert_close(own.pool(hidden), hidden.mean(1))  # of a block within, which has no such output
    maps = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(own.pool(maps), maps.mean((2, 3)))
    last = Network(body, head=nn.Linear(64, 3), stack=network.stack, pooling="model", channels_last=True)
    torch.testing.assert_close(last.pool(maps), maps.mean((1, 2)))


def test_train_patterns_open_parameters_inside_frozen_blocks(tmp_path: Path) -> None:
    body = load.load_body(tiny.bert(tmp_path))
    network = Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean")
    everything = network.stack.names
    network.freeze(freeze.FreezePlan(frozen=everything, train_patterns=(r"bias$",)))
    open_names = {name for name, p in body.named_parameters() if p.requires_grad}
    assert open_names == {name for name, _ in body.named_parameters() if name.endswith("bias")}
    with pytest.raises(PatternError, match="match no parameter"):
        network.freeze(freeze.FreezePlan(frozen=everything, train_patterns=("nothing_like_this",)))


def test_pooling_known_answers() -> None:
    hidden = torch.arange(12.0).reshape(1, 4, 3)
    right = torch.tensor([[1, 1, 0, 0]])
    left = torch.tensor([[0, 0, 1, 1]])
    assert pool(hidden, right, "mean").tolist() == [[1.5, 2.5, 3.5]]
    assert pool(hidden, right, "cls").tolist() == [[0.0, 1.0, 2.0]]
    assert pool(hidden, left, "cls").tolist() == [[6.0, 7.0, 8.0]]
    assert pool(hidden, right, "last").tolist() == [[3.0, 4.0, 5.0]]
    assert pool(hidden, left, "last").tolist() == [[9.0, 10.0, 11.0]]


def linears(*sizes: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(size, size, bias=False) for size in sizes))


class Holding(nn.Module):
    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)


@pytest.mark.parametrize(("base", "paths"), [
    (Holding(first=nn.Linear(9, 9), layer=nn.ModuleList([linears(3), linears(3)])), ("layer.0", "layer.1")),
    (Holding(stages=nn.ModuleList([nn.ModuleList([linears(3), linears(3)]), nn.ModuleList([linears(3)])])),
     ("stages.0.0", "stages.0.1", "stages.1.0")),                                # a list inside of a list is not called
    (Holding(layer1=linears(3), layer2=linears(3, 3), conv1=nn.Linear(9, 9), conv2=nn.Linear(9, 9)),
     ("layer1", "layer2")),                                                      # not what has no parts of its own
    (Holding(layer1=linears(3), other=nn.ModuleList([linears(2), linears(2)])), ("other.0", "other.1")),
    (Holding(layers=nn.ModuleList([Holding(a=nn.Linear(8, 8), b=linears(2, 2))])), ("layers.0",)),
    (Holding(layers=nn.ModuleList([Holding(a=nn.Linear(2, 2), b=linears(4, 4))])), ("layers.0.b.0", "layers.0.b.1")),
    (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), ("0", "1")),
])
def test_the_repeated_modules_that_hold_most_are_the_blocks(base: nn.Module, paths: tuple[str, ...]) -> None:
    assert blocks.find_stack(base).paths == paths


def test_what_lies_between_blocks_belongs_to_the_one_before() -> None:
    stack = blocks.Stack(("layer.1", "layer.2"), used_by=(("tied", ("embeddings", "block 1")),))
    names = ["word", "layer.1.a", "between", "layer.2.a", "layer.2.b", "norm", "tied", "layer.10.a"]
    assert blocks.users_of(names, stack) == {
        "word": ("embeddings",), "layer.1.a": ("block 0",), "between": ("block 0",), "layer.2.a": ("block 1",),
        "layer.2.b": ("block 1",), "norm": ("block 1",), "tied": ("embeddings", "block 1"), "layer.10.a": ("block 1",)}
    assert blocks.block_of(["tied"], stack) == {"tied": "embeddings"}
    assert stack.under("w").paths == ("w.layer.1", "w.layer.2")
    assert blocks.users_of(["w.tied"], stack.under("w")) == {"w.tied": ("embeddings", "block 1")}


def test_layers_that_an_adapter_can_attach_to_and_their_weights() -> None:
    block = Holding(attn=nn.Linear(4, 6), up=nn.Conv2d(4, 8, 1), deep=nn.Conv2d(8, 8, 3),
                    own=nn.Conv2d(8, 8, 1, groups=8), norm=nn.LayerNorm(4))
    base = Holding(attention=nn.Linear(2, 2), layer=nn.ModuleList([block, linears(3)]))
    stack = blocks.find_stack(base)
    found = blocks.describe(base, stack)
    assert [(layer.name, layer.kind, layer.in_features, layer.out_features, layer.quantisable)
            for layer in found[1].linear_layers] == [("layer.0.attn", "attention", 4, 6, True),
                                                     ("layer.0.up", "mlp", 4, 8, False)]
    assert [block.linear_parameters for block in found] == [0, 24, 9], "those that can be held in 4 bits"
    assert [block.parameters for block in found] == [6, 30 + 40 + 584 + 16 + 8, 9]
