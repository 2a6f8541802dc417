"""Cross-entropy over a vocabulary without ever holding the logits of a batch.

Only tokens that are taught are multiplied with the vocabulary, a chunk of them at a time. A token's loss depends on its
own hidden state alone, so that its gradient can be computed in the forward pass, while the chunk's logits are there,
and scaled by whatever comes back later: two products with the vocabulary instead of three (as Liger's kernels do on a
GPU; Hsu et al. 2024, arXiv 2410.10989). Where the output layer trains, its gradient is summed in the same pass. All
chunks use the same memory: on a CPU, new pages cost as much as a product (SmolLM2, 1,024 tokens, one thread: 1.3 s as
torch's plain cross-entropy, 1.1 s in chunks, 0.8 s in chunks of the same memory).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from core.models.language import LanguageHead

IGNORED = -100
"""Label of a token that is not taught, as everywhere in transformers."""
BYTES_A_LOGIT = 8
"""In memory at once: in fp32, and twice in half precision (the logit, and its gradient)."""
BYTES_HELD = 16
"""Of two models, in memory at once: three times in fp32 (both log-probabilities, and the base model's probabilities),
and twice in half precision. A chunk has half as many tokens, and takes no more."""
CHUNK_BYTES = {"cpu": 100_000_000, "cuda": 400_000_000}
"""What a chunk may take: 254 tokens of SmolLM2 on a CPU; on a GPU 329 of Qwen 2.5, as many as keep it computing."""
LEAST_TOKENS = 16
FEW_PASSES = ("cuda",)
"""Devices on which a pass over the logits costs as much as a part of the product does, and new memory nothing."""


def places_of(labels: torch.Tensor) -> torch.Tensor:
    """(n_taught,): where taught tokens stand in the rows, laid end to end; the first of a row never is one.

    Of labels on a CPU, found without waiting: a GPU would have to finish all that it was told before it could say how
    many there are.
    """
    taught = labels != IGNORED
    taught[:, 0] = False
    return taught.flatten().nonzero().squeeze(1)


def token_losses(hidden: torch.Tensor, head: LanguageHead, labels: torch.Tensor, chunk_tokens: int = 0,
                 places: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """What each token cost, at the place of the token itself (its label is compared with what the token before it
    says).

    hidden: (n_rows, n_tokens, width). labels: (n_rows, n_tokens), the tokens themselves, −100 where not taught; the
    first of a row never is. chunk_tokens: 0 = as measured to be fast. places: `places_of` the labels.
    Returns `losses` (n_rows, n_tokens) in nats, fp32, 0 where not taught; `right` (bool): whether the token is the
    likeliest; `taught` (bool).
    """
    places = places_of(labels) if places is None else places
    states = hidden.flatten(0, 1).index_select(0, places - 1)  # (n_taught, width)
    chunk = chunk_tokens or _chunk(hidden, head, BYTES_A_LOGIT)
    weight, bias = head.weight, head.bias
    if not torch.is_grad_enabled():  # an autograd function is told what could need a gradient, not whether any will
        states, weight, bias = states.detach(), weight.detach(), None if bias is None else bias.detach()
    found, right = _Chunked.apply(states, weight, bias, labels.flatten()[places], head, chunk)
    return _in_place(labels, places, losses=found, right=right)


def held_losses(hidden: torch.Tensor, base: torch.Tensor, head: LanguageHead, labels: torch.Tensor, *, strength: float,
                chunk_tokens: int = 0, places: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """The same with strength · KL(base ‖ tuned) added to what each token cost: of the base model's and the tuned one's
    probabilities of all words at its place, through one output layer, which must not train.

    base: (n_rows, n_tokens, width), the base model's hidden states, without gradient. All else as of `token_losses`.
    Also `divergences` (n_rows, n_tokens): KL by itself, in nats, without gradient. Raises ValueError for an output
    layer that trains, since the base model's would be gone.
    """
    if head.weight.requires_grad or (head.bias is not None and head.bias.requires_grad):
        raise ValueError("the output layer trains: what the base model said can no longer be computed with it")
    places = places_of(labels) if places is None else places
    states, untouched = (of.flatten(0, 1).index_select(0, places - 1) for of in (hidden, base.detach()))
    chunk = chunk_tokens or _chunk(hidden, head, BYTES_HELD)
    losses, divergences, right = _ChunkedHeld.apply(states, untouched, labels.flatten()[places], head, chunk, strength)
    return _in_place(labels, places, losses=losses, divergences=divergences, right=right)


def _chunk(hidden: torch.Tensor, head: LanguageHead, bytes_a_logit: int) -> int:
    """Tokens whose logits are there together."""
    most = CHUNK_BYTES.get(hidden.device.type, CHUNK_BYTES["cpu"])
    return max(LEAST_TOKENS, most // (bytes_a_logit * head.vocabulary))


def _in_place(labels: torch.Tensor, places: torch.Tensor, **found: torch.Tensor) -> dict[str, torch.Tensor]:
    """Values of taught tokens (n_taught,) where these stand in the rows, zeros elsewhere; and `taught`."""
    taught = labels != IGNORED
    taught[:, 0] = False
    return {name: torch.zeros(labels.numel(), dtype=values.dtype, device=values.device)
            .index_copy(0, places, values).view(labels.shape) for name, values in found.items()} | {"taught": taught}


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
        ctx.head, ctx.chunk, ctx.kind = head, chunk, product_type(states, weight)
        wanted = ctx.needs_input_grad[:3]
        unit = torch.empty_like(states) if wanted[0] else None
        losses = torch.empty(len(states), device=states.device)
        right = torch.empty(len(states), dtype=torch.bool, device=states.device)
        sums = _Sums(weight if wanted[1] else None, bias if wanted[2] else None)
        with torch.autocast(states.device.type, enabled=False):
            for part, inputs, room in _chunks(ctx, states, weight, bias):
                losses[part], likeliest = room.losses(targets[part])
                right[part] = likeliest == targets[part]
                if any(wanted):
                    grad = room.gradient(targets[part])
                    if unit is not None:
                        unit[part] = grad @ room.weight
                    sums.add(grad, inputs)
        ctx.save_for_backward(states, weight, bias, targets, unit, sums.weight, sums.bias)
        ctx.mark_non_differentiable(right)
        return losses, right

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, weight, bias, targets, unit, weight_sum, bias_sum = ctx.saved_tensors
        share = grads[0]
        grad_states = None if unit is None else unit * share.unsqueeze(1).to(unit.dtype)
        if weight_sum is None and bias_sum is None:
            return grad_states, None, None, None, None, None
        sums = _Sums(None, None)
        if len(share) and not bool((share == share[0]).all()):  # not a sum or a mean: the logits are needed once more
            sums = _Sums(weight if weight_sum is not None else None, bias if bias_sum is not None else None)
            with torch.autocast(states.device.type, enabled=False):
                for part, inputs, room in _chunks(ctx, states, weight, bias):
                    room.losses(targets[part])
                    sums.add(room.gradient(targets[part], share[part]), inputs)
        else:
            factor = share[0] if len(share) else 1.0  # in place: they are as large as the weight
            sums.weight, sums.bias = (None if total is None else total.mul_(factor) for total in (weight_sum, bias_sum))
        return (grad_states, None if sums.weight is None else sums.weight.to(weight.dtype),
                None if sums.bias is None or bias is None else sums.bias.to(bias.dtype), None, None, None)


class _ChunkedHeld(torch.autograd.Function):
    """(n_taught, width) hidden states of the tuned and the base model -> losses with the penalty and KL (n_taught,) in
    fp32, and whether each token is the likeliest. The gradient by the tuned model's logits is
    q − onehot + strength · (q − p), q what it says and p what the base model does."""

    @staticmethod
    def forward(ctx: Any, states: torch.Tensor, base: torch.Tensor, targets: torch.Tensor, head: LanguageHead,
                chunk: int, strength: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        kind = product_type(states, head.weight)
        weight, bias = head.weight.detach().to(kind), None if head.bias is None else head.bias.detach()
        unit = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        losses, divergences = (torch.empty(len(states), device=states.device) for _ in range(2))
        right = torch.empty(len(states), dtype=torch.bool, device=states.device)
        with torch.autocast(states.device.type, enabled=False):
            tuned, untouched = (_Room(head, weight, bias, min(chunk, len(states))) for _ in range(2))
            for start in range(0, len(states), chunk):
                part = slice(start, start + chunk)
                at = targets[part].unsqueeze(1)
                tuned.enter(states[part].to(kind))
                untouched.enter(base[part].to(kind))
                right[part] = tuned.wide.argmax(-1) == targets[part]
                for room in (tuned, untouched):  # log-probabilities, in the same memory
                    room.wide.sub_(room.wide.logsumexp(-1, keepdim=True))
                said = untouched.wide.exp()
                divergences[part] = untouched.wide.sub_(tuned.wide).mul_(said).sum(-1)
                losses[part] = strength * divergences[part] - tuned.wide.gather(1, at).squeeze(1)
                if unit is None:
                    continue
                grad = tuned.wide.exp_().mul_(1 + strength).sub_(said, alpha=strength)
                grad.scatter_add_(1, at, torch.full_like(at, -1, dtype=grad.dtype))
                if tuned.slope is not None:
                    grad.mul_(tuned.slope)
                unit[part] = (grad if tuned.wide is tuned.narrow else tuned.narrow.copy_(grad)) @ weight
        ctx.save_for_backward(unit)
        ctx.mark_non_differentiable(divergences, right)
        return losses, divergences, right

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (unit,) = ctx.saved_tensors
        return (None if unit is None else unit * grads[0].unsqueeze(1).to(unit.dtype), None, None, None, None, None)


def _chunks(ctx: Any, states: torch.Tensor, weight: torch.Tensor,
            bias: torch.Tensor | None) -> Iterator[tuple[slice, torch.Tensor, _Room]]:
    """(place, hidden states (n_chunk, width) in the type of the product, their logits) chunk by chunk, all in one and
    the same memory."""
    few = (states.device.type in FEW_PASSES and ctx.kind != torch.float32 and bias is None
           and ctx.head.cap is None and ctx.head.scale == 1.0)
    room = (_FewPasses if few else _Room)(ctx.head, weight.detach().to(ctx.kind),
                                          None if bias is None else bias.detach(), min(ctx.chunk, len(states)))
    for start in range(0, len(states), ctx.chunk):
        part = slice(start, start + ctx.chunk)
        inputs = states[part].to(ctx.kind)
        room.enter(inputs)
        yield part, inputs, room


class _Room:
    """Memory for the logits of one chunk: as the product gives them, in fp32, and what their gradient is."""

    def __init__(self, head: LanguageHead, weight: torch.Tensor, bias: torch.Tensor | None, tokens: int) -> None:
        self.head, self.weight, self.bias = head, weight, bias
        self._wide = weight.new_empty((tokens, len(weight)), dtype=torch.float32)
        self._narrow = self._wide if weight.dtype == torch.float32 else weight.new_empty((tokens, len(weight)))

    def enter(self, inputs: torch.Tensor) -> None:
        """Compute the logits of these hidden states, finished as the model's own are."""
        self.wide, self.narrow = self._wide[:len(inputs)], self._narrow[:len(inputs)]
        torch.mm(inputs, self.weight.t(), out=self.narrow)
        if self.wide is not self.narrow:
            self.wide.copy_(self.narrow)
        if self.bias is not None:
            self.wide += self.bias
        self.slope = self.head.finish(self.wide)

    def losses(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(−log p of the right tokens, the likeliest ones); the logits become e to their power, less the largest."""
        largest, likeliest = self.wide.max(-1, keepdim=True)
        at = self.wide.gather(1, targets.unsqueeze(1)) - largest
        self.wide.sub_(largest).exp_()
        self.total = self.wide.sum(-1, keepdim=True)
        return (self.total.log() - at).squeeze(1), likeliest.squeeze(1)

    def gradient(self, targets: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
        """(n_chunk, n_vocabulary): of the losses (each times its share) by the products, in the products' type."""
        self.wide.div_(self.total)
        at = targets.unsqueeze(1)
        self.wide.scatter_add_(1, at, torch.full_like(at, -1, dtype=self.wide.dtype))
        for factor in (self.slope, None if share is None else share.unsqueeze(1)):
            if factor is not None:
                self.wide.mul_(factor)
        return self.wide if self.wide is self.narrow else self.narrow.copy_(self.wide)


class _FewPasses(_Room):
    """The same in half precision where the logits are the product itself, in 22 bytes read and written a logit instead
    of 46."""

    def __init__(self, head: LanguageHead, weight: torch.Tensor, bias: torch.Tensor | None, tokens: int) -> None:
        self.head, self.weight, self.bias = head, weight, bias
        self._narrow = weight.new_empty((tokens, len(weight)))

    def enter(self, inputs: torch.Tensor) -> None:
        self.wide, self.narrow = self._narrow[:0], self._narrow[:len(inputs)]  # what the chunk before held is free
        torch.mm(inputs, self.weight.t(), out=self.narrow)

    def losses(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.wide = torch.log_softmax(self.narrow, -1, dtype=torch.float32)
        return -self.wide.gather(1, targets.unsqueeze(1)).squeeze(1), self.narrow.argmax(-1)

    def gradient(self, targets: torch.Tensor, share: torch.Tensor | None = None) -> torch.Tensor:
        at = targets.unsqueeze(1)
        right = self.wide.gather(1, at).exp_().sub_(1)  # in fp32: it may be small
        torch.exp(self.wide, out=self.narrow)
        self.narrow.scatter_(1, at, right.to(self.narrow.dtype))
        return self.narrow if share is None else self.narrow.mul_(share.unsqueeze(1))


class _Sums:
    """Gradients of the output layer, summed over chunks in fp32."""

    def __init__(self, weight: torch.Tensor | None, bias: torch.Tensor | None) -> None:
        self.weight = None if weight is None else torch.zeros_like(weight, dtype=torch.float32)
        self.bias = None if bias is None else torch.zeros_like(bias, dtype=torch.float32)
        self._product: torch.Tensor | None = None

    def add(self, grad: torch.Tensor, inputs: torch.Tensor) -> None:
        """grad: (n_chunk, n_vocabulary); inputs: (n_chunk, width)."""
        if self.bias is not None:
            self.bias += grad.sum(0, dtype=torch.float32)
        if self.weight is None:
            return
        if grad.dtype == self.weight.dtype:
            self.weight.addmm_(grad.t(), inputs)
            return
        if self._product is None:
            self._product = torch.empty_like(self.weight, dtype=grad.dtype)
        self.weight += torch.mm(grad.t(), inputs, out=self._product)
