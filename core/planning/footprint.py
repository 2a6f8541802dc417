"""Counting parameters, bytes and floating-point operations of a recipe: the arithmetic under the estimate."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from core import tasks
from core.domain.device import Device
from core.domain.freeze import BIASES, FreezePlan
from core.domain.model import Block, ModelFacts, Weights
from core.domain.recipe import FORWARD_ROWS, FORWARD_TOKENS, QuantSpec, Recipe
from core.domain.resolve import precision
from core.models import methods
from core.planning import own_head
from core.tasks.base import Unit

ABSMAX_BLOCK = 64
"""Weights that share one scale factor in bitsandbytes' 4-bit storage."""
DOUBLE_BLOCK = 256
"""Scale factors that share one second-level fp32 scale under double quantisation (Dettmers et al. 2023, section 3)."""
HALF_PRECISION_ACTIVATIONS, HALF_PRECISION_MAPS = 0.63, 0.54
"""What is kept for backward under bf16 autocast against fp32, in transformers and in networks of convolutions: products
halve, norms, softmax and the residual stream stay fp32 (counted: MiniLM, EfficientNet-Lite0)."""
AUTOCAST_COPY_BYTES = 2
"""Autocast keeps a half-precision copy of each matrix weight that needs a gradient, for the length of a step."""
FOUR_BIT_INPUT_BYTES = 1.5
"""A GPU keeps the input of a 4-bit layer with an adapter once more under half precision, a number at a time (H100: 1.2
with MiniLM, 2.0 with a Llama of 1.2 billion weights)."""
FORWARD_SHARE = 0.6
"""Of what a transformer block keeps for backward, what is in memory at once when nothing is kept: its input, what
enters its two-layer network, and that network's inside twice ((2 + 8) · width · 4 of 16 · width · 4 bytes)."""
FORWARD_PICTURE_SHARE = 0.5
"""Of what a stage of a picture model keeps for backward, what is in memory at once when nothing is kept: about three of
its feature maps (measured: EfficientNet-Lite0, 32 pictures of 224, 0.6 GB)."""
KEPT_PER_INPUT = 17
"""Activations of a transformer block against its input (34 · width · 2 bytes in half precision; Korthikanti et al.
2022).
"""
RUNTIME_BYTES = {"cpu": 22_000_000, "cuda": 6_000_000}
"""Libraries' thread buffers and tokenised rows (a MiniLM run on a 2-core CPU with AVX512-BF16, and on an H100)."""
HALF_RUNTIME_BYTES = {"cpu": 35_000_000, "cuda": 0}
"""What training in half precision adds to them (measured: MiniLM)."""
MASK_BYTES = 9
"""A pair of tokens of a text in the mask of attention: as a truth value and twice as a number (fits MiniLM at 512)."""
SHARE_AVAILABLE = {"cpu": 0.8, "cuda": 0.92}
"""Of the device's memory, what a run may plan with: the rest is the system's and the web process's (CPU) or the
driver's (CUDA).
"""
UNKNOWN_DEVICE = Device(
    kind="cpu", name="not measured yet", memory_bytes=8 * 2**30, cores=2, fp32_gflops=100.0, bf16_gflops=0.0,
    precision="fp32", versions={}, measured=0.0)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Parameter counts of a recipe and the bytes of its weights in memory (adapters not included)."""

    body: int
    head: int
    adapter: int
    trainable: int
    """Head, adapters, open blocks."""
    new: int
    """Of these, a new head: what was never pretrained."""
    trainable_linear: int
    """Of the trained body, weights of linear layers."""
    weight_bytes: int

    @property
    def total(self) -> int:
        return self.body + self.head + self.adapter


def effective_plan(recipe: Recipe, facts: ModelFacts) -> FreezePlan:
    """The freeze plan in force: the recipe's, for methods that follow it, or the method's own."""
    return methods.card_of(recipe.method).plan(recipe, facts.block_names)


def first_trained(recipe: Recipe, facts: ModelFacts) -> int:
    """Index of the shallowest block that trains or holds an adapter; the head's index when none does.

    Activations are kept from here on, and everything below may be computed once and cached.
    """
    adapter = methods.card_of(recipe.method).adapter
    if adapter is None:
        return effective_plan(recipe, facts).first_trainable(facts.block_names)
    chosen = {layer.name for layer in adapter.layers(recipe, facts.blocks)}
    return next(i for i, block in enumerate(facts.blocks) if any(layer.name in chosen for layer in block.linear_layers))


def open_parameters(facts: ModelFacts, plan: FreezePlan) -> int:
    """Parameters of the body that train under a plan; what blocks share is frozen with any of them. Of patterns that
    open frozen blocks those for biases count; facts list no other parameters by name."""
    biases = BIASES in plan.train_patterns
    own = sum((block.biases or 0) * biases if plan.is_frozen(block.name) else block.parameters
              for block in facts.blocks)
    return own + sum(part.parameters for part in facts.shared or ()
                     if not plan.any_frozen(part.used_by) or (biases and re.search(BIASES, part.name)))


def count(recipe: Recipe, *, facts: ModelFacts, n_classes: int) -> Parts:
    """Parameters by part. Raises PatternError when LoRA targets match nothing.

    Of weights opened by `train_patterns` biases are counted: facts do not list other parameters by name.
    """
    own = own_head.applies(recipe)
    head = own_head.parameters(facts) if own else tasks.card(recipe.task).head_parameters(facts.hidden_size, n_classes)
    adapter, opened, body = 0, [], 0
    if own and methods.card_of(recipe.method).solved:  # the untouched model
        return Parts(body=facts.parameters, head=head, adapter=0, trainable=0, new=0, trainable_linear=0,
                     weight_bytes=_weight_bytes(recipe, facts, head))
    if added := methods.card_of(recipe.method).adapter:
        adapter = sum(added.parameters(recipe, layer) for layer in added.layers(recipe, facts.blocks))
    else:
        plan = effective_plan(recipe, facts)
        opened = [block for block in facts.blocks if not plan.is_frozen(block.name)]
        body = open_parameters(facts, plan)
    new = own_head.trained(recipe, facts) if own else head
    return Parts(body=facts.parameters, head=head, adapter=adapter, trainable=adapter + body + new,
                 new=0 if own else head, trainable_linear=sum(b.linear_parameters for b in opened),
                 weight_bytes=_weight_bytes(recipe, facts, head))


def copied(recipe: Recipe, facts: ModelFacts) -> int:
    """Bytes of what an adapter makes anew of weights in each pass, or holds beside them."""
    adapter = methods.card_of(recipe.method).adapter
    if adapter is None or not adapter.copies:
        return 0
    return round(4 * adapter.copies * sum(layer.in_features * layer.out_features
                                          for layer in adapter.layers(recipe, facts.blocks)))


def _weight_bytes(recipe: Recipe, facts: ModelFacts, head: int) -> int:
    """fp32 weights; where they are held in 4 bits, the linear ones packed two a byte, with their scale factors."""
    linear = sum(block.linear_parameters for block in facts.blocks) if in_four_bits(recipe) else 0
    return round(4 * (facts.parameters - linear + head) + linear * bytes_per_4bit_weight(recipe.quantization))


def in_four_bits(recipe: Recipe) -> bool:
    """Whether the run's body is held in 4 bits."""
    return methods.card_of(recipe.method).weights is Weights.FOUR_BIT


