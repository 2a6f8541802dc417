"""What a language model says next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from core.features.extract import autocast
from core.models import tokens
from core.models.network import Network
from core.tasks import teaching


def ends_of(format: teaching.Format, causal: Any) -> list[int]:
    """Ids of the tokens that end what it says: the tokenizer's, the model's own, and the one that ends a turn."""
    found = [format.tokenizer.eos_token_id]
    said = getattr(getattr(causal, "generation_config", None), "eos_token_id", None)
    found += said if isinstance(said, list) else [said]
    found += [format.tokenizer.convert_tokens_to_ids(mark.strip()) for mark in format.ends]
    return sorted({int(id) for id in found if isinstance(id, int) and id >= 0})


@torch.no_grad()
def greedily(network: Network, task: Any, prompt: str, *, precision: str, most: int = 128) -> dict[str, Any]:
    """{"text", "ended": whether it stopped by itself, "tokens"}: the likeliest token each time, at most `most`.

    prompt: a passage's beginning, or, for a model trained on conversations, a question or a conversation as
    `core.data.conversations` keeps it.
    """
    format = teaching.format_of(task.processor)
    ids = teaching.prompt_ids(format, prompt, task.shape)
    found = continued(network, format, ids, precision=precision, most=most)
    text = task.processor.decode(found["ids"], skip_special_tokens=True)
    return {"text": text, "ended": found["ended"], "tokens": len(found["ids"])}


def continued(network: Any, format: teaching.Format, ids: list[int], *, precision: str, most: int,
              **sampling: Any) -> dict[str, Any]:
    """What comes after one prompt; see `continuations`."""
    return continuations(network, format, [ids], precision=precision, most=most, **sampling)[0]


@torch.no_grad()
def continuations(network: Any, format: teaching.Format, prompts: Sequence[list[int]], *, precision: str, most: int,
                  **sampling: Any) -> list[dict[str, Any]]:
    """{"ids": what comes after, the end token left out, "ended"} of each prompt, all of them token by token together.

    sampling: arguments of transformers' `GenerationConfig` (`do_sample`, `temperature` …); greedy without.
    """
    from transformers import GenerationConfig

    causal, was_training = network.causal, network.training
    ends, pad = ends_of(format, causal), tokens.pad_id(format.tokenizer)
    prompts = [ids or [pad] for ids in prompts]
    width = max(map(len, prompts), default=0)
    given = torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts], device=network.device)  # on the left
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=network.device)
    config = GenerationConfig(max_new_tokens=most, do_sample=bool(sampling.pop("do_sample", False)), use_cache=True,
                              pad_token_id=pad, eos_token_id=ends or None, **sampling)
    network.eval()
    with autocast(precision, network.device), _one_thread():
        said = causal.generate(input_ids=given, attention_mask=mask, generation_config=config)
    network.train(was_training)
    return [_until(row, ends) for row in said[:, width:].tolist()]


def _until(ids: list[int], ends: list[int]) -> dict[str, Any]:
    """What was said before the first end token; padding follows it."""
    stop = next((place for place, id in enumerate(ids) if id in ends), None)
    return {"ids": ids if stop is None else ids[:stop], "ended": stop is not None}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: of one token a row there are a thousand products, each too small to share."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
