"""A body inside peft's wrapper, freshly made or read back from disk: the same network either way."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from core.models.beside_lora import compute_beside
from core.models.held import HALF
from core.models.merged_lora import merge_on_the_fly

if TYPE_CHECKING:
    from core.models.network import Network

WRAPPED = "base_model.model"
"""Where peft keeps the body inside its wrapper."""


def attach(network: Network, config: Any) -> None:
    """Put new adapters, as peft's `config` says, on a network's bare body. All else is frozen, and stays in eval mode
    but for the adapters' dropout."""
    from peft import get_peft_model

    for part in (network.body, *([network.head] if network.scores_tokens else [])):  # a new head trains
        part.requires_grad_(False)
    # peft's wrapper for texts hands on arguments that not every body takes.
    for_texts = "inputs_embeds" in inspect.signature(network.body.forward).parameters
    config.task_type = "FEATURE_EXTRACTION" if for_texts else None
    asked = list(config.target_modules)
    wrap(network, get_peft_model(network.body, config))  # type: ignore[arg-type]
    there = {published_name(name) for name in layers(network.body)}
    if left := [name for name in asked if name not in there]:  # a tuner may pass over in silence what it does not know
        raise TypeError(f"{len(left)} of {len(asked)} target layers, such as {left[0]}, are not supported")
    network.keep_in_eval(_frozen(network.body) if getattr(config, "lora_dropout", 0.0) else [network.body])


def detach(body: nn.Module) -> None:
    """Put the frozen layers of a body that peft has wrapped back in their places."""
    for name, layer in layers(body).items():
        parent, _, own = name.rpartition(".")
        setattr(body.get_submodule(parent), own, layer.get_base_layer())
    if hasattr(body, "peft_config"):
        del body.peft_config


@contextmanager
def switched_off(body: nn.Module) -> Iterator[None]:
    """Let a wrapped body compute what the base model does, its adapters left out."""
    found = layers(body).values()
    for layer in found:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in found:
            layer.enable_adapters(True)


def layers(body: nn.Module) -> dict[str, Any]:
    """Name in the body -> peft's layer there: the frozen one (`get_base_layer()`) and what trains beside it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return {name: module for name, module in body.named_modules() if isinstance(module, BaseTunerLayer)}


def _frozen(body: nn.Module) -> list[nn.Module]:
    """Modules that neither belong to an adapter nor hold one."""
    found = layers(body)
    inside = [f"{name}.{part}" for name, layer in found.items()
              for part in (*layer.adapter_layer_names, *layer.other_param_names) if hasattr(layer, part)]
    members = {name for name, _ in body.named_modules()
               if any(f"{name}.".startswith(f"{place}.") for place in inside)}
    holders = {name[:end] for name in members for end in range(len(name)) if name[end] == "."} | {""}
    return [module for name, module in body.named_modules() if name not in members | holders]


def wrap(network: Network, body: nn.Module) -> None:
    """Let `network` compute with its wrapped `body`."""
    network.body = body
    network.stack = network.stack.under(WRAPPED)
    for layer in layers(body).values():  # what is held beside what trains of it, to be subtracted
        for held in (getattr(layer, name, None) for name in layer.other_param_names):
            for buffer in held.buffers() if isinstance(held, nn.Module) else ():
                if buffer.dtype in HALF:
                    buffer.data = buffer.data.float()
    network.settle()
    if network.scores_tokens:
        compute_beside(body)
    elif network.device.type == "cpu":  # where peft's way is slow: a step takes about a fifth less
        merge_on_the_fly(body)


def read(network: Network, folder: Path, *, device: str) -> None:
    """Put the adapters saved in `folder` on a network's bare body."""
    from peft import PeftModel

    # as in training, so that `settle` leaves the adapters in fp32
    wrap(network, PeftModel.from_pretrained(network.body, folder, torch_device=device,  # type: ignore[arg-type]
                                            is_trainable=True))


def published_name(name: str) -> str:
    """What a module of the wrapped body is called in the base model."""
    return name.removeprefix(f"{WRAPPED}.")
