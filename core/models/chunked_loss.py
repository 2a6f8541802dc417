"""Cross-entropy over a vocabulary without ever holding the logits of a batch.

Only tokens that are taught are multiplied with the vocabulary, a chunk of them at a time. A token's loss depends on its
own hidden state alone, so that its gradient can be computed in the forward pass, while the chunk's logits are there,
and scaled by whatever comes back later: two products with the vocabulary instead of three (as Liger's kernels do on a
GPU; Hsu et al. 2024, arXiv 2410.10989). Where the output layer trains, its gradient is summed in the same pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from core.models.language import LanguageHead

IGNORED = -100
"""Label of a token that is not taught, as everywhere in transformers."""
CHUNK_TOKENS = {"cpu": 256, "cuda": 2048}
"""Taught tokens whose logits are there together."""


def token_losses(hidden: torch.Tensor, head: LanguageHead, labels: torch.Tensor,
                 chunk_tokens: int = 0) -> dict[str, torch.Tensor]:
    """What each token cost, at the place of the token itself (its label is compared with what the token before it
    says).

    hidden: (n_rows, n_tokens, width). labels: (n_rows, n_tokens), the tokens themselves, −100 where not taught; the
    first of a row never is. chunk_tokens: 0 = as measured to be fast. Returns `losses` (n_rows, n_tokens) in nats,
    fp32, 0 where not taught; `right` (bool): whether the token is the likeliest; `taught` (bool).
    """
    taught = labels != IGNORED
    taught[:, 0] = False
    places = taught.flatten().nonzero().squeeze(1)  # (n_taught,)
    states = hidden.flatten(0, 1).index_select(0, places - 1)  # (n_taught, width)
    chunk = chunk_tokens or CHUNK_TOKENS.get(hidden.device.type, CHUNK_TOKENS["cpu"])
    found, right = _Chunked.apply(states, head.weight, head.bias, labels.flatten()[places], head, chunk)
    losses = torch.zeros(labels.numel(), device=hidden.device).index_copy(0, places, found)
    every = torch.zeros(labels.numel(), dtype=torch.bool, device=hidden.device).index_copy(0, places, right)
    return {"losses": losses.view(labels.shape), "right": every.view(labels.shape), "taught": taught}


def product_type(hidden: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    """Type in which hidden states are multiplied with the vocabulary: what autocast says, else the wider of the
    two."""
    kind = hidden.device.type
    if torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return torch.promote_types(hidden.dtype, weight.dtype)


class _Chunked(torch.autograd.Function):
    """(n_taught, width) hidden states -> losses (n_taught,) in fp32, and whether each token is the likeliest."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor,
                head: LanguageHead, chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
        kind = product_type(states, weight)
        wanted = ctx.needs_input_grad[:3]
        unit = torch.empty_like(states) if wanted[0] else None
        losses = torch.empty(len(states), device=states.device)
        right = torch.empty(len(states), dtype=torch.bool, device=states.device)
        sums = _Sums(weight if wanted[1] else None, bias if wanted[2] else None)
        with torch.autocast(states.device.type, enabled=False):
            narrow = weight.detach().to(kind)
            for start in range(0, len(states), chunk):
                part = slice(start, start + chunk)
                inputs = states[part].to(kind)
                logits, slope = head.finished(_product(inputs, narrow, bias))
                # (n_chunk, n_vocabulary) fp32, the only copy: log-probabilities, then the gradient of the logits
                said = torch.log_softmax(logits, -1, dtype=torch.float32)
                at = targets[part].unsqueeze(1)
                losses[part] = -said.gather(1, at).squeeze(1)
                right[part] = logits.argmax(-1) == targets[part]
                if not any(wanted):
                    continue
                grad = _gradient(said, at, slope).to(kind)
                if unit is not None:
                    unit[part] = grad @ narrow
                sums.add(grad, inputs)
        ctx.save_for_backward(states, weight, bias, targets, unit, sums.weight, sums.bias)
        ctx.head, ctx.chunk, ctx.kind = head, chunk, kind
        ctx.mark_non_differentiable(right)
        return losses, right

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight, bias, targets, unit, weight_sum, bias_sum = ctx.saved_tensors
        share = grads[0]
        grad_states = None if unit is None else unit * share.unsqueeze(1).to(unit.dtype)
        if weight_sum is None and bias_sum is None:
            return grad_states, None, None, None, None, None
        if len(share) and bool((share == share[0]).all()):  # a sum or a mean: the usual loss
            weight_sum, bias_sum = (None if total is None else total * share[0] for total in (weight_sum, bias_sum))
        else:
            weight_sum, bias_sum = _weighted(ctx, states, weight, bias, targets, share)
        return (grad_states, None if weight_sum is None else weight_sum.to(weight.dtype),
                None if bias_sum is None else bias_sum.to(bias.dtype), None, None, None)


class _Sums:
    """Gradients of the output layer, summed over chunks in fp32."""

    def __init__(self, weight: torch.Tensor | None, bias: torch.Tensor | None) -> None:
        self.weight = None if weight is None else torch.zeros_like(weight, dtype=torch.float32)
        self.bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)

    def add(self, grad: torch.Tensor, inputs: torch.Tensor) -> None:
        """grad: (n_chunk, n_vocabulary); inputs: (n_chunk, width)."""
        if self.weight is not None:
            if grad.dtype == self.weight.dtype:
                self.weight.addmm_(grad.t(), inputs)
            else:
                self.weight += grad.t() @ inputs
        if self.bias is not None:
            self.bias += grad.sum(0, dtype=torch.float32)


def _product(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return nn.functional.linear(inputs, weight, None if bias is None else bias.detach().to(weight.dtype))


def _gradient(said: torch.Tensor, at: torch.Tensor, slope: torch.Tensor | float) -> torch.Tensor:
    """Of the loss by the raw logits, in place of the log-probabilities. at: (n_chunk, 1), the right tokens."""
    said.exp_()
    said.scatter_add_(1, at, torch.full_like(at, -1, dtype=said.dtype))
    return said if isinstance(slope, float) and slope == 1.0 else said.mul_(slope)


def _weighted(ctx: Any, states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor,
              share: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Gradients of the output layer where tokens count differently: the logits are computed once more."""
    sums = _Sums(weight if ctx.needs_input_grad[1] else None, bias if ctx.needs_input_grad[2] else None)
    with torch.autocast(states.device.type, enabled=False):
        narrow = weight.detach().to(ctx.kind)
        for start in range(0, len(states), ctx.chunk):
            part = slice(start, start + ctx.chunk)
            inputs = states[part].to(ctx.kind)
            logits, slope = ctx.head.finished(_product(inputs, narrow, bias))
            grad = _gradient(torch.log_softmax(logits, -1, dtype=torch.float32), targets[part].unsqueeze(1), slope)
            sums.add(grad.mul_(share[part].unsqueeze(1)).to(ctx.kind), inputs)
    return sums.weight, sums.bias
