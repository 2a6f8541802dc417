"""Texts longer than what a model reads of them."""

from __future__ import annotations

from collections.abc import Sequence

from core.data.report import several
from core.domain.dataset import Content
from core.training.artifact import LoadedModel


def longer(model: LoadedModel, texts: Sequence[str]) -> list[int]:
    """Tokens of each text that a classifier reads only the beginning of."""
    limit = model.recipe.max_length
    if model.task.card.content is not Content.TEXT or not model.task.card.new_head or not limit or not texts:
        return []
    found = model.task.processor(list(texts), add_special_tokens=True)["input_ids"]
    return [len(tokens) for tokens in found if len(tokens) > limit]


def note(counts: Sequence[int], limit: int, *, of: int) -> list[str]:
    """What a person is told of `longer` ones among `of` texts; nothing where there are none."""
    if not counts:
        return []
    if of == 1:
        return [f"The text has {counts[0]:,} tokens; the model reads the first {limit:,}, as in training."]
    return [f"{several(len(counts), 'text is', 'texts are')} longer than the {limit:,} tokens that the model reads, as "
            f"in training: what follows them was not read. The longest has {max(counts):,}."]
