"""What the blocks of a language model keep for the backward pass, as it is trained: in fp32 or under bf16 autocast, and
with frozen weights beside adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from core.domain.model import KEPT, KEPT_BESIDE, KEPT_HALF, KEPT_HALF_BESIDE, KEPT_PAIRS
from core.models import blocks
from core.models.beside_lora import narrowed
from core.models.blocks import Stack

ROWS, TOKENS = 2, 61
"""Size of the batch: a prime number of tokens, by which what grows with them is told from copies of weights."""
PADDING = 3
"""Tokens that the last row lacks: a batch with padding keeps more (keys and values of shared heads, once a head)."""


def measure(body: nn.Module, stack: Stack, ids: torch.Tensor, *, total: float, half: bool = True) -> dict[str, float]:
    """See `ModelFacts.kept`. ids: some token ids. total: bytes a token of all blocks, as `ModelFacts` has them. half:
    whether the model computes in bf16."""
    ids = ids[:TOKENS].repeat(ROWS, 1)  # (n_rows, n_tokens)
    mask = torch.ones_like(ids)
    mask[-1, ids.shape[1] - PADDING:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    whole, pairs = _bytes(body, stack, inputs, half=False, beside=False)
    found = {KEPT: whole / total, KEPT_PAIRS: pairs / stack.size}
    for name, in_half, beside in ((KEPT_HALF, True, False), (KEPT_BESIDE, False, True), (KEPT_HALF_BESIDE, True, True)):
        if half or not in_half:
            found[name] = _bytes(body, stack, inputs, half=in_half, beside=beside)[0] / total
    return {name: round(value, 4) for name, value in found.items()}


def _bytes(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor], *, half: bool,
           beside: bool) -> tuple[float, float]:
    """(bytes a token of everything that grows with the tokens, bytes a pair of tokens of a row and a head for what
    grows with their square) that autograd saves, each storage once. beside: only linear layers train, which keep what
    an adapter on them keeps."""
    n_rows, n_tokens = inputs["input_ids"].shape
    seen = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
    alive: list[torch.Tensor] = []  # so that no address is used again
    by_token = by_pair = 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal by_token, by_pair
        storage = tensor.untyped_storage()
        if storage.data_ptr() in seen:
            return tensor
        seen.add(storage.data_ptr())
        alive.append(tensor)
        shape = tuple(tensor.shape)
        if shape.count(n_tokens) >= 2:
            by_pair += storage.nbytes() if shape[-3:-2] != (1,) else 0  # the mask is one for all blocks
        elif n_tokens in shape or n_rows * n_tokens in shape:
            by_token += storage.nbytes()
        return tensor

    context = torch.autocast("cpu", dtype=torch.bfloat16) if half else nullcontext()
    with _training(body, stack, beside), torch.enable_grad(), context, \
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        body(**inputs)
    return by_token / (n_rows * n_tokens), by_pair / (n_rows * n_tokens ** 2)


@contextmanager
def _training(body: nn.Module, stack: Stack, beside: bool) -> Iterator[None]:
    """While it is open, all parameters train, or the weights of linear layers inside blocks alone; those keep one copy
    in half precision of what several of them read, as `beside_lora` does."""
    names = {f"{layer.name}.weight" for block in blocks.describe(body, stack) for layer in block.linear_layers}
    before, handles = [(parameter, parameter.requires_grad) for parameter in body.parameters()], []
    try:
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(not beside or name in names)
        if beside:
            handles += [module.register_forward_pre_hook(_reads_together) for name, module in body.named_modules()
                        if f"{name}.weight" in names]
        yield
    finally:
        for handle in handles:
            handle.remove()
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)


def _reads_together(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    if not torch.is_autocast_enabled("cpu") or not args:
        return None
    return narrowed(args[0], torch.get_autocast_dtype("cpu")), *args[1:]
