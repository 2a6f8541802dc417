"""Which layers get a LoRA adapter: a choice over the linear layers that inspecting the model found."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.domain.model import Block, LinearLayer
from core.errors import PatternError
from core.patterns import matcher

SPECS = ("attention", "mlp", "all-linear")


def lora_targets(blocks: Sequence[Block], *, spec: str, frozen: Sequence[str] = ()) -> list[LinearLayer]:
    """Layers that get an adapter: those of `spec` in blocks that are not frozen.

    spec: `attention`, `mlp`, `all-linear`, or a regular expression over full module names.
    Raises PatternError, listing candidates, when nothing matches.
    """
    candidates = [layer for block in blocks if block.name not in frozen for layer in block.linear_layers]
    if spec == "all-linear":
        chosen = candidates
    elif spec in SPECS:
        chosen = [layer for layer in candidates if layer.kind == spec]
    else:
        wanted = matcher(spec, what="LoRA target")
        chosen = [layer for layer in candidates if wanted(layer.name)]
    if not chosen:
        names = sorted({re.sub(r"\d+", "N", layer.name) for layer in candidates})
        raise PatternError(f"The LoRA target {spec!r} matches no layer that trains.",
                           why=f"Candidates in the open blocks: {', '.join(names) or 'none (every block is frozen)'}.",
                           remedy="Use attention, mlp, all-linear, a pattern that matches a candidate, or "
                                  "open more blocks.")
    return chosen
