"""The longest input a body of texts takes: what its configuration says, tried as far as the first block.

Configurations name the limit in many ways or not at all, and some count positions from 2 (RoBERTa, MPNet, Longformer),
so that the last places of their table are never reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from core.errors import ModelError
from core.models import blocks, tokens
from core.models.blocks import Stack

FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")
LONGEST = 8192
CHEAP = 1024
"""Tokens that one block computes in no time."""
SHORTEST = 8
"""Fewer tokens hold no text: two of them mark its beginning and end."""
TABLE_SLACK = 8
"""How many rows more than its limit a table of positions may have (some begin at 2)."""


def longest_input(body: nn.Module, stack: Stack, tokenizer: Any, make: Callable[[int], dict[str, torch.Tensor]]) -> int:
    """Tokens of the longest text that the body takes, at most 8,192. make: inputs of one row of so many tokens.

    Bodies without a table of positions (rotary, relative, recurrent) take any length, so a long one is not tried.
    Raises ModelError when not even a short text passes.
    """
    said = next((value for name in FIELDS if isinstance(value := getattr(body.config, name, None), int) and value > 0),
                0)
    limit = min(said or tokens.length_limit(tokenizer), LONGEST)
    if limit > CHEAP and not _has_table(body, limit):
        return limit
    return (limit if _passes(body, stack, make(limit)) else _search(lambda n: _passes(body, stack, make(n)),
                                                                    SHORTEST, limit, body))


def _search(passes: Callable[[int], bool], low: int, high: int, body: nn.Module) -> int:
    """The highest count below `high` that passes, by halving."""
    if low >= high or not passes(low):
        raise ModelError(f"{type(body).__name__} cannot be run on texts of {low} tokens.",
                         why="It was tried and failed.", remedy="Choose another base model.")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low


def _has_table(body: nn.Module, limit: int) -> bool:
    """Whether a tensor of the body has about as many rows as there are positions."""
    tensors = [*body.parameters(), *body.buffers()]
    return any(limit <= size <= limit + TABLE_SLACK for tensor in tensors for size in tensor.shape)


@torch.no_grad()
def _passes(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor]) -> bool:
    """Whether the body takes the inputs; nothing above its first block is computed."""
    handle = blocks.members(body, stack)[0].register_forward_hook(_stop)
    try:
        body(**inputs)
    except _Reached:
        return True
    except (IndexError, RuntimeError, ValueError):
        return False
    finally:
        handle.remove()
    return True


class _Reached(Exception):
    """Raised by the hook to end a forward pass behind the first block."""


def _stop(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    raise _Reached
