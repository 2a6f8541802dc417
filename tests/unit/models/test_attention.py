"""Attention with a backward pass in fp32: the same outputs, gradients at least as good as torch's own in bf16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from core.models.attention import wide_backward
from tests import tiny

MASKS = {"none": None, "padding": torch.ones(4, 1, 20, 20, dtype=torch.bool), "additive": torch.zeros(4, 1, 20, 20)}
MASKS["padding"][1, :, :, 9:] = False  # type: ignore[index]
MASKS["additive"][1, :, :, 9:] = -1e9  # type: ignore[index]


def attend(dtype: torch.dtype, context: AbstractContextManager[Any], *, mask: torch.Tensor | None = None,
           causal: bool = False) -> tuple[torch.Tensor, list[torch.Tensor]]:
    random = torch.Generator().manual_seed(0)
    tensors = [torch.randn(4, 20, 3, 16, generator=random).transpose(1, 2).to(dtype).requires_grad_() for _ in range(3)]
    mask = mask if mask is None or mask.dtype == torch.bool else mask.to(dtype)
    with context:
        out = functional.scaled_dot_product_attention(*tensors, attn_mask=mask, is_causal=causal)
    out.float().square().sum().backward()
    return out.detach(), [tensor.grad.float() for tensor in tensors]  # type: ignore[union-attr]


@pytest.mark.parametrize(("mask", "causal"), [("none", False), ("none", True), ("padding", False), ("additive", False)])
def test_outputs_are_torchs_and_gradients_no_worse(mask: str, causal: bool) -> None:
    own, grads = attend(torch.bfloat16, wide_backward("bf16", "cpu"), mask=MASKS[mask], causal=causal)
    plain, plain_grads = attend(torch.bfloat16, nullcontext(), mask=MASKS[mask], causal=causal)
    _, exact = attend(torch.float32, nullcontext(), mask=MASKS[mask], causal=causal)
    assert torch.equal(own, plain) and not any(map(torch.equal, grads, plain_grads))
    for found, usual, right in zip(grads, plain_grads, exact, strict=True):
        scale = torch.linalg.vector_norm(right)
        error, usual_error = (float(torch.linalg.vector_norm(grad - right) / scale) for grad in (found, usual))
        assert 0 < error <= 1.1 * usual_error < 0.02


@pytest.mark.parametrize(("precision", "device", "own"), [("bf16", "cpu", True), ("fp32", "cpu", True),
                                                          ("bf16", "cuda", False)])
def test_it_takes_torchs_place_for_a_while_and_only_where_it_is_of_use(precision: str, device: str, own: bool) -> None:
    usual = functional.scaled_dot_product_attention
    with wide_backward(precision, device):
        assert (functional.scaled_dot_product_attention is not usual) == own
    assert functional.scaled_dot_product_attention is usual


def test_fp32_is_left_alone() -> None:
    """bit for bit, whatever was asked for."""
    for context in (wide_backward("fp32", "cpu"), wide_backward("bf16", "cuda"), wide_backward("bf16", "cpu")):
        out, grads = attend(torch.float32, context, mask=MASKS["padding"])
        plain, plain_grads = attend(torch.float32, nullcontext(), mask=MASKS["padding"])
        assert torch.equal(out, plain) and all(map(torch.equal, grads, plain_grads))


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("family", [tiny.bert, tiny.llama, tiny.gpt2])
def test_whole_models_under_autocast(tmp_path: Path, family: Any, recompute: bool) -> None:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(family(tmp_path / "model")).train()
    if recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    ids = torch.randint(5, 60, (3, 12), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0

    def grads(context: AbstractContextManager[Any], bf16: bool) -> torch.Tensor:
        model.zero_grad()
        torch.manual_seed(0)  # dropout
        with context:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                out = model(input_ids=ids, attention_mask=mask).last_hidden_state
            out.float().square().mean().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout_prob"):
            module.dropout_prob = 0.0
    own, exact = grads(wide_backward("bf16", "cpu"), True), grads(nullcontext(), False)
    assert torch.nn.functional.cosine_similarity(own, exact, dim=0) > 0.999


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_mask_is_kept_once_for_all_blocks(precision: str, dtype: torch.dtype) -> None:
    """also where each block is handed a view of its own; and another mask is not taken for it."""
    kept: set[int] = set()
    alive: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape[-2:] == (20, 20):
            kept.add(tensor.untyped_storage().data_ptr())
            alive.append(tensor)
        return tensor

    mask = MASKS["padding"].clone()  # type: ignore[union-attr]
    query = torch.randn(4, 3, 20, 16, dtype=dtype, requires_grad=True)
    with wide_backward(precision, "cpu"), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        first = functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
        functional.scaled_dot_product_attention(first, first, first, attn_mask=mask[:, :, :, :20])
        assert len(kept) == 1
        mask[0, :, :, 3:] = False
        other = functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
    plain = functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)
    assert torch.equal(other, plain) and not torch.equal(other, first)
