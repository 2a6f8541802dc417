"""Which blocks use a parameter, by what the forward pass computes: some weights serve several blocks, wherever they are
registered.

MPNet's relative attention bias and DeBERTa's relative embeddings are registered behind the blocks and used by each of
them; T5 keeps its bias in the first block and hands it on. The autograd graph of one small forward pass says so. It is
cut where the hidden states enter and leave blocks, so that what is left of it under a block is what the block itself
reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from core.domain.model import ModelFacts
from core.models import blocks
from core.models.blocks import Stack

Used = dict[str, tuple[str, ...]]
"""Parameter name (or name of a module without parameters) -> blocks, in forward order."""


def trace(body: nn.Module, stack: Stack, inputs: dict[str, torch.Tensor]) -> Used:
    """What registration order gets wrong: names whose blocks are others than the one they are registered in or behind.

    inputs: of a few rows. The body is left as it was. What the pass does not reach keeps the block of its registration.
    """
    walk = _Walk(body, stack)
    asked = {name: parameter.requires_grad for name, parameter in body.named_parameters()}
    handles = list(walk.hooks())
    try:
        with torch.enable_grad():
            for parameter in body.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
            walk.ends(body(**inputs))
    finally:
        for handle in handles:
            handle.remove()
        for name, parameter in body.named_parameters():
            parameter.requires_grad_(asked[name])
    if len(walk.entered) < stack.size:  # blocks that are never called as such say nothing
        return {}
    registered = blocks.block_of([name for name, _ in body.named_modules()], stack)
    registered |= blocks.block_of([name for name, _ in body.named_parameters()], stack)
    order = {name: place for place, name in enumerate(stack.names)}
    found = {name: tuple(sorted(users, key=order.__getitem__)) for name, users in walk.users.items()}
    return {name: users for name, users in found.items() if users != (registered[name],)}


def of_build(body: nn.Module, stack: Stack, facts: ModelFacts) -> Stack:
    """The stack with what inspection found of shared parts; facts of an earlier version do not say, so it is found
    here."""
    if facts.shared is not None:
        return stack.knowing({part.name: part.used_by for part in facts.shared})
    device = next(body.parameters()).device
    if facts.image_size:
        inputs = {"pixel_values": torch.zeros(1, 3, facts.image_size, facts.image_size, device=device)}
    else:
        ids = torch.arange(1, 1 + min(8, facts.max_length), device=device).unsqueeze(0)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return stack.knowing(trace(body, stack, inputs))


class _Walk:
    """Follows one forward pass: where it is, which tensors are the stream of hidden states, and which block reads which
    parameter."""

    def __init__(self, body: nn.Module, stack: Stack) -> None:
        self.body, self.stack = body, stack
        self.users: dict[str, set[str]] = {}
        self._named = {id(parameter): name for name, parameter in body.named_parameters()}
        self._stream: set[Any] = set()  # graph nodes that made hidden states
        self._inside: list[str] = []
        self._behind = "embeddings"
        self.entered: set[str] = set()

    def hooks(self) -> Iterator[Any]:
        members = blocks.members(self.body, self.stack)
        for index, member in enumerate(members):
            yield member.register_forward_pre_hook(self._enters(f"block {index}"), with_kwargs=True)
            yield member.register_forward_hook(self._leaves(f"block {index}"))
        within = {id(module) for member in members for module in member.modules()}
        for name, module in self.body.named_modules():
            bare = not any(True for _ in module.children()) and not any(True for _ in module.parameters())
            if bare and id(module) not in within:
                yield module.register_forward_pre_hook(self._called(name))

    def ends(self, output: Any) -> None:
        """What lies behind the last block belongs to it."""
        for tensor in _tensors(output):
            self._read(tensor, self._behind)

    def _enters(self, block: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = next(_tensors(args), kwargs.get("hidden_states"))
            if isinstance(hidden, torch.Tensor):
                self._read(hidden, self._behind)
                self._stream.add(hidden.grad_fn)
            self._inside.append(block)
            self.entered.add(block)

        return hook

    def _leaves(self, block: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            first, *others = [tensor for tensor in _tensors(output) if tensor.grad_fn is not None] or [None]
            if first is not None:
                self._read(first, block)
                # what else it hands on is a part of the stream if it was made from it; a bias that later blocks read is
                # not
                nodes = [tensor.grad_fn for tensor in others if self._read(tensor, block)]
                self._stream.update([first.grad_fn, *nodes])
            self._inside.pop()
            self._behind = block

        return hook

    def _called(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            self.users.setdefault(name, set()).add(self._inside[-1] if self._inside else self._behind)

        return hook

    def _read(self, tensor: torch.Tensor, block: str) -> bool:
        """Note the parameters that this tensor was made from since the stream was last cut; whether it was made from
        the stream, too."""
        todo, seen, streamed = [tensor.grad_fn], set(self._stream), False
        while todo:
            node = todo.pop()
            streamed |= node in self._stream
            if node is None or node in seen:
                continue
            seen.add(node)
            name = self._named.get(id(getattr(node, "variable", None)))
            if name is not None:
                self.users.setdefault(name, set()).add(block)
            todo += [following for following, _ in node.next_functions]
        return streamed


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Floating-point tensors in what a module takes or gives, in order."""
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from (tensor for item in value.values() for tensor in _tensors(item))
    elif isinstance(value, (tuple, list)):
        yield from (tensor for item in value for tensor in _tensors(item))