def bytes_per_4bit_weight(quantization: QuantSpec) -> float:
    """0.5 byte and its share of the scale factors: 0.5625 with fp32 scales, 0.516 with double quantisation."""
    if not quantization.double:
        return 0.5 + 4 / ABSMAX_BLOCK
    return 0.5 + 1 / ABSMAX_BLOCK + 4 / (ABSMAX_BLOCK * DOUBLE_BLOCK)


def runtime(recipe: Recipe, device: Device) -> int:
    """Bytes that no tensor owns."""
    solved = methods.card_of(recipe.method).solved
    half = HALF_RUNTIME_BYTES.get(device.kind, 0) if precision(recipe, device) != "fp32" and not solved else 0
    threads = 1 if solved else 2  # a backward pass runs on a thread of its own
    return RUNTIME_BYTES.get(device.kind, 0) + half + threads * device.workspace_bytes


def autocast_copies(parts: Parts, recipe: Recipe, facts: ModelFacts, device: Device) -> int:
    """Bytes of the half-precision weight copies that autocast keeps; 0 in fp32. On a GPU a frozen weight beside an
    adapter is kept, too, for the backward pass (on a CPU both are one product, made anew there; a language model holds
    frozen weights in half precision)."""
    if precision(recipe, device) == "fp32":
        return 0
    kept, card = parts.trainable_linear, methods.card_of(recipe.method)
    if card.adapter and device.kind == "cuda" and not in_four_bits(recipe) and not own_head.applies(recipe):
        kept += sum(block.linear_parameters for block in facts.blocks[first_trained(recipe, facts):])
    return AUTOCAST_COPY_BYTES * kept


def published_pass(recipe: Recipe, *, facts: ModelFacts, device: Device) -> int:
    """Bytes of the pass over the published weights from whose features a head is solved, for a method that trains
    others (4 bits): matrices are held in the type it computes in. 0 for methods that train the published ones."""
    card = methods.card_of(recipe.method)
    if card.weights is not Weights.FOUR_BIT or not card.solves_head(recipe):
        return 0
    halved = sum(block.linear_parameters for block in facts.blocks) if precision(recipe, device) != "fp32" else 0
    read = _forward_only(recipe, facts) * _activation_share(recipe, facts, device)
    return round(4 * facts.parameters - 2 * halved + read) + device.workspace_bytes


def gflops(recipe: Recipe, device: Device) -> float:
    """Measured matrix-multiply rate of the precision in force, at least 1."""
    fast = precision(recipe, device) != "fp32" and device.bf16_gflops > 0
    return max(1.0, device.bf16_gflops if fast else device.fp32_gflops)


