"""Pooled activations of every block: what the feature-space comparison looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from core.domain.recipe import TAUGHT_TOKENS
from core.features.encoded import Encoded
from core.features.extract import autocast, by_length, to_device
from core.models import blocks
from core.models.network import Network


@torch.no_grad()
def every_block(network: Network, encoded: Encoded, indices: np.ndarray, *, precision: str,
                report: Callable[[float, float | None], None] = lambda done, total: None) -> dict[str, np.ndarray]:
    """Block name -> pooled activations (n_rows, n_dims) in fp32 of these rows, in the order of `indices`; one forward
    pass.

    `embeddings` is what enters the first block; the last block is what the head sees (after a final norm). Rows are
    batched alike for any network with the same encoding, so that two models with equal blocks give equal bytes.
    """
    network.eval()
    pooled: dict[str, torch.Tensor] = {}
    mask: torch.Tensor | None = None

    def keep(name: str, value: torch.Tensor) -> None:  # at once: the tokens of all blocks are large together
        if name != "embeddings" or name not in pooled:  # a shared block (ALBERT) is entered many times
            pooled[name] = network.pool(value.transpose(0, 1) if network.tokens_first else value, mask)

    members = blocks.members(network.body, network.stack)
    handles = [members[0].register_forward_pre_hook(_before(keep), with_kwargs=True)]
    handles += [member.register_forward_hook(_after(keep, f"block {i}")) for i, member in enumerate(members[:-1])]
    place = {int(index): row for row, index in enumerate(indices)}
    found: dict[str, np.ndarray] = {}
    try:
        done = 0
        for batch in by_length(encoded, indices):
            inputs = to_device(encoded.batch(batch), network.device)
            pooled.clear()
            mask = inputs.get("attention_mask")
            with autocast(precision, network.device):
                if network.pooling == TAUGHT_TOKENS:
                    mask = _taught(encoded, batch).to(network.device)
                    last = network.pool(network.body(**inputs).last_hidden_state, mask)
                else:
                    last = network.features(**inputs)
            pooled[f"block {len(members) - 1}"] = last
            for name, values in pooled.items():
                table = found.setdefault(name, np.zeros((len(indices), values.shape[1]), np.float32))
                table[[place[int(index)] for index in batch]] = values.float().cpu().numpy()
            done += len(batch)
            report(done, len(indices))
    finally:
        for handle in handles:
            handle.remove()
    return {name: found[name] for name in network.stack.names}


def _taught(encoded: Any, batch: np.ndarray) -> torch.Tensor:
    """(n_rows, n_tokens) 0/1: the tokens of these rows that are taught."""
    return (encoded.labels(batch) >= 0).long()  # type: ignore[no-any-return]


def _before(keep: Callable[[str, torch.Tensor], None]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep("embeddings", args[0] if args else kwargs["hidden_states"])

    return hook


def _after(keep: Callable[[str, torch.Tensor], None], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        keep(name, output[0] if isinstance(output, tuple) else output)

    return hook
