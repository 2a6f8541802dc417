"""The tuned model as one set of full-precision weights: what every export but the adapter is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.model import Weights
from core.domain.side import Side
from core.models import adapters, inspect
from core.models import facts as facts_module
from core.settings import Settings
from core.training import artifact
from core.training.artifact import ADAPTER, LoadedModel


def whole(run_dir: Path, *, settings: Settings, four_bit: bool) -> LoadedModel:
    """The run's model in fp32 on the CPU, with its adapters folded into the weights.

    Folding is done in fp32, on weights that were rounded to nothing else: into 4-bit (or 16-bit) ones an update smaller
    than half a step of their grid would vanish. An adapter that was trained on 4-bit weights is folded into what these
    stand for (they are unpacked first), which is what it was trained beside.
    """
    side = artifact.load(Side.of(run_dir), settings=settings, device="cpu", precision=None if four_bit else "fp32")
    if four_bit:
        _unpack(side, run_dir, settings)
    body: Any = side.network.body
    if hasattr(body, "merge_and_unload"):
        side.network.body = body.merge_and_unload()
    side.precision = "fp32"
    side.network.eval().requires_grad_(False)
    return side


def _unpack(side: LoadedModel, run_dir: Path, settings: Settings) -> None:
    """Put in the place of a 4-bit network the same in fp32, with the run's adapters on it."""
    recipe = side.recipe
    facts = inspect.facts_of(recipe.base_model, settings=settings)

    def build(weights: Weights, dtype: torch.dtype) -> Any:
        return side.task.build(facts_module.folder(recipe.base_model, settings), recipe=recipe, facts=facts,
                               weights=weights, dropout=0.0, compute_dtype=dtype, device="cpu")

    rounded = build(Weights.FOUR_BIT, artifact.compute_dtype(side.precision))
    plain = build(Weights.PRETRAINED, torch.float32)
    copy_unpacked(_root(rounded), _root(plain))
    plain.head.load_state_dict(side.network.head.state_dict())
    adapters.read(plain, run_dir / "artifact" / ADAPTER, device="cpu")
    side.network = plain


def _root(network: Any) -> nn.Module:
    """A language model with its output layer, a body otherwise."""
    return network.causal if network.scores_tokens else network.body  # type: ignore[no-any-return]


@torch.no_grad()
def copy_unpacked(rounded: nn.Module, plain: nn.Module) -> None:
    """Write what the parameters of a 4-bit model stand for into those of the same model in fp32."""
    from bitsandbytes.functional import dequantize_4bit

    for name, parameter in plain.named_parameters():
        own: Any = rounded.get_parameter(name)
        state = getattr(own, "quant_state", None)
        if state is not None:
            state.dtype = torch.float32  # what the 4 bits stand for, not that rounded to 16
        values = own.float() if state is None else dequantize_4bit(own.data, state)
        parameter.copy_(values.reshape(parameter.shape))
