"""How much of a language model is read word by word when a run has ended (`core.training.lens`), and what it takes."""

from __future__ import annotations

from core.domain.model import ModelFacts
from core.planning import own_head

ROWS, SHOWN_ROWS = 64, 12
"""Rows that are averaged over, and those of them that can be looked at word by word."""
TOKENS, SHOWN_TOKENS, AVERAGED_TOKENS = 64, 32, 6
"""Taught tokens of a row, from its beginning, at which models are compared; those of them that every block is read at;
and those that count in the averages, spread over the row."""
FLOOR_ROWS = 8
"""Rows at which the base model is compared with itself in full precision; with itself in 4 bits at all."""
FLOAT_OPERATIONS = {"cpu": 0.7e12, "cuda": 2e14}
"""What reading every block of one side may cost; of large models fewer places are read."""


def share(facts: ModelFacts, vocabulary: int, *, kind: str) -> float:
    """Share of the places at which every block would be read that a device (`cpu` or `cuda`) has time for."""
    cost = 2.0 * vocabulary * facts.hidden_size * len(facts.blocks) * (SHOWN_ROWS * SHOWN_TOKENS
                                                                        + ROWS * AVERAGED_TOKENS)
    return min(1.0, FLOAT_OPERATIONS[kind] / cost) if cost else 1.0


def float_operations(facts: ModelFacts, *, rows: int, mean_tokens: float, kind: str, four_bits: bool) -> float:
    """All of it for one run: both models through so many rows of the sample, every block of each through the output
    layer, the two compared at every measured token, and what rounding alone makes of it. mean_tokens: of a row."""
    rows, head = min(rows, ROWS), own_head.flops_per_token(facts)
    passed = rows * min(mean_tokens, 2 * TOKENS) * facts.forward_flops_per_token
    read = min(FLOAT_OPERATIONS[kind], head * len(facts.blocks) * (SHOWN_ROWS * SHOWN_TOKENS + rows * AVERAGED_TOKENS))
    compared = 2 * head * rows * min(mean_tokens, TOKENS)
    rounding = 1.0 if four_bits else FLOOR_ROWS / ROWS
    return 2 * (passed + read) + compared + rounding * (passed + compared)
