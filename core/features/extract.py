"""Run the body over rows once: pooled features for the probe, and the frozen prefix for everything else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from core.domain.recipe import forward_rows
from core.features.encoded import Encoded
from core.features.row_store import RowStore
from core.models import blocks
from core.models.network import Network

Report = Callable[[float, float | None], None]
FLUSH_ROWS = 512
"""Rows between two marks: a killed run loses at most so many."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """bf16 or fp16 autocast on the device for a pass without gradients, or nothing for fp32. Each weight is used once
    in it, so that its copy in half precision is not kept."""
    if precision == "fp32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype=dtype, cache_enabled=False)


def by_length(encoded: Encoded, indices: np.ndarray) -> list[np.ndarray]:
    """Batches of rows of like length, longest first (so that memory peaks at once, not at the end)."""
    order = indices[np.argsort(-encoded.lengths[indices], kind="stable")]
    batches = []
    while len(order):
        rows = forward_rows(int(encoded.lengths[order[0]]) if encoded.ragged else 0)
        batches.append(order[:rows])
        order = order[rows:]
    return batches


def to_device(inputs: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The same inputs on the device; a GPU fetches them when it comes to them, and nobody waits for it."""
    if device.type != "cuda":
        return {name: tensor.to(device) for name, tensor in inputs.items()}
    return {name: tensor.to(device) if tensor.is_cuda else tensor.pin_memory().to(device, non_blocking=True)
            for name, tensor in inputs.items()}


@torch.no_grad()
def fill_features(store: RowStore, network: Network, encoded: Encoded, indices: np.ndarray, *, precision: str,
                  report: Report) -> Spent:
    """Write the pooled features, (1, width) a row, of all `indices` that the store lacks. Reports rows done."""
    network.eval()

    def compute(batch: np.ndarray) -> None:
        inputs = to_device(encoded.batch(batch), network.device)
        with autocast(precision, network.device):
            values = network.features(**inputs)
        for row, index in enumerate(batch):
            store.write(int(index), values[row:row + 1].float().cpu().numpy())

    return _fill(store, encoded, indices, compute, report)


@torch.no_grad()
def fill_prefix(store: RowStore, network: Network, encoded: Encoded, indices: np.ndarray, *, boundary: int,
                precision: str, report: Report) -> Spent:
    """Write what enters `block boundary` for all `indices` that the store lacks: (n_tokens, width) a text, everything
    flat a picture."""
    network.eval()

    def compute(batch: np.ndarray) -> None:
        values = to_stored(entering(network, encoded.batch(batch), boundary, precision), store.dtype)  # (n_rows, …)
        for row, index in enumerate(batch):
            store.write(int(index),
                        values[row, :int(encoded.lengths[index])] if encoded.ragged else values[row].reshape(1, -1))

    return _fill(store, encoded, indices, compute, report)


