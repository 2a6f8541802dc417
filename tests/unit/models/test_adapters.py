"""A body inside peft's wrapper: its blocks are found again, made here or read back, and it computes the same."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from core.domain.recipe import LoraSpec, Recipe
from core.models import adapters, blocks, load, methods
from core.models.network import Network

RECIPE = Recipe(dataset="d", base_model="m", method="lora", lora=LoraSpec(rank=2))
INPUTS = {"input_ids": torch.arange(5, 15)[None], "attention_mask": torch.ones(1, 10, dtype=torch.long)}


def bare(folder: Path) -> Network:
    body = load.load_body(folder)
    return Network(body, head=nn.Linear(64, 3), stack=blocks.find_stack(body), pooling="mean").eval()


def test_what_is_read_back_has_the_same_blocks_and_says_the_same(tiny_model: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, plain = bare(tiny_model), bare(tiny_model)
    names = network.stack.names
    methods.get("lora").make_trainable(network, RECIPE)
    for name, parameter in network.body.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    network.body.save_pretrained(tmp_path / "adapter")  # type: ignore[operator]
    again = bare(tiny_model)
    adapters.read(again, tmp_path / "adapter", device="cpu")
    for wrapped in (network, again):
        assert wrapped.stack.names == names
        assert list(wrapped.stack.paths) == [f"base_model.model.{path}" for path in plain.stack.paths]
        assert [type(block) for block in blocks.members(wrapped.body, wrapped.stack)] == [
            type(block) for block in blocks.members(plain.body, plain.stack)]
    with torch.no_grad():
        tuned, read, base = (model.features(**INPUTS) for model in (network.eval(), again.eval(), plain))
    assert torch.equal(tuned, read) and not torch.allclose(tuned, base, atol=1e-3)
    assert adapters.published_name("base_model.model.encoder.x") == "encoder.x"
