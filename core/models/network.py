"""The network Thaw trains: a base model's body, pooling, and a head of the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from core.domain.freeze import FreezePlan
from core.domain.recipe import TAUGHT_TOKENS
from core.models import blocks as blocks_module
from core.models.blocks import Stack

TOKENS_FIRST = ("xlnet",)
"""Model types that turn texts round inside: their blocks hand on (n_tokens, n_rows, width). Inspection refuses others
that do."""


class Network(nn.Module):
    """Body + pooling + head. `forward` returns {"logits": what the head says}, where rows of one class are pulled
    together in training also their `features` and the share `contrast`; `features` the pooled activations.

    head: reads pooled features, in fp32. stack: where the body's blocks are. pooling: `mean`, `cls` or `last` over
    tokens, `mean` over the places of a feature map, or `model`: the body's own pooled output. channels_last: feature
    maps are (n_rows, height, width, channels).
    """

    scores_tokens = False
    """Whether its outputs are by token, and it takes the labels that they are judged by."""
    held_to_base = 0.0
    """Strength of the penalty on saying of taught tokens what the base model does not; see `Card.to_base`."""
    contrast = 0.0
    """Share of the contrastive loss; see `Card.contrast`."""

    def __init__(self, body: nn.Module, *, head: nn.Module, stack: Stack, pooling: str,
                 channels_last: bool = False) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.stack = stack
        self.pooling = pooling
        self.channels_last = channels_last
        self.tokens_first = getattr(getattr(body, "config", None), "model_type", "") in TOKENS_FIRST
        """Whether its blocks hand on (n_tokens, n_rows, width)."""
        self._eval_modules: list[nn.Module] = []
        self._held: list[nn.Module] = []
        self._waiting: list[nn.Parameter] = []

    def features(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Pooled activations after the last block, (n_rows, width), fp32."""
        output = self.body(**inputs)
        if self.pooling == "model":
            return output.pooler_output.flatten(1).float()
        return self.pool(output.last_hidden_state, inputs.get("attention_mask"))

    def pool(self, hidden: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Activations of any block -> (n_rows, width) in fp32.

        Feature maps (four axes) give their mean over places; tokens (n_rows, n_tokens, width) the network's pooling, or
        their mean where that is the body's own.
        """
        if hidden.ndim == 4:
            return hidden.float().mean((1, 2) if self.channels_last else (2, 3))
        n_tokens = hidden.shape[1]
        mask = torch.ones(hidden.shape[:2], device=hidden.device) if mask is None else mask
        if mask.shape[1] != n_tokens:  # inside a body that shortens texts from block to block (Funnel)
            mask = mask[:, torch.arange(n_tokens, device=mask.device) * mask.shape[1] // n_tokens]
        return pool(hidden, mask, "mean" if self.pooling == "model" else self.pooling)

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.features(**inputs)
        # the head is fp32 in every precision, as the solved probe is
        with torch.autocast(features.device.type, enabled=False):
            said = {"logits": self.head(features)}
        if self.contrast and self.training and torch.is_grad_enabled():
            said |= {"features": features, "contrast": features.new_tensor(self.contrast)}
        return said

    def train(self, mode: bool = True) -> Network:
        """Train mode for what trains; frozen modules stay in eval mode (no dropout, stored BatchNorm statistics)."""
        super().train(mode)
        for module in (*self._eval_modules, *self._held):
            module.eval()
        return self

    def freeze(self, plan: FreezePlan, *, batch_norm: str = "stored") -> None:
        """Apply a freeze plan: gradients off and eval mode for frozen blocks, the head always trains.

        batch_norm: `stored` keeps all BatchNorm layers on the statistics of the pretrained weights (scale and shift
        train), so that training starts from the very network whose head was solved; `batch` lets those of open blocks
        follow the batches. Raises PatternError when `train_patterns` match no parameter.
        """
        from core import patterns
        from core.errors import PatternError

        wanted = [patterns.matcher(pattern, what="freeze pattern") for pattern in plan.train_patterns]
        users = blocks_module.users_of([name for name, _ in self.body.named_parameters()], self.stack)
        matched = 0
        for name, parameter in self.body.named_parameters():
            opened = any(is_wanted(name) for is_wanted in wanted)
            matched += opened
            parameter.requires_grad_(parameter.is_floating_point() and (opened or not plan.any_frozen(users[name])))
        if plan.train_patterns and not matched:
            raise PatternError(f"The patterns {', '.join(plan.train_patterns)} match no parameter.",
                               why="Parameter names look like: " + ", ".join(list(users)[:6]) + " …",
                               remedy="Use a regular expression over parameter names, e.g. bias$ or LayerNorm.")
        frozen = [module for used_by, module in blocks_module.module_users(self.body, self.stack)
                  if plan.any_frozen(used_by)]
        self.keep_in_eval(frozen + (self._norms() if batch_norm == "stored" else []))

    def settle(self) -> None:
        """After it was decided what trains: hold weights in the types that suit it."""

    def keep_in_eval(self, modules: list[nn.Module]) -> None:
        """From now on `train()` leaves these modules (and all below them) in eval mode."""
        self._eval_modules = list(modules)
        self.train(self.training)

    def hold(self, modules: list[nn.Module], parameters: Sequence[nn.Parameter] = ()) -> None:
        """Keep these modules in eval mode for a while (until `hold([])`), although they train later: their statistics
        stay as they are. parameters: such as train later and get no gradient as long; `trained_state` has them."""
        for parameter in self._waiting:
            parameter.requires_grad_(True)
        self._waiting = [parameter for parameter in parameters if parameter.requires_grad]
        for parameter in self._waiting:
            parameter.requires_grad_(False)
            parameter.grad = None
        self._held = list(modules)
        self.train(self.training)

    def until_thawed(self, names: Sequence[str]) -> tuple[list[nn.Module], list[nn.Parameter]]:
        """What to `hold` while these blocks of the body are frozen: a part that several blocks use as long as one of
        them is."""
        plan = FreezePlan(frozen=tuple(names))
        users = blocks_module.users_of([name for name, _ in self.body.named_parameters()], self.stack)
        return ([module for used_by, module in blocks_module.module_users(self.body, self.stack)
                 if plan.any_frozen(used_by)],
                [parameter for name, parameter in self.body.named_parameters() if plan.any_frozen(users[name])])

    def trained_statistics(self) -> dict[str, torch.Tensor]:
        """Running means and variances that training moves: those of BatchNorm layers outside of what is kept in eval
        mode."""
        frozen = {id(inner) for module in self._eval_modules for inner in module.modules()}
        return {f"{name}.{kind}": getattr(module, kind) for name, module in self.named_modules()
                for kind in ("running_mean", "running_var")
                if id(module) not in frozen and isinstance(getattr(module, kind, None), torch.Tensor)}

    def trained_parameters(self) -> dict[str, nn.Parameter]:
        """Those with gradients, now or later."""
        waiting = {id(parameter) for parameter in self._waiting}
        return {name: parameter for name, parameter in self.named_parameters()
                if parameter.requires_grad or id(parameter) in waiting}

    def trained_state(self) -> dict[str, torch.Tensor]:
        """Everything that training changes, on the CPU: `trained_parameters`, and running statistics of blocks that
        train."""
        state = {name: parameter.detach().contiguous().cpu() for name, parameter in self.trained_parameters().items()}
        return state | {name: value.detach().clone().cpu() for name, value in self.trained_statistics().items()}

    def load_trained(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put a `trained_state` back; raises KeyError when it does not fit the network."""
        own = dict(self.named_parameters()) | dict(self.named_buffers())
        with torch.no_grad():
            for name, tensor in state.items():
                own[name].copy_(tensor)

    def _norms(self) -> list[nn.Module]:
        return [module for module in self.body.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]

    @property
    def has_batch_norm(self) -> bool:
        return bool(self._norms())

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def pool(hidden: torch.Tensor, mask: torch.Tensor, how: str) -> torch.Tensor:
    """(n_rows, n_tokens, width) and a 0/1 mask -> (n_rows, width) in fp32.

    `mean` (and `taught`, whose mask is another) over the mask, `cls` the first real token, `last` the last real token.
    """
    hidden = hidden.float()
    if how in ("mean", TAUGHT_TOKENS):
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
    rows = torch.arange(hidden.shape[0], device=hidden.device)
    positions = torch.arange(mask.shape[1], device=mask.device)
    if how == "cls":
        return hidden[rows, mask.long().argmax(1)]
    if how == "last":
        return hidden[rows, (mask.long() * positions).argmax(1)]
    raise ValueError(f"unknown pooling {how!r}")


def count_parameters(network: nn.Module) -> tuple[int, int]:
    """(trainable, total) parameters; a 4-bit weight counts by its unpacked size."""
    trainable = total = 0
    for parameter in network.parameters():
        state: Any = getattr(parameter, "quant_state", None)
        size = int(torch.Size(state.shape).numel()) if state is not None else parameter.numel()
        total += size
        trainable += size if parameter.requires_grad else 0
    return trainable, total
