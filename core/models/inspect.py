"""Measure a base model once: blocks, linear layers, operations and activation bytes; the pages need no torch after that."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from core.domain.dataset import Task
from core.domain.model import ModelFacts
from core.models import blocks, facts, fetch, load
from core.models.blocks import Stack
from core.settings import Settings

ROWS, TOKENS = 2, 64
"""Size of the measured batch; figures are kept per token."""


def inspect_model(model_id: str, *, settings: Settings) -> ModelFacts:
    """Load the fetched model, measure it, write `facts.json`, and return the facts."""
    known = facts.read(model_id, settings)
    if known is not None:
        return known
    folder = facts.folder(model_id, settings)
    body = load.load_body(folder)
    stack = blocks.find_stack(body)
    source = fetch.source_of(model_id, settings)
    config = body.config
    width = int(config.hidden_size)
    flops, activations = _measure(body, stack, int(config.vocab_size))
    found = ModelFacts(
        id=model_id,
        revision=_revision(folder),
        architecture=type(body).__name__,
        tasks=(Task.TEXT_CLASSIFICATION,),
        blocks=blocks.describe(body, stack),
        hidden_size=width,
        intermediate_size=int(getattr(config, "intermediate_size", None) or 4 * width),
        attention_heads=int(getattr(config, "num_attention_heads", 1)),
        max_length=_max_length(config),
        pooling=load.trained_pooling(folder),
        has_batch_norm=any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in body.modules()),
        forward_flops_per_token=flops,
        source=source["source"],
        licence=source["licence"],
        activation_bytes_per_block=activations,
    )
    facts.write(found, settings)
    return found


def _max_length(config: object) -> int:
    limit = int(getattr(config, "max_position_embeddings", 512))
    return min(limit - 2 if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert") else limit, 8192)


def _revision(folder: Path) -> str:
    """`sha256:` + 16 digits over the weight files' own SHA-256 (of the one file, when there is only one)."""
    digests = []
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    whole = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    return "sha256:" + whole[:16]


def _measure(body: nn.Module, stack: Stack, vocabulary: int) -> tuple[float, dict[str, int]]:
    """(operations of a forward pass per token, block -> activation bytes kept for backward per token)."""
    from torch.utils.flop_counter import FlopCounterMode

    inputs = {"input_ids": torch.randint(0, vocabulary, (ROWS, TOKENS)), "attention_mask": torch.ones(ROWS, TOKENS, dtype=torch.long)}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        body(**inputs)
    return counter.get_total_flops() / (ROWS * TOKENS), _activation_bytes(body, stack, inputs)


def _activation_bytes(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor]) -> dict[str, int]:
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
    return {name: size // (ROWS * TOKENS) for name, size in kept.items()}
