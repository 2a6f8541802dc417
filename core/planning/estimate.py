"""Memory and time before a run starts: plain formulas over `ModelFacts`, no torch.

Parameters, gradients and optimiser state are counted exactly (Adam keeps two fp32 moments a trained parameter);
activations come from what inspecting the model measured, scaled by batch and length.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from core.domain import resolve
from core.domain.device import Device
from core.domain.model import ModelFacts
from core.domain.recipe import PAGED_ADAMW, Recipe, steps_an_epoch
from core.models import methods
from core.planning import budget, footprint, language_memory, lens_cost, own_head
from core.planning.footprint import SHARE_AVAILABLE, UNKNOWN_DEVICE

EFFICIENCY = 0.5
"""Share of the measured matrix-multiply rate that a transformer step reaches (small layers, softmax, norms; 2-core
CPU, MiniLM).
"""
CONVOLUTION_EFFICIENCY = 0.25
"""The same for a network of convolutions, whose depthwise layers move more than they multiply (2-core CPU,
EfficientNet-Lite0).
"""
START_UP_S = {"cpu": 8.0, "cuda": 12.0}
"""Seconds to import torch and transformers, load weights, save (2-core CPU; H100)."""
FIT_S_PER_NUMBER = 0.7 / (2000 * 384)
"""Logistic regression with its regularisation chosen on validation: 0.7 s for 2,000 rows of 384 dimensions."""
STEP_S = {"cuda": 0.015}
"""Seconds of a step that no layer takes (H100)."""
LAUNCH_S, ADAPTER_LAUNCHES = {"cuda": 0.8e-3}, 1.5
"""Seconds a step in which a GPU waits to be told what to do, for each linear layer that is passed through both ways,
and how many times that where it has an adapter (H100, 100 steps: MiniLM 4.7 s full, 5.7 s LoRA, 6.7 s QLoRA; a Llama
of 8 billion weights 47 s, of which its products would be 13)."""
OPTIMIZER_BYTES_PER_S = {"cpu": 8e9, "cuda": 400e9}
"""Memory traffic an AdamW step reaches; it reads and writes 28 bytes a parameter."""
QUANTISED_SLOWDOWN = 1.3
"""4-bit weights are unpacked in every pass (SmolLM2, 2-core CPU: 1.2-1.6 s against 1.0 s a step)."""
ELSEWHERE_TOKENS = 53_000
"""What a language run reads besides its rows: the forgetting panel and a part of the test rows, by the untouched model
and by the tuned one, and a fifth of them in another precision."""

COMPARE_S_PER_ROW = 1e-3
"""Every number of one block of two sides, a row (MiniLM, 625 rows, 2-core CPU: 4-5 s for 7 blocks)."""
WEIGHTS_S_PER_PARAMETER = 1.3e-7
"""Size and spectrum of the change of a weight (MiniLM, all weights, 2-core CPU: 2.9 s)."""


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes by part, and the badge they earn on a device."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    adapters: int
    available: int
    """Bytes that a run may take: of the device's memory less what is the system's, its share beside the other slots."""
    advice: tuple[str, ...] = ()
    """What to change, most effective first, when it is tight or will not fit."""
    runtime: int = 0
    """Buffers of the libraries and the allocator, which no tensor owns."""

    @property
    def total(self) -> int:
        """At the peak. Gradients come as activations go, block by block, so that both are never there in full."""
        return (self.weights + self.gradients + self.optimizer + self.activations_at_peak + self.adapters
                + self.runtime)

    @property
    def activations_at_peak(self) -> int:
        """Of the activations, what is there beyond the gradients that take their place."""
        return max(0, self.activations - self.gradients)

    @property
    def badge(self) -> str:
        """`fits` (up to 80 % of what is available), `tight` (up to 100 %), `will not fit`."""
        share = self.total / max(1, self.available)
        return "fits" if share <= 0.8 else "tight" if share <= 1.0 else "will not fit"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Everything the Train page says before start, for one recipe."""

    memory: MemoryEstimate
    seconds: float
    """Expected wall seconds on this device."""
    trainable_params: int
    total_params: int
    steps: int
    training_seconds: float = 0.0
    """Of `seconds`, those of the training steps."""


