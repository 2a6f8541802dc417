"""LoRA layers of language models compute what peft computes, with its gradients, and lose no small update."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from core.models.beside_lora import compute_beside


def layers(bias: bool) -> tuple[nn.Module, nn.Module]:
    """(peft's own, ours) of the same LoRA layer, away from its start."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    body = get_peft_model(nn.Sequential(nn.Linear(48, 32, bias=bias)),  # type: ignore[arg-type]
                          LoraConfig(r=4, lora_alpha=8, target_modules=["0"]))
    for name, parameter in body.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    ours = copy.deepcopy(body)
    assert compute_beside(ours) == 1
    return body, ours


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2),
                                                (torch.float16, 3e-3)])
def test_it_is_what_peft_computes(dtype: torch.dtype, close: float, bias: bool) -> None:
    theirs, ours = layers(bias)
    found = []
    for model in (theirs, ours):
        x = torch.randn(3, 5, 48, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            y = model(x)
        wanted = [x, *(p for p in model.parameters() if p.requires_grad)]
        found.append([y, *torch.autograd.grad(y.float().square().sum(), wanted)])
    for mine, reference in zip(found[1], found[0], strict=True):
        assert mine.dtype == reference.dtype
        assert torch.linalg.vector_norm(mine - reference) <= close * torch.linalg.vector_norm(reference)


def test_updates_below_the_grid_of_a_bf16_weight_are_not_lost() -> None:
    _, ours = layers(False)
    layer = ours.base_model.model[0]  # type: ignore[index, union-attr]
    layer.base_layer.weight.data = torch.ones(32, 48, dtype=torch.bfloat16)  # the next number is 1.0078
    layer.lora_A["default"].weight.data.fill_(0.01)
    layer.lora_B["default"].weight.data.fill_(0.01)  # 2 · 4 · 0.0001: a tenth of that step
    x = torch.zeros(1, 48)
    x[0, 0], x[0, 1] = 1.0, -1.0
    x[0, 2] = 0.5
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(ours(x).float(), torch.full((1, 32), 0.5 * 1.0008), atol=2e-3)
    x[0, 2] = 0.0
    layer.lora_A["default"].weight.data[:, 1] = 0
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.allclose(ours(x).float(), torch.full((1, 32), 0.0008), rtol=0.02)
