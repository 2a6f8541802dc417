"""What a language model costs beyond its blocks: its own output layer, the loss over a vocabulary, and weights that are
held in 16 bits while they do not train."""

from __future__ import annotations

from core import tasks
from core.domain.device import Device
from core.domain.freeze import HEAD, FreezePlan
from core.domain.model import ModelFacts, Weights
from core.domain.recipe import Recipe
from core.domain.resolve import precision
from core.models import methods

CHUNK_BYTES = {"cpu": 100_000_000, "cuda": 400_000_000}
"""Logits that are there together, as `core.models.chunked_loss` bounds them."""
BYTES_A_LOGIT, BYTES_HELD = 8, 16
COMPARED_BYTES = {"cpu": 160_000_000, "cuda": 400_000_000}
"""What words of two models take while they are compared, as `core.training.panel_states` bounds it."""


def applies(recipe: Recipe) -> bool:
    """Whether the base model's own output layer is used."""
    return not tasks.card(recipe.task).new_head


def plan(recipe: Recipe, facts: ModelFacts) -> FreezePlan:
    """The freeze plan in force; nothing trains where the method only measures the untouched model."""
    return methods.card_of(recipe.method).plan(recipe, facts.block_names)


def parameters(facts: ModelFacts) -> int:
    """Of an output layer that is not the embedding."""
    return 0 if facts.tied_head else (facts.vocabulary or 0) * facts.hidden_size


def trained(recipe: Recipe, facts: ModelFacts) -> int:
    """Of these, those that train."""
    card = methods.card_of(recipe.method)
    return 0 if card.adapter or card.solved or plan(recipe, facts).is_frozen(HEAD) else parameters(facts)


def weight_bytes(recipe: Recipe, facts: ModelFacts, device: Device, packed: float) -> int:
    """Bytes of all weights but adapters: what trains in fp32; what does not in fp32, or, in half precision, matrices
    and embeddings in 16 bits. packed: bytes of a 4-bit weight; embeddings and output layer are then in 16 bits, too."""
    card, in_force = methods.card_of(recipe.method), plan(recipe, facts)
    four_bit, half = card.weights is Weights.FOUR_BIT, precision(recipe, device) != "fp32"
    fixed = card.adapter is not None or card.solved
    table = 2 if half or four_bit else 4
    total = 0.0
    for block in facts.blocks:
        if not (fixed or in_force.is_frozen(block.name)):
            total += 4 * block.parameters
        elif not block.linear_layers and block.index == 0:
            total += table * block.parameters
        else:
            linear = block.linear_parameters
            total += 4 * (block.parameters - linear) + linear * (packed if four_bit else 2 if half else 4)
    total += 4 * sum(part.parameters for part in facts.shared or ())
    return round(total + (4 if trained(recipe, facts) else table) * parameters(facts))


def chunk_bytes(facts: ModelFacts, device: Device, tokens: int, *, two: bool = False) -> int:
    """Bytes of the logits that are there together. two: of the tuned and the base model, in chunks of half as many
    tokens."""
    most = CHUNK_BYTES.get(device.kind, CHUNK_BYTES["cpu"])
    if two:
        return min(most, BYTES_HELD * (facts.vocabulary or 0) * tokens)
    held = 0.75 if device.kind == "cuda" else 1.0  # of fp32 and twice half precision, what is held: half precision once
    return round(held * min(most, BYTES_A_LOGIT * (facts.vocabulary or 0) * tokens))


def compared_bytes(facts: ModelFacts, device: Device) -> int:
    """Bytes of the comparison with the untouched model: words of both, and its output layer as published."""
    published = 2 * (facts.vocabulary or 0) * facts.hidden_size
    return published + COMPARED_BYTES.get(device.kind, COMPARED_BYTES["cpu"])


def loss_bytes(recipe: Recipe, facts: ModelFacts, device: Device) -> int:
    """Bytes of the loss while all activations are there: the last states once more, with their gradient, and logits of
    a chunk; where the output layer (or the embedding that it is) trains, its gradient, and in half precision its
    product and its copy."""
    vocabulary = facts.vocabulary or 0
    tokens = recipe.batch_size * recipe.max_length
    card = methods.card_of(recipe.method)
    found = chunk_bytes(facts, device, tokens, two=card.to_base > 0) + 8 * facts.hidden_size * tokens
    if card.to_base:  # the base model's last states, and those of taught tokens once more
        found += 8 * facts.hidden_size * tokens
    tied_trains = facts.tied_head and not (card.adapter or card.solved or plan(recipe, facts).is_frozen("embeddings"))
    half = precision(recipe, device) != "fp32"
    if tied_trains or trained(recipe, facts):
        found += vocabulary * facts.hidden_size * (4 + (4 if half else 0))
    return found


def flops_per_token(facts: ModelFacts) -> float:
    """Of the output layer in a forward pass."""
    return 2.0 * (facts.vocabulary or 0) * facts.hidden_size
