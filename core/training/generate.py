"""What a language model says next."""

from __future__ import annotations

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


@torch.no_grad()
def continued(network: Any, format: teaching.Format, ids: list[int], *, precision: str, most: int,
              **sampling: Any) -> dict[str, Any]:
    """{"ids": what comes after, the end token left out, "ended"}. sampling: arguments of transformers'
    `GenerationConfig` (`do_sample`, `temperature` …); greedy without."""
    from transformers import GenerationConfig

    causal, was_training = network.causal, network.training
    ends = ends_of(format, causal)
    given = torch.tensor([ids or [tokens.pad_id(format.tokenizer)]], device=network.device)
    config = GenerationConfig(max_new_tokens=most, do_sample=bool(sampling.pop("do_sample", False)), use_cache=True,
                              pad_token_id=tokens.pad_id(format.tokenizer), eos_token_id=ends or None, **sampling)
    network.eval()
    with autocast(precision, network.device):
        said = causal.generate(input_ids=given, attention_mask=torch.ones_like(given), generation_config=config)
    network.train(was_training)
    new = said[0, given.shape[1]:].tolist()
    ended = bool(new) and new[-1] in ends
    return {"ids": new[:-1] if ended else new, "ended": ended}
