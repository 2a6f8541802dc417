"""What a base model is measured to cost: operations and kept activations of each block, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from core.models import inspect
from core.models.blocks import Stack


class Product(nn.Module):
    """What it reads goes through two layers, whose outputs are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x) * self.b(x)  # type: ignore[no-any-return]


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 4, bias=False)
        self.layers = nn.ModuleList([Product(), Product()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[1](self.layers[0](self.enter(x)))  # type: ignore[no-any-return]


def test_each_block_by_itself_and_every_tensor_once() -> None:
    """8 rows of 4 numbers are 128 bytes, a layer on them 2 · 8 · 4 · 4 = 256 operations. A block keeps what it reads,
    once, though two layers read it, and the two outputs that it multiplies; weights are no activations."""
    body, inputs = Body(), {"x": torch.randn(8, 4)}
    found = inspect._measure(body, Stack(("layers.0", "layers.1")), inputs, units=8)
    assert found["forward_flops_per_token"] == 5 * 256 / 8
    assert found["flops_per_block"] == {"embeddings": 32, "block 0": 64, "block 1": 64}
    assert found["activation_bytes_per_block"] == {"embeddings": 128 // 8, "block 0": 3 * 128 // 8,
                                                   "block 1": 3 * 128 // 8}
    assert not any(module._forward_pre_hooks for module in body.modules())


@pytest.mark.parametrize(("hidden", "own", "found"), [
    (torch.arange(24.0).reshape(2, 3, 4), "mean", ("mean", 4)),
    (torch.arange(24.0).reshape(2, 3, 4), "cls", ("cls", 4)),
    (torch.arange(24.0).reshape(2, 3, 4), "other", ("model", 5)),
    (torch.arange(24.0).reshape(2, 3, 4), None, ("mean", 4)),
    (torch.arange(48.0).reshape(2, 6, 2, 2), "mean", ("mean", 6)),
    (torch.arange(48.0).reshape(2, 6, 2, 2), None, ("mean", 6)),
])
def test_how_a_picture_model_pools(hidden: torch.Tensor, own: str | None, found: tuple[str, int]) -> None:
    mean = hidden.mean((2, 3)) if hidden.ndim == 4 else hidden.mean(1)
    pooled = {"mean": mean, "cls": hidden[:, 0], "other": torch.ones(2, 5), None: None}[own]
    output = SimpleNamespace(last_hidden_state=hidden, pooler_output=pooled)
    assert inspect._own_pooling(nn.Linear(1, 1), output) == found


def test_without_a_pooled_output_a_class_token_is_taken() -> None:
    body = nn.Module()
    body.cls_token = nn.Parameter(torch.zeros(1))
    hidden = torch.arange(24.0).reshape(2, 3, 4)
    assert inspect._own_pooling(body, SimpleNamespace(last_hidden_state=hidden)) == ("cls", 4)