def estimate(recipe: Recipe, *, facts: ModelFacts, device: Device | None, n_classes: int, rows: dict[str, int],
             mean_length: float, slots: int = 1) -> Estimate:
    """What a run will need. rows: split name -> rows; mean_length: mean characters of a text (0 = unknown or pictures);
    slots: runs that train at the same time, each of which may plan with its share of the device's memory.

    device None (not measured yet) counts as a slow 8 GB CPU. Raises PatternError when LoRA targets match nothing.
    """
    device = device or UNKNOWN_DEVICE
    parts = footprint.count(recipe, facts=facts, n_classes=n_classes)
    train_rows, validation = budget.shared(
        recipe, train=rows.get("train", 0), validation=rows.get("validation", 0), classes=n_classes)
    rows = {**rows, "validation": validation}
    solved = methods.card_of(recipe.method).solved
    an_epoch = steps_an_epoch(train_rows, recipe.batch_size, recipe.gradient_accumulation)
    steps = 0 if solved else math.ceil(an_epoch * recipe.epochs)
    total = memory(recipe, facts=facts, device=device, n_classes=n_classes, slots=slots)
    seconds, training = _seconds(recipe, facts, device, parts, rows, train_rows, steps, mean_length)
    return Estimate(memory=total, seconds=seconds, training_seconds=training,
                    trainable_params=parts.trainable, total_params=parts.total, steps=steps)


def memory(recipe: Recipe, *, facts: ModelFacts, device: Device, n_classes: int, advise: bool = True,
           slots: int = 1) -> MemoryEstimate:
    """Bytes at the peak of training, by part. With checkpointing `auto` it is counted only where the run does not fit
    without.
    """
    parts = footprint.count(recipe, facts=facts, n_classes=n_classes)
    solved = methods.card_of(recipe.method).solved
    available = int(device.memory_bytes * SHARE_AVAILABLE.get(device.kind, 0.8)) // max(1, slots)
    moments = 2 if resolve.optimizer(recipe, device) == PAGED_ADAMW else 8  # bytes: two of 8 bits, or two in fp32

    packed = footprint.bytes_per_4bit_weight(recipe.quantization)
    own = own_head.applies(recipe)
    held = own_head.weight_bytes(recipe, facts, device, packed) if own else parts.weight_bytes
    activations = language_memory.activations if own else footprint.activations
    earlier = language_memory.before_training if own else footprint.published_pass

    def build(checkpointing: bool) -> MemoryEstimate:
        kept = activations(recipe, facts=facts, device=device, checkpointing=checkpointing)
        held_start = 4 * (parts.trainable - parts.new) if methods.card_of(recipe.method).pull else 0
        if recipe.gradient_accumulation > 1:  # gradients of a batch wait while the next is read
            kept += 4 * parts.trainable
        training = MemoryEstimate(
            weights=held + held_start + footprint.autocast_copies(parts, recipe, facts, device),
            gradients=4 * parts.trainable,
            optimizer=0 if solved else moments * parts.trainable,
            activations=kept, adapters=4 * parts.adapter + footprint.copied(recipe, facts), available=available,
            runtime=footprint.runtime(recipe, device))
        more = earlier(recipe, facts=facts, device=device) - training.total
        return dataclasses.replace(training, weights=training.weights + max(0, more))

    plain = build(recipe.gradient_checkpointing == "on")
    if recipe.gradient_checkpointing == "auto" and plain.badge == "will not fit":
        plain = build(checkpointing=True)
    if not advise or plain.badge == "fits":
        return plain
    return MemoryEstimate(**{**plain.__dict__, "advice": _advice(recipe, plain, facts, device, n_classes)})


def _advice(recipe: Recipe, now: MemoryEstimate, facts: ModelFacts, device: Device, n_classes: int) -> tuple[str, ...]:
    """Changes that save memory, the most effective first, with what each saves."""
    card = methods.card_of(recipe.method)
    options: list[tuple[str, Recipe]] = []
    if recipe.batch_size > 1:
        half = max(1, recipe.batch_size // 2)
        options.append((f"Halve the batch size to {half}", recipe.replace(batch_size=half)))
    if recipe.max_length >= 64:
        shorter = recipe.max_length // 2
        options.append((f"Halve the text length to {shorter} tokens", recipe.replace(max_length=shorter)))
    if not card.solved and recipe.gradient_checkpointing == "off" and not facts.has_batch_norm:
        options.append(("Turn on recomputing of activations", recipe.replace(gradient_checkpointing="on")))
    for other in map(methods.get, card.lighter):
        if other.applies_to(facts, device) is None:
            plan = recipe.freeze if card.needs_freeze_plan else other.card.default_plan(facts.block_names)
            options.append((other.card.advice, recipe.replace(method=other.card.name, freeze=plan)))
    saved = [(now.total - memory(other, facts=facts, device=device, n_classes=n_classes, advise=False).total, text)
             for text, other in options]
    return tuple(f"{text}: saves about {_size(size)}." for size, text in sorted(saved, reverse=True) if size > 0)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.0f} MB"


