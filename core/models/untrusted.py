"""What a base model's folder may ask for: it comes from a stranger, and nothing in it may reach outside of it.

Weights are read from safetensors files of the folder only; a timm backbone is built from an architecture's name and a
few known arguments only (`timm.create_model` also takes paths, addresses and code).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from core.errors import RecipeError

_WEIGHT_FILE = re.compile(r"[\w.-]{1,200}\.safetensors")
_ARCHITECTURE = re.compile(r"[a-z0-9_]{1,100}(\.[a-z0-9_]{1,100})?")
_WORD = re.compile(r"[\w.-]{0,60}")
TIMM_ARGUMENTS = frozenset({
    "act_layer", "class_token", "depth", "depths", "drop_path_rate", "drop_rate", "dynamic_img_pad", "dynamic_img_size",
    "embed_dim", "features_only", "fc_norm", "global_pool", "img_size", "in_chans", "init_values", "mlp_ratio",
    "norm_layer", "num_classes", "num_heads", "output_stride", "patch_size", "pos_embed", "qk_norm", "qkv_bias",
    "reg_tokens", "window_size"})
"""Arguments of `timm.create_model` that only say how a network is built."""


def check(folder: Path) -> None:
    """Raise RecipeError when a file of the folder names something outside of it, or arguments that are not known to be
    harmless."""
    for index in folder.glob("*.index.json"):
        _check_index(index)
    config = json_object(folder / "config.json")
    if config.get("model_type") == "timm_wrapper":
        _check_timm(config)


def _check_index(path: Path) -> None:
    files = json_object(path).get("weight_map")
    names = (set(files.values()) if isinstance(files, dict) and all(isinstance(name, str) for name in files.values())
             else None)
    if path.name.startswith("pytorch_model"):
        return  # never read: weights come from safetensors only
    if names is None:
        raise _refused(f"{path.name} does not say which file holds which weight.")
    for name in sorted(names):
        if not _WEIGHT_FILE.fullmatch(name):
            raise _refused(f"{path.name} names {name[:80]!r}, which is no safetensors file of the folder.")
        if not (path.parent / name).is_file():
            raise _refused(f"{path.name} names {name[:80]!r}, which is missing.")


def _check_timm(config: dict[str, Any]) -> None:
    architecture, arguments = config.get("architecture"), config.get("model_args") or {}
    if not isinstance(architecture, str) or not _ARCHITECTURE.fullmatch(architecture):
        raise _refused(f"The architecture {str(architecture)[:80]!r} is not the name of a timm model.")
    if not isinstance(arguments, dict):
        raise _refused("model_args is not a list of named arguments.")
    for name, value in arguments.items():
        if name not in TIMM_ARGUMENTS or not _is_plain(value):
            raise _refused(f"model_args passes {name[:40]!r} to timm, which is not among the arguments that "
                           "Thaw lets through.")


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= 64 and all(_is_plain(inner) for inner in value)
    return (value is None or isinstance(value, (bool, int, float))
            or (isinstance(value, str) and _WORD.fullmatch(value) is not None))


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where the file is missing or holds none: whoever needs it says so."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _refused(why: str) -> RecipeError:
    return RecipeError("This base model's folder asks for something that Thaw does not do.", why=why,
                       remedy="Save the model again with save_pretrained(folder, safe_serialization=True), or "
                              "choose another one.")
