"""What the first token of a language model's answer rests on: integrated gradients of its log-probability over the
prompt's tokens, and the same under randomised weights.

The empty input has padding tokens (the end token where there is no padding token) in the place of the words that were
given; special tokens and what the chat template writes stay as they are. Only the last tokens of a long prompt are
walked; those before them are read once, as they are, and kept where the architecture keeps what it has read.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import Any

import torch

from core.domain.attribution import Attribution
from core.features.extract import autocast
from core.models import language, tokens
from core.tasks.teaching import Prompt
from core.training import attribution
from core.training.artifact import LoadedModel
from core.training.attribution import Way

WALKED = 256
"""Tokens at the end of a prompt, at most, that have a share."""
POINTS = 2
"""In a stretch: a pass of 256 tokens takes about a second with 135 million weights on two cores."""
MOST_STRETCHES = 24


def pieces(model: LoadedModel, prompt: Prompt, token: int, *,
           check: bool = False) -> Generator[float, None, Attribution]:
    """What this token rests on as the one that is said after the prompt; see `attribution.pieces`."""
    model.network.eval()
    last = prompt.last(WALKED)
    found = yield from attribution.walked(model.network, lambda of: _way(model, of, prompt, token), check=check)
    parts, shares = list[str](), list[float]()
    for part, own, share in zip(last.parts, last.own, found.shares.tolist(), strict=True):
        if own and not part and parts:  # the rest of a character
            shares[-1] += share
        elif own:
            parts.append(part)
            shares.append(share)
    return Attribution(label=_called(model, token), says=True, pieces=tuple(parts), shares=tuple(shares),
                       earlier=len(prompt.ids) - len(last.ids), **found.said)


def _way(model: LoadedModel, network: Any, prompt: Prompt, token: int) -> Way:
    """Shares are `(n_walked,)`, of the last tokens of the prompt."""
    device, table = network.device, network.body.get_input_embeddings()
    every = torch.tensor([prompt.ids], device=device)
    at = max(0, every.shape[1] - WALKED)
    kept, name = _read(model, network, every[:, :at])
    fixed = every[:, :at if kept is None else 0]  # is read again in each pass
    ids, own = every[:, at:], torch.tensor([prompt.own[at:]], device=device)
    empty = torch.where(own, torch.full_like(ids, tokens.pad_id(model.task.processor)), ids)  # type: ignore[attr-defined]
    with torch.no_grad():
        before, start, end = (table(some).float() for some in (fixed, empty, ids))

    def score(given: torch.Tensor) -> torch.Tensor:
        return torch.cat([one(given[row:row + 1]) for row in range(len(given))])

    def one(given: torch.Tensor) -> torch.Tensor:
        more = {} if kept is None else {name: copy.deepcopy(kept), "use_cache": True}  # a pass adds to it
        whole = torch.cat([before, given], 1)
        handle = table.register_forward_hook(lambda *_: whole)  # instead of what it makes of the ids
        try:
            with autocast(model.precision, device):
                hidden = network(input_ids=every[:, every.shape[1] - whole.shape[1]:],
                                 attention_mask=torch.ones_like(every), **more)["hidden"][:, -1]
        finally:
            handle.remove()
        return torch.log_softmax(network.logits(hidden).float(), -1)[:, token]

    return Way(empty=start, whole=end, score=score, parts=lambda each: each.sum(-1).float().cpu().numpy(),
               points=POINTS, most=MOST_STRETCHES)


def _read(model: LoadedModel, network: Any, ids: torch.Tensor) -> tuple[Any, str]:
    """(what the network keeps of these tokens, what it calls that); None where it keeps nothing."""
    name = language.memory_name(network.body)
    if not ids.shape[1]:
        return None, name
    with torch.no_grad(), autocast(model.precision, network.device):
        said = network.body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
    return getattr(said, name, None), name


def _called(model: LoadedModel, token: int) -> str:
    """A token in words: as text, or by its name where it is special or no whole character."""
    tokenizer: Any = model.task.processor  # type: ignore[attr-defined]
    text = str(tokenizer.decode([token], skip_special_tokens=True))
    return text if text.strip() and "\ufffd" not in text else str(tokenizer.convert_ids_to_tokens(token))
