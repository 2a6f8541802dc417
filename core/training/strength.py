"""A network whose trained change can be turned up and down, again and again, and exactly back.

`W(s) = W_base + s · (W_tuned − W_base)`: interpolation of the weights that a run trained (Wortsman et al. 2022,
WiSE-FT, arXiv 2109.01903), scaling of its low-rank updates. At 0 and 1 the numbers are those of the two models, to the
last bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from core.domain.freeze import HEAD
from core.domain.strength import Turn
from core.errors import RecipeError
from core.models import adapters, blocks
from core.models.methods import Adapter
from core.models.network import Network

DEFAULT = "default"
"""peft's name of the adapter that a run trained."""
REDUCED = "reduced"

Tensors = dict[str, torch.Tensor]


def mixed(base: torch.Tensor, tuned: torch.Tensor, strength: float) -> torch.Tensor:
    """`base + strength · (tuned − base)` of one weight, in fp32; `base` at 0 and `tuned` at 1 to the last bit."""
    if strength == 0 or (strength != 1 and not tuned.is_floating_point()):
        return base
    if strength == 1:
        return tuned
    return torch.lerp(base.float(), tuned.to(base.device).float(), strength)


class Dials:
    """The dials of one network that holds the model a run started from.

    network: as it was before the run's weights or adapters were put on, with the base model's head where there is one.
    folder: of the run's artifact; weights and adapters: where they lie in it. head: the trained one; base_head: the
    solved one, None where the run has none.
    """

    def __init__(self, network: Network, *, weights: Path, adapter_folder: Path, adapter: Adapter | None, head: Tensors,
                 base_head: Tensors | None) -> None:
        self.network = network
        self.layers: dict[str, Any] = {}
        self._originals: dict[str, Tensors] = {}
        self._scaling: dict[str, float] = {}
        self._frozen: dict[str, Tensors] = {}
        self._adapter = adapter
        self._head = head
        if network.scores_tokens:  # the base model's own output layer
            own = dict(network.head.named_parameters())
            base_head = {name: own[name].detach().clone() for name in head}
        self._base_head = base_head
        if adapter_folder.is_dir():
            adapters.read(network, adapter_folder, device=network.device.type)
            self._find_layers()
        self._tuned = load_file(weights) if weights.is_file() else {}
        every = dict(network.body.named_parameters()) | dict(network.body.named_buffers())
        self.own = {name: every[name] for name in self._tuned}  # also while a prefix stands in for their blocks
        for name, tuned in self._tuned.items():
            if self.own[name].dtype != tuned.dtype:  # held in 16 bits on a GPU, as it was published
                self.own[name].data = self.own[name].data.to(tuned.dtype)
        self._base = {name: own.detach().clone() for name, own in self.own.items()}
        names = list(dict.fromkeys([*network.body.state_dict(), *self._tuned, *self.layers]))
        self._block = blocks.block_of(names, network.stack)

    @property
    def head_follows(self) -> bool:
        """Whether there is a base head for the head to go back to."""
        return self._base_head is not None

    @property
    def rank(self) -> int | None:
        """Directions of each low-rank update; None where the rank cannot be turned."""
        if not self.layers or self._adapter is None or not self._adapter.scales:
            return None
        return max(int(layer.r[DEFAULT]) for layer in self.layers.values())

    @property
    def no_intruders(self) -> str:
        """Why peft's reduction of intruder dimensions does not apply; empty where it does."""
        if self.rank is None:
            return "peft knows intruder dimensions of low-rank updates (LoRA) only"
        bases = [layer.get_base_layer() for layer in self.layers.values()]
        if any(not base.weight.is_floating_point() for base in bases):
            return "peft finds intruder dimensions beside base weights in full precision, and these are in 4 bits"
        if any(base.weight.ndim != 2 or getattr(layer, "fan_in_fan_out", False)
               for base, layer in zip(bases, self.layers.values(), strict=True)):
            return "peft finds intruder dimensions of linear layers only, and this model's are of another kind"
        return ""

    @property
    def moved(self) -> tuple[str, ...]:
        """Blocks that training changed, in forward order."""
        found = {self._block[name] for name in (*self._tuned, *self.layers)}
        return tuple(name for name in self.network.stack.names if name in found)

    @property
    def adapts(self) -> bool:
        """Whether the present setting can be written as adapters: it has low-rank updates that scale."""
        return bool(self.layers) and self._adapter is not None and self._adapter.scales

    def adapter_tensors(self) -> Tensors:
        """The low-rank updates at the present setting, as peft names them in a file: the strength is in B."""
        found: Tensors = {}
        for name, layer in self.layers.items():
            factor = 0.0 if layer.disable_adapters else layer.scaling[DEFAULT] / self._scaling[name]
            a, b = (half.weight.detach().cpu() for half in _halves(layer).values())
            found |= {f"{name}.lora_A.weight": a.clone(), f"{name}.lora_B.weight": b.clone() if factor == 1 else
                      b * factor}
        return found

    def weight_tensors(self) -> Tensors:
        """The changed weights at the present setting, by their names in the base model; adapters are folded in."""
        found = {name: own.detach().cpu().clone() for name, own in self.own.items()}
        for name, layer in self.layers.items():
            for part, own in _of_base(layer).items():
                value = own.detach().float().cpu()
                folded = value.clone() if layer.disable_adapters else self._folded(layer, part, value)
                if part == "weight" or not torch.equal(folded, self._published(name, part, value)):
                    found[f"{adapters.published_name(name)}.{part}"] = folded
        return found

    def head_tensors(self) -> Tensors:
        """The head at the present setting."""
        state = self.network.head.state_dict()
        return {name: state[name].detach().cpu().clone() for name in self._head}

    def first_moved(self, turn: Turn) -> int:
        """Place in `network.stack.names` of the first block that this setting turns; the number of blocks where it
        turns none of them."""
        names = self.network.stack.names
        return min((names.index(name) for name in self.moved if not turn.blocks or name in turn.blocks),
                   default=len(names))

    @torch.no_grad()
    def turn(self, turn: Turn) -> None:
        """Let the network compute with this setting. Raises RecipeError for one that it does not have."""
        turn.check()
        if unknown := [name for name in turn.blocks if name not in (*self.network.stack.names, HEAD)]:
            raise RecipeError(f"This model has no block called {unknown[0]}.",
                              why=f"Its blocks are: {', '.join((*self.network.stack.names, HEAD))}.",
                              remedy="Choose blocks among these.")
        self._turn_head(turn.of_block(HEAD))
        for name, tuned in self._tuned.items():
            base, strength = self._base[name], turn.of_block(self._block[name])
            value = mixed(base, tuned, strength)
            if name.endswith("running_var"):  # a variance; beyond both models it could become negative
                value = value.clamp_min(torch.minimum(base, tuned.to(base.device)))
            self.own[name].copy_(value)
        self._turn_adapters(turn)

    # -- head and adapters --

    def _turn_head(self, strength: float) -> None:
        if self._base_head is None:
            strength = 1.0
        base = self._base_head or {}
        self.network.head.load_state_dict({name: mixed(base[name], tuned, strength) if name in base else tuned
                                           for name, tuned in self._head.items()})

    def _find_layers(self) -> None:
        assert self._adapter is not None
        self.layers = adapters.layers(self.network.body)
        for name, layer in self.layers.items():
            if self._adapter.scales:
                self._originals[name] = {part: module.weight.detach().clone()
                                         for part, module in _halves(layer).items()}
                self._scaling[name] = layer.scaling[DEFAULT]
            else:
                self._frozen[name] = {part: own.detach().clone() for part, own in _of_base(layer).items()}

    def _folded(self, layer: Any, part: str, frozen: torch.Tensor) -> torch.Tensor:
        """The frozen `weight` or `bias` of a layer with its adapter folded in, in fp32 on the CPU."""
        assert self._adapter is not None
        fold = self._adapter.merged if part == "weight" else self._adapter.merged_bias
        return fold(layer, frozen.float().cpu()).detach()

    def _published(self, name: str, part: str, now: torch.Tensor) -> torch.Tensor:
        """The `weight` or `bias` of a layer as it was before anything was turned."""
        return self._frozen[name][part].float().cpu() if name in self._frozen else now

    def _turn_adapters(self, turn: Turn) -> None:
        if turn.intruders and self.no_intruders:
            raise RecipeError("Intruder dimensions cannot be taken from this run.",
                              why=f"{self.no_intruders[0].upper()}{self.no_intruders[1:]}.",
                              remedy="Turn its strength instead.")
        if turn.rank is not None and self.rank is None:
            raise RecipeError("The rank of this run's change cannot be turned.",
                              why="Only low-rank updates that are added to a weight (LoRA) have one.",
                              remedy="Turn its strength instead.")
        self._restore()
        if turn.intruders:
            self._reduce(turn.intruders)
        for name, layer in self.layers.items():
            if turn.rank is not None and turn.rank < layer.r[DEFAULT]:
                _truncate(layer, turn.rank)
            self._scale(name, layer, turn.of_block(self._block[name]))

    def _restore(self) -> None:
        """Everything as it was trained."""
        for name, layer in self.layers.items():
            layer.enable_adapters(True)
            for part, own in self._frozen.get(name, {}).items():
                _of_base(layer)[part].data.copy_(own)
            if name in self._originals:
                layer.scaling[DEFAULT] = self._scaling[name]
                for part, module in _halves(layer).items():
                    module.weight.data.copy_(self._originals[name][part])

    def _scale(self, name: str, layer: Any, strength: float) -> None:
        assert self._adapter is not None
        if strength == 1:
            return
        if strength and self._adapter.scales:
            layer.scaling[DEFAULT] = strength * self._scaling[name]
            return
        if strength:
            for part, frozen in self._frozen[name].items():
                folded = self._folded(layer, part, frozen).to(frozen.device)
                _of_base(layer)[part].data.copy_(mixed(frozen, folded, strength))
        layer.enable_adapters(False)  # the base layer alone

    def _reduce(self, share: float) -> None:
        from peft.tuners.lora.intruders import reduce_intruder_dimension

        wrapped: Any = self.network.body
        # peft adds (λ − 1) times the intruders, as the paper does: its λ is the share that stays
        reduce_intruder_dimension(wrapped, old_adapter_name=DEFAULT, new_adapter_name=REDUCED,
                                  mitigation_lambda=1 - share, logging_sink=None)
        found = {name: {part: half.weight.detach().clone() for part, half in _halves(layer, REDUCED).items()}
                 for name, layer in self.layers.items()}
        wrapped.set_adapter(DEFAULT)
        wrapped.delete_adapter(REDUCED)
        for name, layer in self.layers.items():
            for part, half in _halves(layer).items():
                half.weight.data.copy_(found[name][part])


def _of_base(layer: Any) -> dict[str, torch.Tensor]:
    """`weight` and, where it has one, `bias` of the frozen layer under an adapter."""
    base = layer.get_base_layer()
    return {"weight": base.weight} | ({} if base.bias is None else {"bias": base.bias})


def _halves(layer: Any, adapter: str = DEFAULT) -> dict[str, nn.Module]:
    """A (rank, n_in) and B (n_out, rank) of a low-rank update."""
    return {"A": layer.lora_A[adapter], "B": layer.lora_B[adapter]}


def _truncate(layer: Any, rank: int) -> None:
    """Keep the `rank` strongest directions of B · A: its truncated singular value decomposition, from two thin QR
    decompositions."""
    a, b = (half.weight for half in _halves(layer).values())
    left, upper = torch.linalg.qr(b.flatten(1).double())            # (n_out, r), (r, r)
    right, lower = torch.linalg.qr(a.flatten(1).T.double())         # (n_in, r), (r, r)
    u, values, v = torch.linalg.svd(upper @ lower.T)
    values[rank:] = 0
    root = values.sqrt()
    b.data.copy_(((left @ u) * root).reshape(b.shape))
    a.data.copy_((root[:, None] * (v @ right.T)).reshape(a.shape))
