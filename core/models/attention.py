"""Attention whose backward pass is computed in fp32 under bf16 autocast on a CPU.

torch's fused attention on a CPU is as fast in bf16 as in fp32 forward, but its backward pass is three to nine times
slower (torch 2.14, a processor with AVX512-BF16: a block of 12 heads of 32, 16 rows of 128 tokens, 57 ms against 18 ms;
of 32 tokens 13 ms against 1.4 ms). Here the forward pass stays as it is, bit for bit, and keeps the same bf16 tensors;
they are widened for the moment of the backward pass.

A mask of truth values is turned into numbers once for all blocks of a pass, in either precision: torch does it in every
block and keeps each of them for the backward pass (SmolLM2, 4 rows of 2,048 tokens with padding: 1 GB in bf16, 2 GB in
fp32).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention as torch_attention

MASKS = 2
"""Of a pass: some models have blocks that look at neighbours only beside those that look at all tokens."""
FLASH = 1
"""What `torch._fused_sdp_choice` answers where the fused kernel will be taken."""


@contextmanager
def wide_backward(precision: str, device: str) -> Iterator[None]:
    """While it is open, attention of any model is differentiated as said above, also where activations are recomputed;
    in fp32 only its mask is made once; does nothing on other devices. Models of transformers and timm look torch's
    function up when they call it."""
    if precision in ("bf16", "fp32") and device == "cpu":
        functional.scaled_dot_product_attention = _attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = torch_attention
        _numbers.clear()


_numbers: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}
"""The masks that were met last, and the same as numbers; by where it lies in memory, since each block may be handed a
view of its own."""


def _as_numbers(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What to add to scores: 0 where the mask is True, else minus infinity."""
    key = (mask.data_ptr(), mask.shape, mask.stride(), mask._version, dtype)
    if key not in _numbers:
        made = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)
        while len(_numbers) >= MASKS:
            del _numbers[next(iter(_numbers))]
        _numbers[key] = mask, made
    return _numbers[key][1]


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
               dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
               enable_gqa: bool = False) -> torch.Tensor:
    if torch.is_autocast_enabled("cpu"):  # as autocast itself does
        query, key, value = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (query, key, value))
    wanted = (torch.is_grad_enabled() and query.dtype == torch.bfloat16 and not dropout_p and not enable_gqa
              and any(tensor.requires_grad for tensor in (query, key, value))
              and not (attn_mask is not None and attn_mask.requires_grad))
    if attn_mask is not None and attn_mask.dtype == torch.bool and torch.is_grad_enabled():
        attn_mask = _as_numbers(attn_mask, query.dtype)
    if not wanted or torch._fused_sdp_choice(query, key, value, attn_mask, dropout_p, is_causal, scale=scale) != FLASH:
        return torch_attention(query, key, value, attn_mask=attn_mask, dropout_p=dropout_p, is_causal=is_causal,
                               scale=scale, enable_gqa=enable_gqa)
    return _Fused.apply(query, key, value, attn_mask, is_causal, scale)  # type: ignore[no-any-return]


class _Fused(torch.autograd.Function):
    """torch's fused kernels: forward in the type of its inputs, (n_rows, n_heads, n_tokens, width); backward in
    fp32."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None,
                causal: bool, scale: float | None) -> torch.Tensor:
        out, weights_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, 0.0,
                                                                                      causal, attn_mask=mask,
                                                                                      scale=scale)
        ctx.save_for_backward(query, key, value, out, weights_sum, mask)
        ctx.causal, ctx.scale = causal, scale
        return out  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, weights_sum, mask = ctx.saved_tensors
        wide = [tensor.float() for tensor in (grads[0], query, key, value, out)]
        found = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            *wide, weights_sum, 0.0, ctx.causal, attn_mask=None if mask is None else mask.float(), scale=ctx.scale)
        return (*(grad.to(query.dtype) for grad in found), None, None, None)
