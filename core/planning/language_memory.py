"""Memory of a language model's run, as the most of its phases: while it is loaded, while it trains (what its blocks
keep, the loss over its vocabulary), and while it is compared with the untouched model.

Counted from causes. Held from step to step: weights (`own_head.weight_bytes`), moments, adapters. At the end of the
forward pass on top of these: what trained blocks keep for backward, half precision's copies of trained matrices, and
the loss. Measured / estimated with SmolLM2: `docs/language-models.md`.
"""

from __future__ import annotations

import math

from core.domain.device import Device
from core.domain.model import (
    KEPT,
    KEPT_BESIDE,
    KEPT_HALF,
    KEPT_HALF_BESIDE,
    KEPT_PAIRS,
    ModelFacts,
    Weights,
)
from core.domain.recipe import Recipe
from core.domain.resolve import precision
from core.models import methods
from core.planning import footprint, own_head

UNMEASURED = {KEPT: 1.0, KEPT_HALF: 0.68, KEPT_BESIDE: 0.92, KEPT_HALF_BESIDE: 0.53, KEPT_PAIRS: 0.0}
"""`ModelFacts.kept` of models that an earlier version looked at (six families: 0.54-0.70 under bf16, 0.53-0.66 beside
adapters, and there, of SmolLM2, 0.08 less since layers share a copy of what they read): products halve, each cast by
itself; norms, rotations and the residual stream stay fp32."""
PUBLISHED_BYTES = 2
"""A weight in its file, which is mapped into memory while fp32 weights are made of it."""


def activations(recipe: Recipe, *, facts: ModelFacts, device: Device, checkpointing: bool) -> int:
    """Bytes beyond weights, moments and adapters at the peak of training and of what is measured after it."""
    tokens = recipe.batch_size * recipe.max_length
    trained = _trained(recipe, facts, device)  # of each block: bytes for the batch
    inside = footprint.FORWARD_SHARE * max(trained, default=0.0)
    held = sum(trained)
    if checkpointing and trained:
        held = min(held, 4.0 * facts.hidden_size * len(trained) * tokens + max(trained))
    at_loss = held + max(inside, own_head.loss_bytes(recipe, facts, device)) if trained else 0.0
    unpacked = 0
    if footprint.in_four_bits(recipe):
        unpacked = _largest_matrix(facts) * (4 if precision(recipe, device) == "fp32" else 2)
    at_loss += _mask(recipe.max_length, recipe.batch_size, facts, device)
    return math.ceil(max(at_loss, _reading(recipe, facts, device), own_head.compared_bytes(facts, device)) + unpacked)


def before_training(recipe: Recipe, *, facts: ModelFacts, device: Device) -> int:
    """Bytes in all while the weights are loaded, and while the untouched model reads the rows that the run is judged
    on, for which it is still in fp32."""
    card = methods.card_of(recipe.method)
    whole = facts.parameters + own_head.parameters(facts)
    if card.weights is Weights.FOUR_BIT:  # packed matrix by matrix; embeddings and output layer pass through fp32
        packed = footprint.bytes_per_4bit_weight(recipe.quantization)
        tables = (facts.vocabulary or 0) * facts.hidden_size + own_head.parameters(facts)
        published = PUBLISHED_BYTES * whole if device.kind == "cpu" else 0
        return (published + own_head.weight_bytes(recipe, facts, device, packed) + 4 * tables
                + footprint.runtime(recipe, device))
    if card.weights is not Weights.PRETRAINED:
        return 0
    half = precision(recipe, device) != "fp32"
    if half and device.kind == "cuda":  # where published weights arrive in 16 bits
        return math.ceil(2 * whole + _reading(recipe, facts, device)) + footprint.runtime(recipe, device)
    loaded = (4 + (PUBLISHED_BYTES if device.kind == "cpu" else 0)) * whole
    table = 2 * (facts.vocabulary or 0) * facts.hidden_size if half else 0  # the output layer in the products' type
    judged = 4 * whole + table + _reading(recipe, facts, device)
    return math.ceil(max(loaded, judged)) + footprint.runtime(recipe, device)


def share(recipe: Recipe, facts: ModelFacts, device: Device, *, beside: bool) -> float:
    """What is kept for backward against the measured bytes of blocks that train in fp32."""
    half = precision(recipe, device) != "fp32"
    name = (KEPT_HALF_BESIDE if beside else KEPT_HALF) if half else (KEPT_BESIDE if beside else KEPT)
    return (facts.kept or {}).get(name, UNMEASURED[name])


def _trained(recipe: Recipe, facts: ModelFacts, device: Device) -> list[float]:
    """Bytes that each block from the first trained one on keeps of a batch."""
    card = methods.card_of(recipe.method)
    if card.solved:
        return []
    tokens = recipe.batch_size * recipe.max_length
    factor = share(recipe, facts, device, beside=card.adapter is not None)
    factor *= 1.0 + (card.adapter.kept if card.adapter else 0.0)
    pairs = (facts.kept or UNMEASURED).get(KEPT_PAIRS, 0.0) * recipe.max_length * tokens
    opened = facts.blocks[footprint.first_trained(recipe, facts):]
    return [factor * footprint.per_unit(block, facts) * tokens + (pairs if block.index else 0.0) for block in opened]


def _mask(length: int, rows: int, facts: ModelFacts, device: Device) -> int:
    """Bytes of the mask of attention for a batch of that many rows. There is none for one row, which has no padding,
    and on a GPU (`LanguageNetwork.reads_no_mask`)."""
    needed = facts.fixed_width or (device.kind != "cuda" and rows > 1)
    return footprint.MASK_BYTES * length * length * rows if needed else 0


def _reading(recipe: Recipe, facts: ModelFacts, device: Device) -> float:
    """Bytes of a pass that keeps nothing: one block's inside, and the logits of a chunk."""
    longest = max((footprint.per_unit(block, facts) for block in facts.blocks), default=0.0)
    tokens = footprint.forward_tokens(recipe.max_length)
    factor = share(recipe, facts, device, beside=False)
    inside, logits = footprint.FORWARD_SHARE * factor * longest * tokens, own_head.chunk_bytes(facts, device, tokens)
    if device.kind == "cuda":  # whose allocator gives back what the blocks took
        return max(inside, logits + 8.0 * facts.hidden_size * tokens)
    return inside + logits + _mask(recipe.max_length, tokens // recipe.max_length, facts, device)


def _largest_matrix(facts: ModelFacts) -> int:
    return max((layer.in_features * layer.out_features for block in facts.blocks for layer in block.linear_layers),
               default=0)
