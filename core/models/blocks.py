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


NUMBERED_NAME = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class Stack:
    """The repeated modules of a base model. paths: the dotted name of each, in forward order."""

    paths: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        return ("embeddings", *(f"block {i}" for i in range(self.size)))

    def under(self, prefix: str) -> Stack:
        """The same modules after the model was wrapped: `prefix` goes before each name."""
        return Stack(tuple(f"{prefix}.{path}" for path in self.paths))


def find_stack(base: nn.Module) -> Stack:
    """The repeated modules that hold most parameters together; the outermost on a tie.

    They are the members of one container (ModuleList or Sequential), as in transformers and most CNNs, or siblings that are named
    alike and numbered (`layer1` … `layer4` of a ResNet). Raises RecipeError when the model has neither.
    """
    best: Stack | None = None
    best_size = 0
    for name, module in base.named_modules():
        for members_ in _candidates(module):
            size = sum(p.numel() for member in members_ for p in module.get_submodule(member).parameters())
            if size > best_size:
                best, best_size = Stack(tuple(f"{name}.{member}" if name else member for member in members_)), size
    if best is None:
        raise RecipeError("Thaw found no stack of blocks in this base model.",
                          why="It looks for a list of repeated modules, as transformers and CNNs have.",
                          remedy="Choose another base model, or train it with the method full.")
    return best


def _candidates(module: nn.Module) -> list[list[str]]:
    """Names of children that could be the blocks: all members of a container, or numbered siblings that have children themselves."""
    from torch import nn

    children = [name for name, _ in module.named_children()]
    if isinstance(module, (nn.ModuleList, nn.Sequential)):
        return [children] if len(children) >= 2 else []
    groups: dict[str, list[str]] = {}
    for name, child in module.named_children():
        match = NUMBERED_NAME.fullmatch(name)
        if match and any(True for _ in child.children()):
            groups.setdefault(match[1], []).append(name)
    return [group for group in groups.values() if len(group) >= 2]


def members(base: nn.Module, stack: Stack) -> list[nn.Module]:
    """The block modules in forward order."""
    return [base.get_submodule(path) for path in stack.paths]


def block_of(names: list[str], stack: Stack) -> dict[str, str]:
    """Parameter (or module) name -> block name; `names` in registration order.

    What lies between or after the repeated modules belongs to the block before it.
    """
    numbers = {path: i for i, path in enumerate(stack.paths)}
    current = -1
    result: dict[str, str] = {}
    for name in names:
        inside = number_of(name, numbers)
        current = current if inside is None else inside
        result[name] = "embeddings" if current < 0 else f"block {current}"
    return result


def number_of(name: str, numbers: dict[str, int]) -> int | None:
    """The number of the block that holds `name` (or is it); None outside of the repeated modules."""
    parts = name.split(".")
    return next((numbers[path] for end in range(len(parts), 0, -1) if (path := ".".join(parts[:end])) in numbers), None)


def linear_layers(base: nn.Module, stack: Stack) -> dict[str, list[LinearLayer]]:
    """Block name -> the layers inside its repeated modules that an adapter can attach to.

    Linear layers (4-bit ones too), GPT-2's Conv1D, and 1x1 convolutions.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    found: dict[str, list[LinearLayer]] = {name: [] for name in stack.names}
    numbers = {path: i for i, path in enumerate(stack.paths)}
    for name, module in base.named_modules():
        index = number_of(name, numbers)
        if index is None:
            continue
        if isinstance(module, nn.Linear):
            sizes = (module.in_features, module.out_features)
        elif isinstance(module, Conv1D):
            sizes = (int(module.nx), int(module.nf))
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1:
            sizes = (module.in_channels, module.out_channels)
        else:
            continue
        kind = "attention" if ATTENTION_NAME.search(name.removeprefix(stack.paths[index])) else "mlp"
        found[f"block {index}"].append(LinearLayer(name=name, kind=kind, in_features=sizes[0], out_features=sizes[1],
                                                   quantisable=not isinstance(module, nn.Conv2d)))
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
              linear_parameters=sum(layer.in_features * layer.out_features for layer in layers[name] if layer.quantisable))
        for i, name in enumerate(stack.names))
