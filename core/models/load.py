"""Load a base model's body from disk: pretrained, with fresh weights, or stored in 4 bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.domain.model import Weights
from core.domain.recipe import QuantSpec
from core.errors import ModelError
from core.models import architecture, held
from core.models.architecture import Architecture

BELONG = "Check that config.json and the weights belong together, or fetch the model again."
DROPOUT_FIELD = "drop"
TIMM = "timm_wrapper"
"""Model type of a timm backbone inside transformers."""


def load_body(folder: Path, *, weights: Weights = Weights.PRETRAINED, dropout: float = 0.0,
              quantization: QuantSpec | None = None, compute_dtype: torch.dtype = torch.float32,
              device: str = "cpu", reads_only: bool = False) -> nn.Module:
    """The body (no head) of the model in `folder`, on `device`, in eval mode.

    weights: how to hold them; `fresh` ones are drawn from torch's current seed, and for `4bit` `quantization` says how.
    dropout replaces every dropout probability of the configuration (of a timm model: the share of skipped residual
    branches, stochastic depth). Bodies that read pictures hold their convolutions channels last, which a CPU computes
    several times faster. reads_only: for passes without gradients that compute in `compute_dtype` by autocast; matrices
    are held in it, which gives the same numbers in half the memory. Raises ModelError when the folder does not hold a
    body that transformers knows, or not all of its weights.
    """
    body = load_model(folder, architecture.read(folder), weights=weights, dropout=dropout, quantization=quantization,
                      compute_dtype=compute_dtype, device=device)
    if reads_only and weights is Weights.PRETRAINED:
        held.matrices(body, compute_dtype)
    if weights != Weights.FOUR_BIT:
        body = body.to(device)
        if reads_pictures(body) and all(parameter.ndim <= 4 for parameter in body.parameters()):
            body = body.to(memory_format=torch.channels_last)
    return body.eval()


def load_model(folder: Path, found: Architecture, *, weights: Weights, dropout: float = 0.0,
               quantization: QuantSpec | None = None, compute_dtype: torch.dtype = torch.float32,
               device: str = "cpu") -> Any:
    """What `found` describes, with its weights; on the CPU but for those in 4 bits."""
    config, extra = found.config, found.options
    _set_dropout(config, dropout)
    if weights == Weights.FRESH:
        model: Any = _fresh(found)
    elif weights == Weights.FOUR_BIT:
        model = found.auto.from_pretrained(folder, config=config, dtype=compute_dtype, device_map={"": device},
                                           quantization_config=_four_bit(quantization or QuantSpec(), compute_dtype),
                                           **extra)
        _settle(model)
    else:
        model = _pretrained(folder, found)
    if hasattr(config, "use_cache"):
        model.config.use_cache = False
    return model


def reads_pictures(body: nn.Module) -> bool:
    """True for a body whose input is a picture."""
    return getattr(body, "main_input_name", "") == "pixel_values"


def channels_last(body: nn.Module) -> bool:
    """Whether its feature maps are (n_rows, height, width, channels), as of timm's Swin; most are (n_rows, channels,
    height, width)."""
    return str(getattr(getattr(body, "timm_model", None), "output_fmt", "NCHW")).endswith("NHWC")


def _pretrained(folder: Path, found: Architecture) -> nn.Module:
    """The published weights in fp32; a ModelError where the files lack some of them, which would be random numbers."""
    try:
        body, report = found.auto.from_pretrained(folder, config=found.config, dtype=torch.float32,
                                                  use_safetensors=True, output_loading_info=True,
                                                  ignore_mismatched_sizes=True, **found.options)
    except MemoryError:
        raise
    except Exception as error:
        if "allocate memory" in str(error):
            raise
        raise ModelError(f"The weights of the base model {folder.name} cannot be loaded.",
                         why=str(error).strip().split("\n")[0][:300], remedy=BELONG) from error
    if report["mismatched_keys"]:
        name, in_file, in_model = sorted(report["mismatched_keys"])[0]
        raise ModelError(f"The weights of the base model {folder.name} do not fit its configuration.",
                         why=f"{name} has the shape {tuple(in_file)} in the file and {tuple(in_model)} by config.json.",
                         remedy=BELONG)
    if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
        raise architecture.incomplete(folder, body, missing)
    return body  # type: ignore[no-any-return]


def _fresh(found: Architecture) -> nn.Module:
    """Random weights as the architecture's own code draws them, in fp32 whatever the base model was published in."""
    config = found.config
    body: nn.Module = found.auto.from_config(config, dtype=torch.float32, **found.options)
    # the wrapper draws every layer from N(0, 0.02), which is not how timm starts its models
    if (config.model_type == TIMM):
        import timm

        body.timm_model = timm.create_model(config.architecture, pretrained=False, num_classes=0,
                                            **(config.model_args or {}))
    return body


def _four_bit(spec: QuantSpec, compute_dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=spec.type, bnb_4bit_use_double_quant=spec.double,
                              bnb_4bit_compute_dtype=compute_dtype,
                              llm_int8_skip_modules=["classifier", "pooler", "score", "head", "lm_head", "embed_out"])


def _settle(body: nn.Module) -> None:
    """Make a 4-bit body one and the same network whether it trains, is scored, or is read back from disk.

    bitsandbytes packs a Linear4bit for inference when it runs in eval mode on a CPU with AVX512-BF16: scale factors are
    rounded, and no gradient passes any more (an error with a bias, wrong gradients without one). Here no layer is ever
    packed. Norms, embeddings and all else that is not in 4 bits are held in fp32, as peft's
    `prepare_model_for_kbit_training` holds them.
    """
    from bitsandbytes.nn import Linear4bit

    layers = [module for module in body.modules() if isinstance(module, Linear4bit)]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    # their biases have the layer's compute type
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for parameter in body.parameters():
        if id(parameter) not in inside and parameter.dtype in (torch.float16, torch.bfloat16):
            parameter.data = parameter.data.float()


def _set_dropout(config: Any, dropout: float) -> None:
    if config.model_type == TIMM:
        known = {name: value for name, value in (config.model_args or {}).items() if DROPOUT_FIELD not in name}
        config.model_args = known | ({"drop_path_rate": dropout} if dropout else {})
        return
    for name, value in config.to_dict().items():
        if DROPOUT_FIELD in name and isinstance(value, float):
            setattr(config, name, dropout)


def trained_pooling(folder: Path) -> str:
    """The pooling that the model was trained with: read from a sentence-transformers folder, else `mean`."""
    path = folder / "1_Pooling" / "config.json"
    if path.is_file():
        modes = json.loads(path.read_text(encoding="utf-8"))
        if modes.get("pooling_mode_cls_token"):
            return "cls"
        if modes.get("pooling_mode_lasttoken"):
            return "last"
    return "mean"
