"""Measure a base model once: blocks, linear layers, operations and activation bytes; the pages need no torch after that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.dataset import Task
from core.domain.model import ModelFacts
from core.models import blocks, facts, fetch, load, sharing
from core.models.blocks import Stack
from core.models.processors import PictureProcessor
from core.settings import Settings

ROWS, TOKENS = 2, 64
"""Size of the measured batch; figures are kept per token (per picture for images)."""


def inspect_model(model_id: str, *, settings: Settings) -> ModelFacts:
    """Load the fetched model, measure it, write `facts.json`, and return the facts."""
    known = facts.read(model_id, settings)
    if known is not None and known.shared is not None:
        return known
    folder = facts.folder(model_id, settings)
    revision = facts.identity(model_id, settings).revision
    body = load.load_body(folder)
    stack = blocks.find_stack(body)
    source = fetch.source_of(model_id, settings)
    config = body.config
    special = _picture_facts(body, folder, stack) if load.reads_pictures(body) else _text_facts(body, folder, stack)
    width = special["hidden_size"]
    stack = stack.knowing(special.pop("used_by"))
    found = ModelFacts(
        id=model_id,
        revision=revision,
        architecture=getattr(config, "architecture", None) or type(body).__name__,
        blocks=blocks.describe(body, stack),
        shared=blocks.shared_parts(body, stack),
        intermediate_size=int(getattr(config, "intermediate_size", None) or 4 * width),
        attention_heads=int(_first(getattr(config, "num_attention_heads", 1))),
        has_batch_norm=any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in body.modules()),
        source=source["source"],
        licence=source["licence"],
        **special,
    )
    facts.write(found, settings)
    return found


def _text_facts(body: nn.Module, folder: Path, stack: Stack) -> dict[str, Any]:
    vocabulary = int(body.config.vocab_size)
    inputs = {"input_ids": torch.randint(0, vocabulary, (ROWS, TOKENS)), "attention_mask": torch.ones(ROWS, TOKENS, dtype=torch.long)}
    return {"tasks": (Task.TEXT_CLASSIFICATION,), "hidden_size": int(body.config.hidden_size), "max_length": _max_length(body.config),
            "pooling": load.trained_pooling(folder), **_measure(body, stack, inputs, units=ROWS * TOKENS)}


def _picture_facts(body: nn.Module, folder: Path, stack: Stack) -> dict[str, Any]:
    height, width = PictureProcessor(folder).size
    inputs = {"pixel_values": torch.randn(ROWS, 3, height, width).to(memory_format=torch.channels_last)}
    pooling, features = _own_pooling(body, inputs)
    return {"tasks": (Task.IMAGE_CLASSIFICATION,), "hidden_size": features, "max_length": 0, "image_size": max(height, width),
            "pooling": pooling, **_measure(body, stack, inputs, units=ROWS)}


@torch.no_grad()
def _own_pooling(body: nn.Module, inputs: dict[str, torch.Tensor]) -> tuple[str, int]:
    """(how a picture model pools, width of the pooled feature): by comparing its pooled output with the mean and the first token."""
    output = body(**inputs)
    hidden, own = output.last_hidden_state, getattr(output, "pooler_output", None)
    channels_last = load.channels_last(body)
    mean = hidden.mean((1, 2) if channels_last else (2, 3)) if hidden.ndim == 4 else hidden.mean(1)
    first = mean if hidden.ndim == 4 else hidden[:, 0]
    if own is None:
        has_class_token = any(name.endswith(("cls_token", "class_embedding")) for name, _ in body.named_parameters())
        return ("cls", first.shape[1]) if has_class_token and hidden.ndim == 3 else ("mean", mean.shape[1])
    own = own.flatten(1)
    for name, candidate in (("mean", mean), ("cls", first)):
        if candidate.shape == own.shape and torch.allclose(candidate, own, rtol=1e-4, atol=1e-5):
            return name, own.shape[1]
    return "model", own.shape[1]


def _first(value: Any) -> Any:
    """Hierarchical models list one value a stage."""
    return value[0] if isinstance(value, (list, tuple)) else value


def _max_length(config: object) -> int:
    limit = int(getattr(config, "max_position_embeddings", 512))
    return min(limit - 2 if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert") else limit, 8192)


def _measure(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor], *, units: int) -> dict[str, Any]:
    """Operations of a forward pass and activation bytes kept for backward, whole and by block, per unit (token or picture); and which
    blocks use what (`sharing.trace`)."""
    from torch.utils.flop_counter import FlopCounterMode

    reached = dict.fromkeys(stack.names, 0.0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        def note(name: str) -> Any:
            return lambda module, args: reached.__setitem__(name, counter.get_total_flops())

        handles = [module.register_forward_pre_hook(note(f"block {i}")) for i, module in enumerate(blocks.members(body, stack))]
        try:
            body(**inputs)
        finally:
            for handle in handles:
                handle.remove()
    total = counter.get_total_flops()
    ends = [*list(reached.values())[1:], total]
    return {"used_by": sharing.trace(body, stack, inputs),
            "forward_flops_per_token": total / units,
            "flops_per_block": {name: (end - start) / units for (name, start), end in zip(reached.items(), ends, strict=True)},
            "activation_bytes_per_block": _activation_bytes(body, stack, inputs, units=units)}


def _activation_bytes(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor], *, units: int) -> dict[str, int]:
    """Bytes of tensors that autograd saves while each block runs, parameters left out, each storage counted once."""
    kept = dict.fromkeys(stack.names, 0)
    current = ["embeddings"]
    seen = {p.untyped_storage().data_ptr() for p in body.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor)  # keeps the address from being used again
            kept[current[0]] += storage.nbytes()
        return tensor

    def enter(name: str) -> object:
        return lambda module, args: current.__setitem__(0, name)

    alive: list[torch.Tensor] = []
    handles = [module.register_forward_pre_hook(enter(f"block {i}")) for i, module in enumerate(blocks.members(body, stack))]
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            for parameter in body.parameters():
                parameter.requires_grad_(True)
            body(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: size // units for name, size in kept.items()}
