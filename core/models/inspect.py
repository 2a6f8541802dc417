"""Measure a base model once: blocks, linear layers, operations and activation bytes; the pages need no torch after
that."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.dataset import Content, Task
from core.domain.model import ModelFacts
from core.errors import ModelError, NotFoundError, ThawError
from core.models import blocks, facts, fetch, kept, language, limits, load, sharing, tokens, trial
from core.models import folder as folder_module
from core.models.blocks import Stack
from core.models.processors import PictureProcessor
from core.models.trial import Inputs
from core.settings import Settings

ROWS, TOKENS = 2, 64
"""Size of the measured batch; figures are kept per token (per picture for images)."""


def inspect_model(model_id: str, *, settings: Settings, measure: bool = False) -> ModelFacts:
    """Load the fetched model, try and measure it, write `facts.json`, and return the facts.

    Raises ModelError for a folder that holds no model Thaw can train. Facts of a version that tried nothing are made
    anew. What comes with Thaw of a bundled model was measured so on these very files, and is not measured again unless
    `measure` says so.
    """
    known = facts.read(model_id, settings)
    looked_for = (known.shared, known.refusals, known.bf16_fails, known.vocabulary,
                  known.kept if known.vocabulary else {}) if known else (None,)
    if known is not None and None not in looked_for and not measure:
        return known
    folder = fetch.local(model_id, settings) if facts.is_local(model_id) else facts.folder(model_id, settings)
    folder_module.check(folder)
    now = facts.identity(model_id, settings)
    revision, source = now.revision, fetch.source_of(model_id, settings)
    here = facts.published(model_id)
    if here is not None and now.is_revision(here.revision) and not measure:
        found = dataclasses.replace(here, revision=revision, source=source["source"], licence=source["licence"])
        facts.write(found, settings)
        return found
    body = load.load_body(folder)
    try:
        found = _measured(model_id, body, folder, revision=revision, source=source)
    except (ThawError, MemoryError):
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise
        raise trial.refused(body, folder.name, f"Measuring it failed: {trial.line_of(error)}.") from error
    facts.write(found, settings)
    return found


def facts_of(model_id: str, *, settings: Settings) -> ModelFacts:
    """Facts of a model that is on this machine, which is inspected where it was not, has other files now, or was looked
    at by a version that knew no language models. Raises NotFoundError when it is not here."""
    found = facts.read(model_id, settings)
    unknown = found is None or (found.vocabulary is None and found.max_length > 0)
    if unknown and facts.identity(model_id, settings).digests:
        return inspect_model(model_id, settings=settings)
    if found is None:
        raise NotFoundError(f"The base model {model_id} is not on this machine.", remedy="Fetch it on the Train page.")
    return found


def _measured(model_id: str, body: nn.Module, folder: Path, *, revision: str, source: dict[str, str]) -> ModelFacts:
    """Facts of a loaded body, which is used up."""
    stack, config = blocks.find_stack(body), body.config
    special, inputs = (_picture_facts if load.reads_pictures(body) else _text_facts)(body, folder, stack)
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
    network = trial.network_of(body, found)
    found = dataclasses.replace(found, fixed_width="input_ids" in inputs and trial.padding_matters(network, inputs),
                                bf16_fails=trial.bf16_fails(network, inputs))
    del network
    ahead = "input_ids" not in inputs or trial.looks_ahead(body, inputs)
    held = {} if ahead else kept.measure(body, stack, inputs["input_ids"][0], half=not found.bf16_fails,
                                         total=sum(found.activation_bytes_per_block.values()))
    found = dataclasses.replace(found, refusals=trial.refusals(folder, found, body, inputs))
    del body
    return dataclasses.replace(found, kept=held, **({"vocabulary": 0} if ahead else _language_facts(folder, found)))


def _language_facts(folder: Path, found: ModelFacts) -> dict[str, Any]:
    """What is known of the output layer of a causal language model; one that lacks it, or makes its logits in a way
    that Thaw does not, is a model for classification."""
    try:
        head = language.load_language(folder).head
    except ModelError:
        return {"vocabulary": 0}
    return {"tasks": (*found.tasks, Task.on(Content.TEXT, labelled=False)), "vocabulary": head.vocabulary,
            "tied_head": head.tied}


def _text_facts(body: nn.Module, folder: Path, stack: Stack) -> tuple[dict[str, Any], Inputs]:
    tokenizer = tokens.load(folder)
    embedding = _embedding_rows(body)
    if embedding:
        tokens.check_size(tokenizer, embedding, name=folder.name)

    sample = torch.tensor(tokens.sample_ids(tokenizer, limits.LONGEST))

    def make(n_tokens: int, rows: int = 1) -> Inputs:
        ids = sample[:n_tokens].repeat(rows, 1)  # (n_rows, n_tokens)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    max_length = limits.longest_input(body, stack, tokenizer, make)
    n_tokens = min(TOKENS, max_length)
    inputs = make(n_tokens, ROWS)
    hidden = trial.forward(body, inputs, name=folder.name).last_hidden_state
    trial.check_stack(body, stack, inputs, name=folder.name)
    trial.check_tokens(body, hidden, n_tokens, name=folder.name)
    found = {"tasks": (Task.on(Content.TEXT),), "hidden_size": hidden.shape[-1], "max_length": max_length,
             "pooling": load.trained_pooling(folder), **_measure(body, stack, inputs, units=ROWS * n_tokens)}
    return found, inputs


def _embedding_rows(body: nn.Module) -> int:
    """Rows of the table of tokens; 0 for models that hash characters instead."""
    try:
        table = body.get_input_embeddings()  # type: ignore[operator]
    except (NotImplementedError, AttributeError):
        return 0
    return int(getattr(table, "num_embeddings", 0))


def _picture_facts(body: nn.Module, folder: Path, stack: Stack) -> tuple[dict[str, Any], Inputs]:
    processor = PictureProcessor(folder)
    height, width = processor.size
    inputs = {"pixel_values": torch.randn(ROWS, processor.channels, height,
                                          width).to(memory_format=torch.channels_last)}
    pooling, features = _own_pooling(body, trial.forward(body, inputs, name=folder.name))
    trial.check_stack(body, stack, inputs, name=folder.name)
    found = {"tasks": (Task.on(Content.PICTURE),), "hidden_size": features, "max_length": 0,
             "image_size": max(height, width), "pooling": pooling, **_measure(body, stack, inputs, units=ROWS)}
    return found, inputs


def _own_pooling(body: nn.Module, output: Any) -> tuple[str, int]:
    """(how a picture model pools, width of the pooled feature): by comparing its pooled output with the mean and the
    first token."""
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


def _measure(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor], *, units: int) -> dict[str, Any]:
    """Operations of a forward pass and activation bytes kept for backward, whole and by block, per unit (token or
    picture); and which blocks use what (`sharing.trace`)."""
    from torch.utils.flop_counter import FlopCounterMode

    reached = dict.fromkeys(stack.names, 0.0)
    body.requires_grad_(False)  # the counter cannot follow a parameter that a module is handed as its input (DeBERTa)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        def note(name: str) -> Any:
            return lambda module, args: reached.__setitem__(name, counter.get_total_flops())

        handles = [module.register_forward_pre_hook(note(f"block {i}"))
                   for i, module in enumerate(blocks.members(body, stack))]
        try:
            body(**inputs)
        finally:
            for handle in handles:
                handle.remove()
    total = counter.get_total_flops()
    ends = [*list(reached.values())[1:], total]
    return {"used_by": sharing.trace(body, stack, inputs),
            "forward_flops_per_token": total / units,
            "flops_per_block": {name: (end - start) / units for (name, start), end in zip(reached.items(), ends,
                                                                                          strict=True)},
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
    handles = [module.register_forward_pre_hook(enter(f"block {i}"))
               for i, module in enumerate(blocks.members(body, stack))]
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            for parameter in body.parameters():
                parameter.requires_grad_(True)
            body(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: size // units for name, size in kept.items()}
