"""LoRA layers computed as one matrix product: adapters are added to the weight for the moment of the product, never kept.

peft computes `x W' + s (x A') B'` as a product of the base layer, two thin products and a sum of full activations; a CPU is slow at thin
products. `x (W + s B A)'` is the same function of the same parameters with one product each way; only the gradients of A and B stay
thin. Exact up to rounding where the adapter has no dropout. Parameters, saving and loading stay peft's.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn


def merge_on_the_fly(body: nn.Module) -> int:
    """Let every plain peft LoRA layer of `body` compute in one product; returns how many.

    Layers with dropout, DoRA, bias, several adapters or another shape than a linear layer's keep peft's own forward.
    """
    from peft.tuners.lora import LoraLayer

    found = [module for module in body.modules() if isinstance(module, LoraLayer) and _is_plain(module)]
    for layer in found:
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign, assignment]
    return len(found)


def _is_plain(layer: Any) -> bool:
    base = layer.get_base_layer()
    adapters = list(layer.active_adapters)
    if not isinstance(base, nn.Linear) or len(adapters) != 1 or adapters[0] not in layer.lora_A:
        return False
    name = adapters[0]
    return (isinstance(layer.lora_A[name], nn.Linear) and isinstance(layer.lora_dropout[name], nn.Identity)
            and layer.lora_B[name].bias is None and not layer.use_dora.get(name, False))


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    base = layer.get_base_layer()
    readable = base.weight.is_floating_point() or getattr(base.weight, "quant_state", None) is not None
    fast = (readable and x.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type) and not layer.disable_adapters
            and not layer.merged and not args and not kwargs)
    if not fast:  # mixed precision casts inside the layer, which an own gradient would have to repeat
        return type(layer).forward(layer, x, *args, **kwargs)  # type: ignore[no-any-return]
    name = layer.active_adapters[0]
    return _MergedLinear.apply(x, layer.lora_A[name].weight, layer.lora_B[name].weight, base, layer.scaling[name])  # type: ignore[no-any-return]


def _merged_weight(base: nn.Linear, a: torch.Tensor, b: torch.Tensor, scale: float) -> torch.Tensor:
    """W + scale · B A, (n_out, n_in); a 4-bit weight is unpacked first."""
    weight: torch.Tensor = base.weight
    if (state := getattr(weight, "quant_state", None)) is not None:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(weight, state).to(a.dtype)
        return weight.addmm_(b, a, alpha=scale)
    return torch.addmm(weight, b, a, alpha=scale)


class _MergedLinear(torch.autograd.Function):
    """y = x (W + s B A)' + bias, with gradients for x, A and B; W and the bias are frozen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: nn.Linear, scale: float) -> torch.Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.base, ctx.scale = base, scale
        bias = None if base.bias is None else base.bias.to(x.dtype)
        return nn.functional.linear(x, _merged_weight(base, a, b, scale), bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        rows = x.reshape(-1, x.shape[-1])  # (n, n_in)
        grad = grads[0].reshape(-1, grads[0].shape[-1])  # (n, n_out)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ _merged_weight(ctx.base, a, b, ctx.scale)).view_as(x)
        # (rank, n) on the left: thin products the other way round take three times as long on a CPU.
        grad_b = ((rows @ a.t()).t() @ grad).t().mul(ctx.scale)
        grad_a = ((grad @ b).t() @ rows).mul_(ctx.scale)
        return grad_x, grad_a, grad_b, None, None
