"""LoRA layers of language models in one step each way: the frozen product, and the thin ones added to it in place.

The same function as peft's, `x W' + s (x A') B'`, of the same parameters, without its casts and sums of whole
activations. Unlike `merged_lora` the adapter is not added to the weight: a published bf16 weight lies exactly on bf16's
grid, and updates smaller than half a step of it would vanish. With a thousand tokens a step the thin products cost a
twentieth of the frozen one, no more than adding the adapter to the weight does. On a GPU, which waits to be told each
of them, there are half as many operations; and a 4-bit layer hands on half precision, where peft's hands on fp32.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn

from core.models.merged_lora import is_plain, is_readable

TYPES = (torch.float32, torch.bfloat16, torch.float16)


def compute_beside(body: nn.Module) -> int:
    """Let every plain peft LoRA layer on a linear layer of `body` compute so; returns how many."""
    from peft.tuners.lora import LoraLayer

    found = [module for module in body.modules() if isinstance(module, LoraLayer) and is_plain(module)
             and isinstance(module.get_base_layer(), nn.Linear)]
    for layer in found:
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign, assignment]
    return len(found)


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    base = layer.get_base_layer()
    kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    fits = kind in TYPES and x.dtype in TYPES and is_readable(base)
    if not fits or layer.disable_adapters or layer.merged or args or kwargs:
        return type(layer).forward(layer, x, *args, **kwargs)  # type: ignore[no-any-return]
    name = layer.active_adapters[0]
    with torch.autocast(x.device.type, enabled=False):
        return _Beside.apply(narrowed(x, kind), layer.lora_A[name].weight, layer.lora_B[name].weight, base,  # type: ignore[no-any-return]
                             layer.scaling[name])


def narrowed(x: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """`x` in that type; layers that read the same tensor (queries, keys and values) keep one copy of it together."""
    if x.dtype == kind or x.is_inference():
        return x.to(kind)
    state = (kind, x._version, x.requires_grad and torch.is_grad_enabled())
    if getattr(x, "narrowed_as", None) != state:
        x.narrowed, x.narrowed_as = x.to(kind), state  # type: ignore[attr-defined]
    return x.narrowed  # type: ignore[attr-defined, no-any-return]


def _weight(base: nn.Module, dtype: torch.dtype) -> torch.Tensor:
    """The frozen weight (n_out, n_in), out of 4 bits where it is held so."""
    weight: torch.Tensor = base.weight  # type: ignore[assignment]
    if (state := getattr(weight, "quant_state", None)) is not None:
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(weight, state).to(dtype)
    return weight.to(dtype)


class _Beside(torch.autograd.Function):
    """y = x W' + bias + s (x A') B', with gradients for x, A and B; W and the bias are frozen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: nn.Module,
                scale: float) -> torch.Tensor:
        weight, rows = _weight(base, x.dtype), x.reshape(-1, x.shape[-1])
        narrow_a, narrow_b = a.to(x.dtype), b.to(x.dtype)
        thin = rows @ narrow_a.t()  # (n, rank)
        out = torch.empty((*x.shape[:-1], len(weight)), dtype=x.dtype, device=x.device)
        product = out.view(-1, len(weight))
        if base.bias is None:
            torch.mm(rows, weight.t(), out=product)
        else:
            torch.addmm(base.bias.to(x.dtype), rows, weight.t(), out=product)
        product.addmm_(thin, narrow_b.t(), alpha=scale)
        ctx.save_for_backward(x, thin, narrow_a, narrow_b)
        ctx.base, ctx.scale, ctx.dtypes = base, scale, (a.dtype, b.dtype)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, thin, a, b = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        back = (grad @ b).mul_(ctx.scale)  # (n, rank)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ _weight(ctx.base, grad.dtype)).addmm_(back, a).view_as(x)
        # (rank, n) on the left: thin products the other way round take three times as long on a CPU
        grad_a = (back.t() @ x.reshape(-1, x.shape[-1])).to(ctx.dtypes[0])
        grad_b = (thin.t() @ grad).t().to(ctx.dtypes[1]).mul(ctx.scale)
        return grad_x, grad_a, grad_b, None, None
