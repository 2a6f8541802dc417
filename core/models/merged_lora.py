"""LoRA layers computed as one matrix product: adapters are added to the weight for the moment of the product, never
kept.

peft computes `x W' + s (x A') B'` as a product of the base layer, two thin products and a sum of full activations; a
CPU is slow at thin products. `x (W + s B A)'` is the same function of the same parameters with one product each way;
only the gradients of A and B stay thin. A 1x1 convolution is the same product on the channels of every place. Exact up
to rounding where the adapter has no dropout; under autocast the sum is rounded to the type of the product, as every
weight is in full fine-tuning. Parameters, saving and loading stay peft's.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn


def merge_on_the_fly(body: nn.Module) -> int:
    """Let every plain peft LoRA layer of `body` compute in one product; returns how many.

    Layers with dropout, DoRA, bias, several adapters, and convolutions that look at more than one place keep peft's own
    forward.
    """
    from peft.tuners.lora import LoraLayer

    found = [module for module in body.modules() if isinstance(module, LoraLayer) and is_plain(module)]
    for layer in found:
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign, assignment]
    return len(found)


def is_plain(layer: Any) -> bool:
    """Whether a LoRA layer is one adapter without dropout, bias or DoRA on a linear layer or a plain 1x1 convolution.
    """
    base = layer.get_base_layer()
    adapters = list(layer.active_adapters)
    if len(adapters) != 1 or adapters[0] not in layer.lora_A:
        return False
    name = adapters[0]
    linear = isinstance(base, nn.Linear) and isinstance(layer.lora_A[name], nn.Linear)
    return ((linear or _is_pointwise(base)) and isinstance(layer.lora_dropout[name], nn.Identity)
            and layer.lora_B[name].bias is None and not layer.use_dora.get(name, False))


def _is_pointwise(base: nn.Module) -> bool:
    """Whether a layer is a plain 1x1 convolution."""
    return (type(base) is nn.Conv2d and base.kernel_size == (1, 1) and base.stride == (1, 1) and base.groups == 1
            and not any(base.padding))


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    base = layer.get_base_layer()
    if ((computes_in := product_type(x)) is None or layer.disable_adapters or layer.merged or args or kwargs
        or not is_readable(base)):
        return type(layer).forward(layer, x, *args, **kwargs)  # type: ignore[no-any-return]
    name = layer.active_adapters[0]
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    product = _MergedPointwise if isinstance(base, nn.Conv2d) else _MergedLinear
    with torch.autocast(x.device.type, enabled=False):  # the product is in the type of `x`; the sum before it is not
        return product.apply(x.to(computes_in), a.flatten(1), b.flatten(1), base, layer.scaling[name])  # type: ignore[no-any-return]


def product_type(x: torch.Tensor) -> torch.dtype | None:
    """Type in which a product with `x` is computed here; None where it is neither fp32 nor bf16."""
    kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    return kind if kind in (torch.float32, torch.bfloat16) and x.dtype in (torch.float32, torch.bfloat16) else None


def is_readable(base: nn.Module) -> bool:
    """Whether the weight is there in numbers, or in 4 bits with what is needed to unpack it."""
    weight: torch.Tensor = base.weight  # type: ignore[assignment]
    return weight.is_floating_point() or getattr(weight, "quant_state", None) is not None


def _merged_weight(base: nn.Module, a: torch.Tensor, b: torch.Tensor, scale: float, dtype: torch.dtype) -> torch.Tensor:
    """W + scale · B A, (n_out, n_in), rounded to `dtype` once; a 4-bit weight is unpacked first."""
    weight: torch.Tensor = base.weight  # type: ignore[assignment]
    if (state := getattr(weight, "quant_state", None)) is not None:
        from bitsandbytes.functional import dequantize_4bit

        unpacked = dequantize_4bit(weight, state).to(dtype)
        return unpacked.addmm_(b.to(dtype), a.to(dtype), alpha=scale)
    return torch.addmm(weight.flatten(1).to(a.dtype), b, a, alpha=scale).to(dtype)


class _MergedLinear(torch.autograd.Function):
    """y = x (W + s B A)' + bias, with gradients for x, A and B; W and the bias are frozen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: nn.Module,
                scale: float) -> torch.Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.base, ctx.scale = base, scale
        weight = _merged_weight(base, a, b, scale, x.dtype)
        out = torch.empty((*x.shape[:-1], len(weight)), dtype=x.dtype, device=x.device)
        rows = out.view(-1, len(weight))
        if base.bias is None:
            # not a view of the product: what follows may work in place
            torch.mm(x.reshape(-1, x.shape[-1]), weight.t(), out=rows)
        else:
            torch.addmm(base.bias.to(x.dtype), x.reshape(-1, x.shape[-1]), weight.t(), out=rows)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        grad_x, grad_a, grad_b = _gradients(ctx, x.reshape(-1, x.shape[-1]),
                                            a, b, grads[0].reshape(-1, grads[0].shape[-1]))
        return None if grad_x is None else grad_x.view_as(x), grad_a, grad_b, None, None


class _MergedPointwise(torch.autograd.Function):
    """The same for a 1x1 convolution: a product on the channels of every place, which lie together in a channels-last
    tensor."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: nn.Conv2d,
                scale: float) -> torch.Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.base, ctx.scale = base, scale
        weight = _merged_weight(base, a, b, scale, x.dtype)
        out = torch.empty((x.shape[0], len(weight), *x.shape[2:]), dtype=x.dtype, device=x.device,
                          memory_format=torch.channels_last)
        places = out.permute(0, 2, 3, 1).view(-1, len(weight))
        # not a view of the product: the activation after it may work in place
        torch.mm(_places(x), weight.t(), out=places)
        return out if base.bias is None else out.add_(base.bias.to(x.dtype).view(-1, 1, 1))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, a, b = ctx.saved_tensors
        grad_x, grad_a, grad_b = _gradients(ctx, _places(x), a, b, _places(grads[0]))
        n, _, height, width = x.shape
        return (None if grad_x is None else grad_x.view(n, height, width, -1).permute(0, 3, 1, 2), grad_a, grad_b, None,
                None)


def _places(x: torch.Tensor) -> torch.Tensor:
    """(n_rows * height * width, channels) of a feature map; no copy where it is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _gradients(ctx: Any, rows: torch.Tensor, a: torch.Tensor, b: torch.Tensor,
               grad: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
    """Of x, where wanted, and of A and B. rows: (n, n_in); grad: (n, n_out). Saved tensors can be read once only under
    checkpointing."""
    grad_x = grad @ _merged_weight(ctx.base, a, b, ctx.scale, grad.dtype) if ctx.needs_input_grad[0] else None
    thin_a, thin_b = a.to(grad.dtype), b.to(grad.dtype)
    # (rank, n) on the left: thin products the other way round take three times as long on a CPU.
    grad_b = ((rows @ thin_a.t()).t() @ grad).t().to(b.dtype).mul(ctx.scale)
    grad_a = ((grad @ thin_b).t() @ rows).to(a.dtype).mul_(ctx.scale)
    return grad_x, grad_a, grad_b
