"""Bytes of all tensors that are alive, counted instead of measured: what a GPU's allocator would show, on any machine.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """While it is open, `now` and `peak` of the memories that operations have made, each counted once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = self.operations = 0
        self._alive: set[int] = set()

    def hold(self, *modules: nn.Module) -> None:
        """Count what was there before: parameters, buffers, and the scale factors of 4-bit ones."""
        for module in modules:
            for tensor in [*module.parameters(), *module.buffers()]:
                self._add(tensor)
                state = getattr(tensor, "quant_state", None)
                while state is not None:
                    for value in vars(state).values():
                        if isinstance(value, torch.Tensor):
                            self._add(value)
                    state = state.state2

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.operations += 1
        for value in tree_leaves(made):
            if isinstance(value, torch.Tensor):
                self._add(value)
        return made

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.data_ptr() == 0 or storage._cdata in self._alive:
            return
        self._alive.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())

    def _free(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size
