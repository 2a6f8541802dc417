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
