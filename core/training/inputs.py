"""What a network is fed: encoded rows, what its answers are compared with, and the cached prefix where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler

from core.domain.recipe import batches_an_epoch
from core.features.encoded import Encoded
from core.features.extract import PrefixRunner, Report, from_stored, to_device
from core.features.pooled import every_block
from core.features.row_store import RowStore
from core.models.network import Network
from core.tasks.base import Objective, Rows

Batch = dict[str, dict[str, torch.Tensor]]
"""`inputs` of the network, `targets` of the loss."""
POOL_BATCHES = 32
"""Batches that are sorted by length together: enough to hardly pad, few enough to keep the order random."""


@dataclass(kw_only=True)
class Inputs:
    """A network with the rows it reads. prefix and runner come together."""

    task: Objective
    network: Network
    rows: Rows
    encoded: Encoded
    precision: str = "fp32"
    prefix: RowStore | None = None
    prefix_shape: tuple[int, ...] = ()
    """Of one row: (n_tokens, width), where the number of tokens may vary, or (channels, height, width)."""
    runner: PrefixRunner | None = None

    def batch(self, indices: np.ndarray, *, epoch: int | None = None) -> Batch:
        """These rows on the CPU: `inputs` of the network, and `targets` of the loss. epoch: given for training."""
        return {"inputs": self.network_inputs(indices, epoch=epoch),
                "targets": self.task.targets(self.rows, self.encoded, indices)}

    def network_inputs(self, indices: np.ndarray, *, epoch: int | None = None) -> dict[str, torch.Tensor]:
        """What `run` takes for these rows, on the CPU, with `prefix` (n_rows, …) where it is cached."""
        if self.prefix is None:
            return self.encoded.batch(indices, epoch=epoch)
        tensors = self.encoded.beside_prefix(indices, prefix_axes=len(self.prefix_shape))
        tensors["prefix"] = (self._tokens(self.prefix, indices, tensors["attention_mask"].shape[1])
                             if self.encoded.ragged
                             else self._whole_rows(self.prefix, indices))
        return tensors

    def _tokens(self, store: RowStore, indices: np.ndarray, n_tokens: int) -> torch.Tensor:
        """(n_rows, n_tokens, width), zeros where a row is shorter."""
        prefix = np.zeros((len(indices), n_tokens, store.width), dtype=store.dtype)
        for row, index in enumerate(indices):
            values = store.read(int(index))
            prefix[row, :len(values)] = values
        return torch.from_numpy(prefix)

    def _whole_rows(self, store: RowStore, indices: np.ndarray) -> torch.Tensor:
        """(n_rows, …) of rows that are all alike; feature maps channels last in memory, as the body computes them."""
        values = from_stored(store.read_single(indices).reshape(len(indices), *self.prefix_shape))
        return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values

    def run(self, batch: Batch, model: Any = None) -> dict[str, torch.Tensor]:
        """Forward pass of a `batch` (already on the device) through the network, or through `model`, which wraps it.
        Networks that score tokens are given the labels too, so that they need not hand out all logits."""
        tensors = dict(batch["inputs"])
        if getattr(self.network, "scores_tokens", False):
            tensors |= {name: batch["targets"][name] for name in ("labels", "places")}
        if self.runner is not None:
            self.runner.current = tensors.pop("prefix")
        return (self.network if model is None else model)(**tensors)  # type: ignore[no-any-return]

    def on_device(self, batch: Batch) -> Batch:
        """The batch where the network is."""
        return {part: to_device(tensors, self.network.device) for part, tensors in batch.items()}


def computed_blocks(inputs: Inputs, indices: np.ndarray,
                    report: Report = lambda done, total: None) -> dict[str, np.ndarray]:
    """Block name -> pooled activations (n_rows, n_dims) of these rows, in forward order: of all blocks, or, behind a
    cached prefix, of those above it (what the replaced blocks hand on is not theirs)."""
    blocks = every_block(inputs.network, _WithPrefix(inputs), indices, precision=inputs.precision, report=report)
    return (blocks if inputs.runner is None
            else {name: values for name, values in blocks.items() if name not in inputs.runner.removed})


class _WithPrefix:
    """Encoded rows that set the cached prefix of a batch before the network reads it."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.lengths, self.ragged = inputs.encoded.lengths, inputs.encoded.ragged

    def batch(self, indices: np.ndarray) -> dict[str, torch.Tensor]:
        tensors = self.inputs.network_inputs(indices)
        if self.inputs.runner is not None:
            self.inputs.runner.current = tensors.pop("prefix").to(self.inputs.network.device)
        return tensors

    def labels(self, indices: np.ndarray) -> torch.Tensor:
        """Of a language model's rows: their taught tokens; see `TaughtRows`."""
        return self.inputs.encoded.labels(indices)  # type: ignore[attr-defined, no-any-return]


class LengthBuckets(Sampler[list[int]]):
    """Batches of rows of like length in random order, the same for the same (seed, epoch); see `batches_an_epoch` for
    the last one."""

    def __init__(self, indices: np.ndarray, lengths: np.ndarray, *, batch_size: int, seed: int) -> None:
        self.indices = indices
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return batches_an_epoch(len(self.indices), self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(self.indices)
        pool = self.batch_size * POOL_BATCHES
        batches: list[np.ndarray] = []
        for start in range(0, len(order), pool):
            part = order[start:start + pool]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += [part[i:i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        if len(batches) > len(self):
            batches[-2:] = [np.concatenate(batches[-2:])]
        for position in random.permutation(len(batches)):
            yield [int(index) for index in batches[position]]
