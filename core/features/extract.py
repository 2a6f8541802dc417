"""Run the body over rows once: pooled features for the probe, and the frozen prefix for everything else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from core.features.store import RowStore
from core.models import blocks
from core.models.network import Network
from core.tasks.base import Encoded

Report = Callable[[float, float | None], None]
BATCH_ROWS = 32
FLUSH_ROWS = 512
"""Rows between two marks: a killed run loses at most so many."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 or fp16 autocast on the device, or nothing for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)


def by_length(encoded: Encoded, indices: np.ndarray) -> list[np.ndarray]:
    """Batches of rows of like length, longest first (so that memory peaks at once, not at the end)."""
    order = indices[np.argsort(-encoded.lengths[indices], kind="stable")]
    return [order[i:i + BATCH_ROWS] for i in range(0, len(order), BATCH_ROWS)]


def to_device(inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in inputs.items()}


@torch.no_grad()
def fill_features(store: RowStore, network: Network, encoded: Encoded, indices: np.ndarray, *, precision: str, report: Report) -> None:
    """Write the pooled features, (1, width) a row, of all `indices` that the store lacks. Reports rows done."""
    network.eval()

    def compute(batch: np.ndarray) -> None:
        inputs = to_device(encoded.batch(batch), network.device)
        with autocast(precision, network.device):
            values = network.features(**inputs)
        for row, index in enumerate(batch):
            store.write(int(index), values[row:row + 1].float().cpu().numpy())

    _fill(store, encoded, indices, compute, report)


@torch.no_grad()
def fill_prefix(store: RowStore, network: Network, encoded: Encoded, indices: np.ndarray, *, boundary: int, precision: str,
                report: Report) -> None:
    """Write what enters `block boundary`, (n_tokens, width) a row, for all `indices` that the store lacks."""
    network.eval()
    caught: list[torch.Tensor] = []

    def catch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append(args[0] if args else kwargs["hidden_states"])
        raise _Caught

    handle = blocks.members(network.body, network.stack)[boundary].register_forward_pre_hook(catch, with_kwargs=True)

    def compute(batch: np.ndarray) -> None:
        inputs = to_device(encoded.batch(batch), network.device)
        caught.clear()
        try:
            with autocast(precision, network.device):
                network.body(**inputs)
        except _Caught:
            pass  # the blocks above the boundary are not needed here
        values = caught[0].float().cpu().numpy()  # (n_rows, n_tokens, width)
        for row, index in enumerate(batch):
            store.write(int(index), values[row, :int(encoded.lengths[index])])

    try:
        _fill(store, encoded, indices, compute, report)
    finally:
        handle.remove()


class _Caught(Exception):
    """Raised by the hook to end a forward pass at the boundary."""


def _fill(store: RowStore, encoded: Encoded, indices: np.ndarray, compute: Callable[[np.ndarray], None], report: Report) -> None:
    with store.lock():
        todo = store.missing(np.unique(indices))
        pending: list[np.ndarray] = []
        done = 0
        for batch in by_length(encoded, todo):
            compute(batch)
            pending.append(batch)
            done += len(batch)
            report(done, len(todo))
            if sum(map(len, pending)) >= FLUSH_ROWS:
                store.mark(np.concatenate(pending))
                pending = []
        if pending:
            store.mark(np.concatenate(pending))


class PrefixRunner:
    """Lets a network start at `block boundary` from cached activations.

    The frozen blocks below are replaced by a pass-through; the cached tensor, given to `forward` as `prefix`
    (n_rows, n_tokens, width), takes the place of their output. Everything else of the body's own forward
    (masks, positions, final norm) runs as it is, so the result equals the uncached one.
    """

    def __init__(self, network: Network, boundary: int) -> None:
        self.current: torch.Tensor | None = None
        container = network.body.get_submodule(network.stack.path)
        for index in range(boundary):
            container[index] = _PassThrough()  # type: ignore[index,operator]
        blocks.members(network.body, network.stack)[boundary].register_forward_pre_hook(self._swap, with_kwargs=True)

    def _swap(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.current is None:
            raise RuntimeError("a network behind a prefix cache was called without its prefix")
        if args:
            return (self.current, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.current}


class _PassThrough(nn.Module):
    """Stands where a cached block was."""

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return hidden_states
