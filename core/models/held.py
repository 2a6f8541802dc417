"""In which type weights are held: what trains in fp32, plain matrices that are only read in that of the computation."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn

HALF = (torch.bfloat16, torch.float16)
ADAPTER = ".lora_"
"""In the names of peft's modules beside frozen layers, which stay as they were trained."""


def matrices(body: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights of plain linear layers now, as autocast would in every pass.

    No subclass, which may compute with its weight first, and no convolution: BiT standardises the weights of its own,
    and DINOv3 makes its positions in the type of its first.
    """
    for module in body.modules():
        if _is_plain(module):
            module.weight.data = module.weight.data.to(dtype)  # type: ignore[union-attr, operator]


def settle(model: nn.Module, dtype: torch.dtype) -> None:
    """Hold what trains in fp32. With half-precision `dtype`, hold in it the frozen weights of plain linear layers,
    which autocast rounds in every pass, and frozen embeddings that lose nothing by it (published so); what they hand on
    stays fp32. The numbers are autocast's, the memory and the time of casting are saved."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in HALF:
            parameter.data = parameter.data.float()
    if dtype not in HALF:
        return
    for name, module in model.named_modules():
        weight: Any = getattr(module, "weight", None)
        reads_only = isinstance(weight, nn.Parameter) and not weight.requires_grad and ADAPTER not in name
        if not reads_only or weight.dtype not in (torch.float32, *HALF):
            continue
        if _is_plain(module):
            weight.data = weight.data.to(dtype)
        elif (type(module) is nn.Embedding and weight.dtype == torch.float32
              and torch.equal(narrow := weight.data.to(dtype), weight.data)):
            weight.data = narrow
            widen(module)


def as_published(model: nn.Module, dtype: torch.dtype) -> None:
    """For passes under autocast in half-precision `dtype`: hold plain matrices and embeddings in the 16 bits that they
    lose nothing by. `settle` widens those that come to train; the numbers are the same either way."""
    if dtype not in HALF:
        return
    for module in model.modules():
        embeds = type(module) is nn.Embedding
        weight: Any = module.weight if embeds or _is_plain(module) else None
        if weight is None or weight.dtype != torch.float32:
            continue
        for kind in (dtype, *HALF):
            if torch.equal(narrow := weight.data.to(kind), weight.data):
                weight.data = narrow
                if embeds:
                    widen(module)
                break


def tables(model: Any, dtype: torch.dtype = torch.bfloat16) -> None:
    """Hold the embeddings and the output layer of a 4-bit language model in 16 bits, whatever it computes in."""
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.weight.data = module.weight.data.to(dtype)
            widen(module)
    output = model.get_output_embeddings()
    if type(output) is nn.Linear:
        output.weight.data = output.weight.data.to(dtype)


def widen(embedding: nn.Module) -> None:
    """Let an embedding hand on fp32, in whatever type it is held."""
    if not getattr(embedding, "_hands_on_fp32", False):
        embedding.register_forward_hook(_widened)
        embedding._hands_on_fp32 = True  # type: ignore[assignment]


def _widened(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    return output.float() if output.dtype in HALF else output


def reads_any(layer: nn.Linear) -> None:
    """Let a linear layer take inputs of another type than its weight's, without autocast too: the wider one counts."""
    layer.forward = MethodType(_linear, layer)  # type: ignore[method-assign]


def _linear(layer: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    if torch.is_autocast_enabled(inputs.device.type):  # which casts by itself, and makes no wider copy first
        return nn.functional.linear(inputs, layer.weight, layer.bias)
    kind = torch.promote_types(inputs.dtype, layer.weight.dtype)
    bias = None if layer.bias is None else layer.bias.to(kind)
    return nn.functional.linear(inputs.to(kind), layer.weight.to(kind), bias)


def _is_plain(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return type(module) in (nn.Linear, Conv1D)


def give_back() -> None:
    """Hand memory that loading freed back to the system, where the C library keeps it (SmolLM2: 420 MB)."""
    import ctypes
    from contextlib import suppress

    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