def activations(recipe: Recipe, *, facts: ModelFacts, device: Device, checkpointing: bool) -> int:
    """Bytes of activations at the peak: what trained blocks keep for backward, or one block of a forward pass if more.

    The frozen prefix keeps none. Checkpointing keeps each block's input and one block's inside at a time.
    """
    pictures = tasks.card(recipe.task).unit is Unit.PICTURE
    units = recipe.batch_size * (1 if pictures else recipe.max_length)
    kept = {b.name: per_unit(b, facts) for b in facts.blocks}
    share = FORWARD_PICTURE_SHARE if pictures else FORWARD_SHARE
    read = FORWARD_ROWS if pictures else forward_tokens(recipe.max_length)
    card = methods.card_of(recipe.method)
    if card.solved:
        held = 0.0
    else:
        more = 1.0 + (card.adapter.kept if card.adapter else 0.0)
        trained = [more * kept[block.name] for block in facts.blocks[first_trained(recipe, facts):]]
        held = _on_the_way_down(trained, share) * units
        if checkpointing and trained and not facts.has_batch_norm:
            boundary = (sum(trained) / KEPT_PER_INPUT if pictures else 4 * facts.hidden_size * len(trained)) * units
            held = min(held, boundary + (1 + share) * max(trained) * units)
    together = max(held, _forward_only(recipe, facts)) * _activation_share(recipe, facts, device)
    if card.adapter and in_four_bits(recipe) and device.kind == "cuda" and precision(recipe, device) != "fp32":
        inputs = sum(layer.in_features for layer in card.adapter.layers(recipe, facts.blocks))
        together += FOUR_BIT_INPUT_BYTES * inputs * units
    masked = 0 if pictures else MASK_BYTES * recipe.max_length * (read if card.solved else max(read, units))
    return math.ceil(together + masked)


def _forward_only(recipe: Recipe, facts: ModelFacts) -> float:
    """Bytes in fp32 of what is in memory at once in a pass that keeps nothing."""
    pictures = tasks.card(recipe.task).unit is Unit.PICTURE
    longest = max((per_unit(block, facts) for block in facts.blocks), default=0.0)
    if pictures:
        return FORWARD_PICTURE_SHARE * longest * FORWARD_ROWS
    return FORWARD_SHARE * longest * forward_tokens(recipe.max_length)


def _activation_share(recipe: Recipe, facts: ModelFacts, device: Device) -> float:
    """Activations in the precision in force against fp32."""
    if precision(recipe, device) == "fp32":
        return 1.0
    return HALF_PRECISION_MAPS if facts.has_batch_norm else HALF_PRECISION_ACTIVATIONS


def _on_the_way_down(kept: list[float], share: float) -> float:
    """The most that lies there in a backward pass: what blocks up to one keep, and the gradients inside that one."""
    return max((sum(kept[:depth]) + share * kept[depth - 1] for depth in range(1, len(kept) + 1)), default=0.0)


def forward_tokens(max_length: int) -> int:
    """Tokens of the largest batch of a forward pass without gradients; see `forward_rows`."""
    return min(FORWARD_ROWS * max_length, max(FORWARD_TOKENS, max_length))


def per_unit(block: Block, facts: ModelFacts) -> float:
    """Measured bytes a token (or picture), else the transformer formula 34 · width · 2 (Korthikanti et al. 2022,
    section 4, in fp32).
    """
    measured = facts.activation_bytes_per_block.get(block.name)
    if measured is not None:
        return float(measured)
    return 4.0 * facts.hidden_size if block.name == "embeddings" else 68.0 * facts.hidden_size


def forward_flops(recipe: Recipe, *, facts: ModelFacts, mean_length: float) -> float:
    """Operations of one forward pass over one row, padded to a multiple of 32 tokens (two a weight when nothing was
    measured).
    """
    per_unit = facts.forward_flops_per_token or 2.0 * sum(b.parameters for b in facts.blocks if b.name != "embeddings")
    if tasks.card(recipe.task).unit is Unit.PICTURE:
        return per_unit
    if own_head.applies(recipe):
        per_unit += own_head.flops_per_token(facts)
    tokens = recipe.max_length if mean_length <= 0 else min(recipe.max_length, 32 * math.ceil(mean_length / 4 / 32))
    return per_unit * tokens


def prefix_share(recipe: Recipe, facts: ModelFacts) -> float:
    """Share of a forward pass that lies in the frozen prefix and is computed once; 0 for augmented pictures.

    By the operations measured in each block; without them, by parameters.
    """
    if recipe.augmentation != "off" and tasks.card(recipe.task).uses("augmentation"):
        return 0.0
    work = facts.flops_per_block or {
        block.name: float(block.linear_parameters or (0 if block.name == "embeddings" else block.parameters))
        for block in facts.blocks}
    below = sum(work[block.name] for block in facts.blocks[:first_trained(recipe, facts)])
    return below / max(1.0, sum(work.values()))
