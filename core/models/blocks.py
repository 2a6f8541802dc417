"""Blocks of any base model: the stack of repeated modules, what lies before it, and what lies after.

Everything registered before the stack is `embeddings`; what follows it (a final norm, a last convolution)
belongs to the last block, so that "all blocks frozen" leaves exactly the pooled feature frozen. Where the forward pass
says otherwise (`core.models.sharing`), it counts: a part that several blocks use is a part of its own, frozen with any
of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.domain.freeze import BIASES
from core.domain.model import Block, LinearLayer, SharedPart
from core.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

ATTENTION_NAME = re.compile(r"attn|attention", re.IGNORECASE)


NUMBERED_NAME = re.compile(r"(.*?)(\d+)")


@dataclass(frozen=True)
class Stack:
    """The repeated modules of a base model. paths: the dotted name of each, in forward order.

    used_by: (name, blocks) of parameters, and of modules without any, whose blocks their place in the model does not
    tell.
    """

    paths: tuple[str, ...]
    used_by: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def size(self) -> int:
        return len(self.paths)

    @property
    def names(self) -> tuple[str, ...]:
        return ("embeddings", *(f"block {i}" for i in range(self.size)))

    def under(self, prefix: str) -> Stack:
        """The same modules after the model was wrapped: `prefix` goes before each name."""
        return Stack(tuple(f"{prefix}.{path}" for path in self.paths),
                     tuple((f"{prefix}.{name}", users) for name, users in self.used_by))

    def knowing(self, used_by: Mapping[str, tuple[str, ...]]) -> Stack:
        """The same blocks, with what the forward pass says of shared parts."""
        return Stack(self.paths, tuple(used_by.items()))


def find_stack(base: nn.Module) -> Stack:
    """The repeated modules that hold most parameters together; the outermost on a tie.

    They are the members of one container (ModuleList or Sequential), as in transformers and most CNNs, or siblings that
    are named alike and numbered (`layer1` … `layer4` of a ResNet). A model of one block, or whose depth is one block
    passed again and again (ALBERT), has a stack of one. Raises RecipeError when the model has neither.
    """
    best: dict[bool, tuple[int, Stack]] = {}  # of one member, of several -> (parameters, stack)
    for name, module in base.named_modules():
        for members_ in _candidates(module):
            size = sum(p.numel() for member in members_ for p in module.get_submodule(member).parameters())
            several = len(members_) > 1
            if size > best.get(several, (0,))[0]:
                best[several] = size, Stack(tuple(f"{name}.{member}" if name else member for member in members_))
    if not best:
        raise RecipeError("Thaw found no stack of blocks in this base model.",
                          why="It looks for a list of repeated modules, as transformers and CNNs have.",
                          remedy="Choose another base model.")
    # the several are a detail of the one
    if (True not in best or (False in best and best[True][0] < best[False][0] / 2)):
        return best[False][1]
    return best[True][1]


def _candidates(module: nn.Module) -> list[list[str]]:
    """Names of children that could be the blocks: all members of a container, or numbered siblings that have children
    themselves."""
    from torch import nn

    if isinstance(module, (nn.ModuleList, nn.Sequential)):
        children = _called(module)
        return [children] if children else []
    groups: dict[str, list[str]] = {}
    for name, child in module.named_children():
        match = NUMBERED_NAME.fullmatch(name)
        if match and any(True for _ in child.children()):
            groups.setdefault(match[1], []).append(name)
    return [group for group in groups.values() if len(group) >= 2]


def _called(container: nn.Module) -> list[str]:
    """Names of the modules in a container that are called: a list inside of it is not (Funnel keeps lists of layers in
    a list)."""
    from torch import nn

    names: list[str] = []
    for name, child in container.named_children():
        names += [f"{name}.{inner}" for inner in _called(child)] if isinstance(child, nn.ModuleList) else [name]
    return names


def members(base: nn.Module, stack: Stack) -> list[nn.Module]:
    """The block modules in forward order."""
    return [base.get_submodule(path) for path in stack.paths]


def block_of(names: list[str], stack: Stack) -> dict[str, str]:
    """Parameter (or module) name -> block name, the lowest where several use it; `names` in registration order.

    What lies between or after the repeated modules belongs to the block before it, unless the stack knows better.
    """
    return {name: users[0] for name, users in users_of(names, stack).items()}


def users_of(names: list[str], stack: Stack) -> dict[str, tuple[str, ...]]:
    """Parameter (or module) name -> all blocks that use it, in forward order; see `block_of`."""
    known = dict(stack.used_by)
    numbers = {path: i for i, path in enumerate(stack.paths)}
    current = -1
    result: dict[str, tuple[str, ...]] = {}
    for name in names:
        inside = number_of(name, numbers)
        current = current if inside is None else inside
        result[name] = known.get(name) or (("embeddings",) if current < 0 else (f"block {current}",))
    return result


def module_users(base: nn.Module, stack: Stack) -> list[tuple[tuple[str, ...], nn.Module]]:
    """(blocks that use it, module) for every module inside, between and beside the blocks; not for those that hold
    blocks.

    A module beside the blocks is used by whoever uses what it holds.
    """
    around = {path[:i] for path in stack.paths for i, letter in enumerate(path) if letter == "."}
    modules = {name: module for name, module in base.named_modules() if name and name not in around}
    users = users_of(list(modules), stack)
    parameters = users_of([name for name, _ in base.named_parameters()], stack)
    numbers = {path: i for i, path in enumerate(stack.paths)}
    known = dict(stack.used_by)
    found = []
    for name, module in modules.items():
        own = [f"{name}.{inner}" for inner, _ in module.named_parameters(recurse=number_of(name, numbers) is None)]
        own += [inner for inner in known if inner.startswith(f"{name}.") and inner not in parameters]
        if any(inner in known for inner in own):
            using = {user for inner in own for user in parameters.get(inner, known.get(inner, ()))}
            found.append((tuple(block for block in stack.names if block in using), module))
        else:
            found.append((users[name], module))
    return found


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
    """Blocks with their parameter counts and linear layers, in forward order, without the head and what several blocks
    share."""
    layers = linear_layers(base, stack)
    users = users_of([name for name, _ in base.named_parameters()], stack)
    counts, biases = dict.fromkeys(stack.names, 0), dict.fromkeys(stack.names, 0)
    for name, parameter in base.named_parameters():
        if len(users[name]) == 1:
            counts[users[name][0]] += parameter.numel()
            biases[users[name][0]] += parameter.numel() if re.search(BIASES, name) else 0
    return tuple(
        Block(index=i, name=name, parameters=counts[name], biases=biases[name], linear_layers=tuple(layers[name]),
              linear_parameters=sum(layer.in_features * layer.out_features for layer in layers[name]
                                    if layer.quantisable))
        for i, name in enumerate(stack.names))


def shared_parts(base: nn.Module, stack: Stack) -> tuple[SharedPart, ...]:
    """What the stack knows of parts whose blocks their place does not tell; parameters of one block only are counted
    there."""
    sizes = {name: parameter.numel() for name, parameter in base.named_parameters()}
    return tuple(SharedPart(name=name, used_by=users, parameters=sizes.get(name, 0) if len(users) > 1 else 0)
                 for name, users in stack.used_by)
