"""A body inside peft's wrapper, freshly made or read back from disk: the same network either way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from core.models.beside_lora import compute_beside
from core.models.merged_lora import merge_on_the_fly

if TYPE_CHECKING:
    from core.models.network import Network

WRAPPED = "base_model.model"
"""Where peft keeps the body inside its wrapper."""


def wrap(network: Network, body: nn.Module) -> None:
    """Let `network` compute with its wrapped `body`."""
    network.body = body
    network.stack = network.stack.under(WRAPPED)
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