def entering(network: Network, tensors: dict[str, torch.Tensor], boundary: int, precision: str) -> torch.Tensor:
    """What enters `block boundary` for these inputs; nothing above it is computed."""
    caught: list[torch.Tensor] = []

    def catch(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        caught.append(args[0] if args else kwargs["hidden_states"])
        raise _Caught

    handle = blocks.members(network.body, network.stack)[boundary].register_forward_pre_hook(catch, with_kwargs=True)
    try:
        with suppress(_Caught), autocast(precision, network.device):  # the blocks above the boundary are not needed
            network.body(**to_device(tensors, network.device))
    finally:
        handle.remove()
    return caught[0]


def to_stored(values: torch.Tensor, dtype: np.dtype[Any]) -> np.ndarray:
    """Activations as numpy; bfloat16, which numpy lacks, as its bits (uint16)."""
    if dtype == np.uint16:
        return np.asarray(values.to(torch.bfloat16).contiguous().view(torch.int16).cpu().numpy().view(np.uint16))
    return np.asarray(values.float().cpu().numpy())


def from_stored(values: np.ndarray) -> torch.Tensor:
    """The inverse of `to_stored`."""
    return (torch.from_numpy(values.view(np.int16)).view(torch.bfloat16) if values.dtype == np.uint16
            else torch.from_numpy(values))


@dataclass(frozen=True)
class Boundary:
    """What enters the first trainable block. shape: of one row, (n_tokens, width) or (channels, height, width); dtype:
    as stored; outputs: how many tensors each block below hands on in a tuple, 0 for a single one that stands alone."""

    shape: tuple[int, ...]
    dtype: str
    outputs: tuple[int, ...]


OTHER_SHAPES = (RuntimeError, TypeError, ValueError, IndexError, AttributeError)
"""What a body raises whose blocks hand on more than one tensor, so that they cannot be left out."""


@torch.no_grad()
def try_prefix(network: Network, encoded: Encoded, indices: np.ndarray, *, boundary: int,
               precision: str) -> Boundary | None:
    """Start a few rows at `block boundary` and compare with the whole pass; None where that does not give the same.

    Some architectures (Swin) pass sizes from block to block, or read the picture again further up: their prefix cannot
    be cached.
    """
    network.eval()
    tensors = encoded.batch(indices)
    outputs: list[int] = []
    handles = [block.register_forward_hook(lambda module, args, output: outputs.append(len(output)
                                                                                       if isinstance(output, tuple)
                                                                                       else 0))
               for block in blocks.members(network.body, network.stack)[:boundary]]
    try:
        with autocast(precision, network.device):
            whole = network.features(**to_device(tensors, network.device))
    finally:
        for handle in handles:
            handle.remove()
    if len(outputs) != boundary:
        return None
    found = entering(network, tensors, boundary, precision)
    if found.shape[0] != len(indices) or network.tokens_first:  # what is kept is kept row by row
        return None
    runner = PrefixRunner(network, boundary, outputs)
    try:
        runner.current = found
        with autocast(precision, network.device):
            started = network.features(**to_device(encoded.beside_prefix(indices, prefix_axes=found.ndim - 1),
                                                   network.device))
    except OTHER_SHAPES:
        return None
    finally:
        runner.remove()
    tolerance = 1e-4 if precision == "fp32" else 1e-3  # the same sums of the same numbers, on this machine
    if (started.shape != whole.shape or torch.linalg.vector_norm(started - whole) > tolerance
        * torch.linalg.vector_norm(whole)):
        return None
    half = found.dtype == torch.bfloat16 and not encoded.ragged
    return Boundary(tuple(found.shape[1:]), "uint16" if half else "float32", tuple(outputs))


class _Caught(Exception):
    """Raised by the hook to end a forward pass at the boundary."""


@dataclass(frozen=True)
class Spent:
    """Seconds of a shared pass. own: of this run, waiting for another included; whole: what all its rows cost, whoever
    computed them."""

    own: float
    whole: float


def _fill(store: RowStore, encoded: Encoded, indices: np.ndarray, compute: Callable[[np.ndarray], None],
          report: Report) -> Spent:
    asked = time.monotonic()
    rows = np.unique(indices)
    with store.lock():
        todo = store.missing(rows)
        begun = time.monotonic()
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
        if len(todo):
            store.spent(len(todo), time.monotonic() - begun)
    own = time.monotonic() - asked
    whole = store.cost_of(len(rows))
    return Spent(own, own if whole is None else whole)


class PrefixRunner:
    """Lets a network start at `block boundary` from cached activations.

    The frozen blocks below are replaced by a pass-through; the cached tensor, given to `forward` as `prefix`
    (n_rows, …), takes the place of their output. Everything else of the body's own forward
    (masks, positions, final norm) runs as it is, so the result equals the uncached one.
    """

    def __init__(self, network: Network, boundary: int, outputs: Sequence[int]) -> None:
        """outputs: see `Boundary`."""
        self.current: torch.Tensor | None = None
        self.removed = ("embeddings", *(f"block {i}" for i in range(boundary)))
        """Blocks whose own output is no longer computed."""
        self._body = network.body
        self._taken = {path: network.body.get_submodule(path) for path in network.stack.paths[:boundary]}
        self._outputs = tuple(outputs)
        self._first = blocks.members(network.body, network.stack)[boundary]
        self.install()

    def install(self) -> None:
        """Take the blocks out, at first and after `remove`."""
        for path, count in zip(self._taken, self._outputs, strict=True):
            self._body.set_submodule(path, _PassThrough(count))
        self._handle = self._first.register_forward_pre_hook(self._swap, with_kwargs=True)

    def remove(self) -> None:
        """Put the blocks back."""
        self._handle.remove()
        for path, module in self._taken.items():
            self._body.set_submodule(path, module)

    def _swap(self, module: nn.Module, args: tuple[Any, ...],
              kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.current is None:
            raise RuntimeError("a network behind a prefix cache was called without its prefix")
        if args:
            return (self.current, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.current}


class _PassThrough(nn.Module):
    """Stands where a cached block was. outputs: how many values the block gave in a tuple, 0 for a tensor that stands
    alone."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return (hidden_states, *[None] * (self.outputs - 1)) if self.outputs else hidden_states
