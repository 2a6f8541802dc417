"""Whether a folder holds a base model that can be loaded at all: looked at without torch, and refused by what it is
instead.

Loading libraries meet such folders with a guess (an empty tokenizer, random weights) or an error about something else.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from core.errors import ModelError

CONFIG, WEIGHTS, INDEX, ADAPTER = ("config.json", "model.safetensors", "model.safetensors.index.json",
                                   "adapter_config.json")
OTHER_FORMATS = (
    (("pytorch_model.bin", "pytorch_model.bin.index.json", "*.bin", "*.pt", "*.pth", "*.ckpt"),
     "PyTorch's own format, which can run code when it is read"),
    (("*.gguf",), "GGUF, which is read when the path of the file itself is given"),
    (("tf_model.h5", "*.h5"), "TensorFlow's format"),
    (("flax_model.msgpack",), "Flax's format"),
    (("*.onnx", "onnx/*.onnx"), "ONNX, a format for running a model, not for training it"),
)
"""File names -> what they are, in the order in which they are looked for."""
MAX_HEADER_BYTES = 100_000_000
"""The limit that the safetensors format sets itself."""
POINTER = b"version https://git-lfs"


def check(folder: Path) -> None:
    """Raise ModelError, saying what is there instead, unless the folder has a configuration and whole safetensors
    weights."""
    if (folder / ADAPTER).is_file():
        raise _adapter(folder)
    if not (folder / CONFIG).is_file():
        raise _no_config(folder)
    config = _config(folder)
    quantised = config.get("quantization_config")
    if quantised:
        how = quantised.get("quant_method", "") if isinstance(quantised, dict) else ""
        raise ModelError(f"The base model {_name(folder)} is stored quantised{f' ({how})' if how else ''}.",
                         why="Weights that were rounded to a few bits cannot be trained, and are not kept as "
                             "QLoRA keeps them.",
                         remedy="Choose the model that it was made from; the method QLoRA quantises by itself.")
    for path in _weight_files(folder):
        _check_whole(path)


def _no_config(folder: Path) -> ModelError:
    if not folder.is_dir():
        return ModelError(f"There is no folder {folder}.",
                          why="Nothing is there under that name, or it may not be read.",
                          remedy="Give the absolute path of a folder that holds a model.")
    if (folder / "model_index.json").is_file():
        return ModelError(f"The folder {_name(folder)} holds a pipeline of several models.",
                          why="It has a model_index.json and no config.json.",
                          remedy="Give one of the folders inside of it, such as image_encoder, if it was written by "
                                 "save_pretrained.")
    instead = _other_format(folder)
    return ModelError(f"The folder {_name(folder)} holds no base model.",
                      why="It has no config.json" + (f"; {instead[0]} is {instead[1]}." if instead else "."),
                      remedy="Give a folder written by save_pretrained, a GGUF file, a hub id, or a model of the "
                             "catalogue.")


def _adapter(folder: Path) -> ModelError:
    base = str(_read(folder / ADAPTER).get("base_model_name_or_path") or "")[:120]
    return ModelError(f"The folder {_name(folder)} holds an adapter, not a base model.",
                      why=f"adapter_config.json says that it belongs to {base!r}." if base
                          else "It has an adapter_config.json.",
                      remedy="Give that base model, or merge the two: PeftModel.from_pretrained(base, "
                             "adapter).merge_and_unload().save_pretrained(new_folder), and save the tokenizer or "
                             "processor there too.")


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The configuration of the base model {_name(folder)} cannot be read.",
                         why=f"config.json is not JSON ({str(error)[:120]}).",
                         remedy="Fetch or save the model again.") from error
    if not isinstance(found, dict):
        raise ModelError(f"The configuration of the base model {_name(folder)} cannot be read.",
                         why=f"config.json holds a {type(found).__name__}, not named values.",
                         remedy="Fetch or save the model again.")
    return found


def _weight_files(folder: Path) -> list[Path]:
    """What `from_pretrained` reads: one file, or those that an index names."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise _no_weights(folder)
    names = _read(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise ModelError(f"The weights of the base model {_name(folder)} are incomplete.",
                         why=f"{INDEX} does not say which file holds which weight.",
                         remedy="Fetch or save the model again.")
    files = sorted(set(names.values()))
    if outside := [name for name in files if Path(name).name != name or not name.endswith(".safetensors")]:
        raise ModelError(f"The weights of the base model {_name(folder)} cannot be read.",
                         why=f"{INDEX} names {outside[0][:80]!r}, which is no safetensors file of this folder.",
                         remedy="Save the model again with save_pretrained.")
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise ModelError(f"The weights of the base model {_name(folder)} are incomplete.",
                         why=f"{len(missing)} of {len(files)} files that {INDEX} names are missing, such as "
                             f"{missing[0][:80]}.",
                         remedy="Fetch the model again, or copy the missing files into its folder.")
    return [folder / name for name in files]


def _no_weights(folder: Path) -> ModelError:
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return ModelError(f"The base model {_name(folder)} has no weights under the name that is read.",
                          why=f"There is {', '.join(others[:3])}, but neither {WEIGHTS} nor {INDEX}.",
                          remedy=f"Rename a single file to {WEIGHTS}, or save the model again with save_pretrained.")
    instead = _other_format(folder)
    if instead is None:
        return ModelError(f"The base model {_name(folder)} has no weights.",
                          why=f"Its folder has neither {WEIGHTS} nor {INDEX}.",
                          remedy="Save the model into it with save_pretrained, or copy the file of weights.")
    how = (f"Save it as safetensors, in Python: from transformers import AutoModel; "
           f"AutoModel.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r}). Do this only for a file "
           "that you trust."
           if instead[0].startswith("pytorch_model") else "Choose a model that is published as safetensors.")
    return ModelError(f"The base model {_name(folder)} has no safetensors weights.",
                      why=f"It has {instead[0]}: {instead[1]}.", remedy=how)


def _other_format(folder: Path) -> tuple[str, str] | None:
    """(file, what it is) of weights in a format that is not read."""
    for patterns, meaning in OTHER_FORMATS:
        for pattern in patterns:
            if found := next(iter(sorted(folder.glob(pattern))), None):
                return found.name, meaning
    return None


def _check_whole(path: Path) -> None:
    """Raise ModelError for a safetensors file that is cut short, is a pointer to another file, or is none. Reads the
    header only."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start == POINTER[:8]:
            raise ModelError(f"{path.name} of the base model {_name(path.parent)} is not there yet.",
                             why="The file is a pointer of Git LFS, not the weights.",
                             remedy="Run git lfs pull in the model's folder.")
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
            raise _damaged(path, f"It has {size:,} bytes and does not begin as a safetensors file does")
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise _damaged(path, "Its list of tensors cannot be read") from error
    whole = 8 + length + max(ends, default=0)
    if size != whole:
        raise _damaged(path, f"It has {size:,} bytes; its list of tensors needs {whole:,}")


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"{path.name} of the base model {_name(path.parent)} is damaged.", why=f"{why}.",
                      remedy="Fetch or copy the file again; the download probably ended too early.")


def _read(path: Path) -> dict[str, Any]:
    """The named values of a JSON file; empty where it holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _name(folder: Path) -> str:
    """What the folder is called; without the ending that it has while it is being fetched."""
    return folder.name.removesuffix(".part")