def _seconds(recipe: Recipe, facts: ModelFacts, device: Device, parts: footprint.Parts, rows: dict[str, int],
             train_rows: int, steps: int, mean_length: float) -> tuple[float, float]:
    """(Start-up + frozen prefix once + training passes + validation and test passes, at the measured rate; of these,
    the training steps)."""
    card = methods.card_of(recipe.method)
    rate = footprint.gflops(recipe, device) * 1e9 * (CONVOLUTION_EFFICIENCY if facts.has_batch_norm else EFFICIENCY)
    slow = QUANTISED_SLOWDOWN if footprint.in_four_bits(recipe) else 1.0
    forward = footprint.forward_flops(recipe, facts=facts, mean_length=mean_length) * slow
    judged = rows.get("test", 0) + rows.get("shift", 0)
    validation = rows.get("validation", 0)
    solves = card.solves_head(recipe) and not own_head.applies(recipe)
    fit = train_rows * facts.hidden_size * FIT_S_PER_NUMBER if solves else 0.0
    begin = START_UP_S[device.kind] + fit
    if not recipe.task.labelled:  # the untouched model on all rows that are judged, and both on other texts
        begin += ((validation + judged) * forward + ELSEWHERE_TOKENS * facts.forward_flops_per_token) / rate
    if card.solved:
        read = validation + judged + (0 if own_head.applies(recipe) else train_rows)
        return begin + read * forward / rate, 0.0
    frozen = footprint.prefix_share(recipe, facts)
    passes = card.passes + (1.0 if recipe.gradient_checkpointing == "on" else 0.0)  # over the cached prefix none
    training = steps * recipe.batch_size * recipe.gradient_accumulation * forward * (1 - frozen) * passes
    evaluations = max(1, round(recipe.epochs * recipe.evaluations_per_epoch))
    untouched = validation + judged if own_head.applies(recipe) else 0  # measured beside the run
    scoring = validation * evaluations * forward * (1 - frozen) + (judged + untouched) * forward
    once = (train_rows + validation) * forward * (1.0 if solves else frozen)
    update = steps * parts.trainable * 28 / OPTIMIZER_BYTES_PER_S.get(device.kind, 8e9)
    stepping = training / rate + update + steps * _launches(recipe, facts, device) * slow
    return begin + (scoring + once) / rate + stepping, stepping


def features_seconds(recipe: Recipe, *, facts: ModelFacts, device: Device | None, rows: int, mean_length: float,
                     sides: int, in_run: bool = False) -> float:
    """Wall seconds of making and comparing the features of a finished run at so many rows, of a language model with
    what each block says. sides: models that rows go through (the run's own, and those of its base that no run has left
    features of). in_run: as the last phase of a run, which has started up."""
    device = device or UNKNOWN_DEVICE
    rate = footprint.gflops(recipe, device) * 1e9 * (CONVOLUTION_EFFICIENCY if facts.has_batch_norm else EFFICIENCY)
    forward = footprint.forward_flops(recipe, facts=facts, mean_length=mean_length)
    weights = sum(block.parameters for block in facts.blocks) * WEIGHTS_S_PER_PARAMETER
    compared = rows * len(facts.blocks) * COMPARE_S_PER_ROW
    words = 0.0 if recipe.task.labelled else lens_cost.float_operations(
        facts, rows=rows, mean_tokens=min(mean_length / 4 or recipe.max_length, recipe.max_length), kind=device.kind,
        four_bits=footprint.in_four_bits(recipe))
    begin = 0.0 if in_run else START_UP_S[device.kind]
    return begin + (sides * rows * forward + words) / rate + compared + weights


def _launches(recipe: Recipe, facts: ModelFacts, device: Device) -> float:
    """Seconds of a step that a GPU does not compute in."""
    if device.kind not in STEP_S:
        return 0.0
    adapter = methods.card_of(recipe.method).adapter
    layers = sum(len(block.linear_layers) for block in facts.blocks[footprint.first_trained(recipe, facts):])
    return STEP_S[device.kind] + LAUNCH_S[device.kind] * layers * (ADAPTER_LAUNCHES if adapter else 1.0)
