"""LoRA in one product: the same outputs and gradients as peft's own forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from core.models.merged_lora import merge_on_the_fly


class Two(nn.Module):
    def __init__(self, bias: bool, quantised: bool) -> None:
        super().__init__()
        kind: Any = nn.Linear
        if quantised:
            from bitsandbytes.nn import LinearNF4 as kind
        self.first = kind(64, 128, bias=bias)
        self.second = kind(128, 64, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.nn.functional.gelu(self.first(x)))  # type: ignore[no-any-return]


def pair(*, bias: bool = True, quantised: bool = False, **config: Any) -> tuple[nn.Module, nn.Module]:
    """Two equal networks with adapters away from their start (B is zero there); the second merges on the fly."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        model = Two(bias, quantised).to("cpu")
        tuned = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["first", "second"], **config))  # type: ignore[arg-type]
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.05)
        made.append(tuned.eval())
    made[1].merged_layers = merge_on_the_fly(made[1])
    return made[0], made[1]


def both(pair: tuple[nn.Module, nn.Module], x: torch.Tensor) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    results = []
    for model in pair:
        data = x.clone().requires_grad_()
        out = model(data)
        out.square().sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((out.detach(), grads | {"x": data.grad}))
    return results


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5, 64), (2, 3, 64)])
def test_outputs_and_gradients_are_pefts(bias: bool, quantised: bool, shape: tuple[int, ...]) -> None:
    models = pair(bias=bias, quantised=quantised)
    assert models[1].merged_layers == 2
    (expected, expected_grads), (found, found_grads) = both(models, torch.randn(*shape))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found_grads.keys() == expected_grads.keys() and len(found_grads) == 5
    for name, grad in expected_grads.items():
        torch.testing.assert_close(found_grads[name], grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_a_pointwise_convolution_is_the_same_product(bias: bool, memory_format: torch.memory_format) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(6, 12, 1, bias=bias), nn.ReLU(inplace=True), nn.Conv2d(12, 12, 1, stride=2),
                               nn.Conv2d(12, 4, 3, bias=bias))
        tuned = get_peft_model(layers, LoraConfig(r=2, target_modules=["0", "2", "3"]))  # type: ignore[arg-type]
        for name, parameter in tuned.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.05)
        models.append(tuned.eval())
    assert merge_on_the_fly(models[1]) == 1, "a stride and a 3x3 kernel look at other places"
    (expected, expected_grads), (found, found_grads) = both((models[0], models[1]),
                                                            torch.randn(3, 6,
                                                                        8, 8).contiguous(memory_format=memory_format))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert found_grads.keys() == expected_grads.keys()
    for name, grad in expected_grads.items():
        torch.testing.assert_close(found_grads[name], grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("config", [{"lora_dropout": 0.5}, {"use_dora": True}])
def test_other_adapters_keep_pefts_forward(config: dict[str, Any]) -> None:
    assert pair(**config)[1].merged_layers == 0


@pytest.mark.parametrize("quantised", [False, True])
def test_under_autocast_it_is_as_near_to_fp32_as_peft(quantised: bool) -> None:
    plain, merged = pair(quantised=quantised)
    x = torch.randn(64, 64)

    def run(model: nn.Module, bf16: bool) -> dict[str, torch.Tensor]:
        model.zero_grad()
        data = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = model(data)
        assert out.dtype == (torch.bfloat16 if bf16 else torch.float32) or model is plain
        out.float().square().sum().backward()
        found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        assert all(grad.dtype == torch.float32 for grad in found.values())
        return found | {"x": data.grad, "out": out.detach().float()}  # type: ignore[dict-item]

    exact, pefts, own = run(plain, False), run(plain, True), run(merged, True)
    assert own.keys() == exact.keys() and len(own) == 6
    for name, value in exact.items():
        scale = torch.linalg.vector_norm(value)
        distance = {which: float(torch.linalg.vector_norm(found[name] - value) / scale)
                    for which, found in (("peft", pefts), ("own", own))}
        assert distance["own"] < max(1.5 * distance["peft"], 0.01), (name, distance)


def test_disabled_adapters_are_pefts() -> None:
    plain, merged = pair()
    x = torch.randn(4, 64)
    with plain.disable_adapter(), merged.disable_adapter():
        assert torch.equal(plain(x), merged(x))


def test_the_base_weight_is_left_alone() -> None:
    merged = pair()[1]
    before = {name: p.detach().clone() for name, p in merged.named_parameters() if "base_layer" in name}
    both((merged, merged), torch.randn(4, 64))
    assert before and all(torch.equal(before[name], p) for name, p in merged.named_parameters() if name in before)
