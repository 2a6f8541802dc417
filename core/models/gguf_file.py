"""Base models given as one GGUF file: which file a path means, and where the folder lies that is made of it. No torch.

The folder lies in the data folder's assets under the SHA-256 of the file, so that one file is converted once, wherever
it lies and whatever it is called, and another file of the same name is another model.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import ModelError
from core.settings import Settings

SUFFIX = ".gguf"
SOURCE_FILE = "source.json"
"""Where a fetched model came from, as `core.models.fetch` keeps it; here also name and SHA-256 of the file."""
OTHERS = ("adapter_config.json", "model_index.json", "*.safetensors", "pytorch_model*.bin")
"""In a folder with one of these, GGUF files are not what it is read by."""
PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
"""In the names of files that hold a part of a model each."""


def is_file(path: Path) -> bool:
    """Whether a path is meant as a GGUF file, by its name; it need not be there."""
    return path.suffix.lower() == SUFFIX and not path.is_dir()


def in_folder(folder: Path) -> list[Path]:
    """The GGUF files that a folder holds its model in, sorted; none where it has other weights."""
    if not folder.is_dir() or any(next(folder.glob(pattern), None) for pattern in OTHERS):
        return []
    return sorted(path for path in folder.iterdir() if is_file(path) and path.is_file())


def of(path: Path) -> Path | None:
    """The one GGUF file that this path, of a file or a folder, means; None where it means none, or leaves open which.
    """
    if is_file(path):
        return path
    found = in_folder(path)
    return found[0] if len(found) == 1 else None


def check_choice(folder: Path) -> None:
    """Raise ModelError where a folder leaves open which of its GGUF files is meant."""
    found = in_folder(folder)
    if len(found) < 2:
        return
    if all(PART.search(path.name) for path in found):
        raise in_parts(f"{folder.name} has {len(found)} files, such as {found[0].name}.")
    names = ", ".join(path.name for path in found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
    raise ModelError(f"The folder {folder.name} holds {len(found)} GGUF files, and only one can be the base model.",
                     why=f"They are {names}: mostly the same model rounded to more or fewer bits.",
                     remedy=f"Give the path of the file itself, such as {found[0]}. More bits lose less.")


def target(digest: str, settings: Settings) -> Path:
    """The folder that is made of the file of this SHA-256."""
    return settings.assets / "models" / f"gguf-{digest[:16]}"


def in_parts(why: str) -> ModelError:
    """The refusal of a model that is split over several files."""
    return ModelError("A GGUF file that is split into several parts cannot be read.", why=why,
                      remedy="Put the parts together with gguf-split of llama.cpp (merge), and give the path of the "
                             "whole file.")
