"""The longest text that a body takes: tried where a table of positions ends, believed where there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from core.errors import ModelError
from core.models import limits, tokens
from core.models.blocks import Stack

STACK = Stack(("layers.0", "layers.1"))


class Body(nn.Module):
    """It counts positions from `first` in a table of `rows`; without a table it takes any length up to `most`."""

    def __init__(self, rows: int = 0, first: int = 0, most: int = 10**6, **config: int) -> None:
        super().__init__()
        self.config, self.first, self.most = SimpleNamespace(**config), first, most
        self.positions = nn.Embedding(rows, 4) if rows else None
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(3, 3)])  # nothing above the first one is computed
        self.tried: list[int] = []

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        self.tried.append(input_ids.shape[1])
        if input_ids.shape[1] > self.most:
            raise ValueError
        places = torch.arange(input_ids.shape[1]) + self.first
        hidden = self.positions(places) if self.positions is not None else torch.zeros(len(places), 4)
        return self.layers[1](self.layers[0](hidden[None]))  # type: ignore[no-any-return]


def longest(body: Body, says: Any = 10**30) -> int:
    return limits.longest_input(body, STACK, SimpleNamespace(model_max_length=says),
                                lambda n: {"input_ids": torch.zeros(1, n, dtype=torch.long)})


@pytest.mark.parametrize(("body", "length", "tries"), [
    (Body(rows=40, max_position_embeddings=40), 40, 1), (Body(rows=42, first=2, max_position_embeddings=42), 40, None),
    (Body(rows=40, max_position_embeddings=100), 40, None), (Body(n_positions=5000), 5000, 0),
    (Body(n_ctx=10**5), 8192, 0), (Body(rows=2050, first=2, n_positions=2050), 2048, None),
    (Body(rows=2048, first=2, n_positions=2040), 2040, 1), (Body(max_position_embeddings=0, n_ctx=16), 16, 1),
    (Body(most=300), 300, None),
])
def test_the_longest_text(body: Body, length: int, tries: int | None) -> None:
    assert longest(body) == length
    assert tries is None or len(body.tried) == tries
    assert not body.layers[0]._forward_hooks


def test_where_the_configuration_says_nothing_the_tokenizer_may() -> None:
    assert longest(Body(), says=77) == 77 and longest(Body()) == 512


def test_a_body_that_takes_no_text_is_refused() -> None:
    assert longest(Body(most=8)) == 8
    with pytest.raises(ModelError, match="cannot be run on texts of 8 tokens"):
        longest(Body(most=7))


def test_what_a_tokenizer_says_of_itself() -> None:
    def said(**fields: Any) -> Any:
        return SimpleNamespace(**({"pad_token_id": None, "eos_token_id": None, "unk_token_id": None} | fields))

    assert [tokens.pad_id(said(**fields)) for fields in (
        {"pad_token_id": 0, "eos_token_id": 5}, {"eos_token_id": 5, "unk_token_id": 3}, {"unk_token_id": 3}, {})] == [
            0, 5, 3, 0]
    assert [tokens.length_limit(SimpleNamespace(model_max_length=limit))
            for limit in (128, 10**6, 10**30, 0, -1, None, 10**6 - 1)] == [128, 512, 512, 512, 512, 512, 10**6 - 1]
    highest = SimpleNamespace(get_vocab=lambda: {"a": 0, "b": 9})
    tokens.check_size(highest, 10, name="m")
    with pytest.raises(ModelError, match="does not fit its weights") as caught:
        tokens.check_size(highest, 9, name="m")
    assert caught.value.why == "The tokenizer gives numbers up to 9; the embedding has 9 rows (0 to 8)."
