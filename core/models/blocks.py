"""Blocks of any base model: the stack of repeated modules, what lies before it, and what lies after.

Everything registered before the stack is `embeddings`; what follows it (a final norm, a last convolution)
belongs to the last block, so that "all blocks frozen" leaves exactly the pooled feature frozen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain.model import Block, LinearLayer
from core.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

ATTENTION_NAME = re.compile(r"attn|attention", re.IGNORECASE)


@dataclass(frozen=True)
class Stack:
    """The repeated modules of a base model. path: dotted name of the container; size: number of blocks."""

    path: str
    size: int

    @property
    def names(self) -> tuple[str, ...]:
        return ("embeddings", *(f"block {i}" for i in range(self.size)))


def find_stack(base: nn.Module) -> Stack:
    """The container (ModuleList or Sequential, two or more members) that holds most parameters; the outermost on a tie.

    Raises RecipeError when the model has none.
    """
    from torch import nn

    best, best_size = None, 0
    for name, module in base.named_modules():
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module) >= 2:
            size = sum(p.numel() for p in module.parameters())
            if size > best_size:
                best, best_size = Stack(name, len(module)), size
    if best is None:
        raise RecipeError("Thaw found no stack of blocks in this base model.",
                          why="It looks for a list of repeated modules, as transformers and CNNs have.",
                          remedy="Choose another base model, or train it with the method full.")
    return best


def members(base: nn.Module, stack: Stack) -> list[nn.Module]:
    """The block modules in forward order."""
    return list(base.get_submodule(stack.path).children())


def block_of(names: list[str], stack: Stack) -> dict[str, str]:
    """Parameter (or module) name -> block name; `names` in registration order."""
    result: dict[str, str] = {}
    seen_stack = False
    prefix = stack.path + "." if stack.path else ""
    for name in names:
        match = re.match(rf"{re.escape(prefix)}(\d+)(?:\.|$)", name)
        if match:
            seen_stack = True
            result[name] = f"block {int(match[1])}"
        else:
            result[name] = f"block {stack.size - 1}" if seen_stack else "embeddings"
    return result


def linear_layers(base: nn.Module, stack: Stack) -> dict[str, list[LinearLayer]]:
    """Block name -> the layers inside its repeated modules that an adapter can attach to.

    Linear layers (4-bit ones too), GPT-2's Conv1D, and 1x1 convolutions.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found: dict[str, list[LinearLayer]] = {name: [] for name in stack.names}
    for name, module in base.named_modules():
        if not name.startswith(stack.path + "."):
            continue
        if isinstance(module, nn.Linear):
            sizes = (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            sizes = (int(module.nx), int(module.nf))
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
            sizes = (module.in_channels, module.out_channels)
        else:
            continue
        inside = name.removeprefix(stack.path + ".")
        index, _, rest = inside.partition(".")
        kind = "attention" if ATTENTION_NAME.search(rest) else "mlp"
        found[f"block {int(index)}"].append(LinearLayer(name=name, kind=kind, in_features=sizes[0], out_features=sizes[1]))
    return found


def describe(base: nn.Module, stack: Stack) -> tuple[Block, ...]:
    """Blocks with their parameter counts and linear layers, in forward order, without the head."""
    layers = linear_layers(base, stack)
    owner = block_of([name for name, _ in base.named_parameters()], stack)
    counts = dict.fromkeys(stack.names, 0)
    for name, parameter in base.named_parameters():
        counts[owner[name]] += parameter.numel()
    return tuple(
        Block(index=i, name=name, parameters=counts[name], linear_layers=tuple(layers[name]),
              linear_parameters=sum(layer.in_features * layer.out_features for layer in layers[name]))
        for i, name in enumerate(stack.names))
