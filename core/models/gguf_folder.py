"""The folder that is made of a GGUF file, once: the file is looked at first, so that a damaged one is called so."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from core import files
from core.errors import ModelError, ThawError
from core.models import folder as folder_module
from core.models.gguf_file import PART, SOURCE_FILE, in_parts, target
from core.settings import Settings

MAGIC = b"GGUF"


def ensure(path: Path, digest: str, settings: Settings) -> Path:
    """The folder made of a GGUF file, made now where it is not there. digest: the file's SHA-256.

    Raises ModelError for a file that is missing, damaged, or of a kind that cannot be converted. Safe to call from
    several processes at once: one converts, the others wait.
    """
    from filelock import FileLock

    if not path.is_file():
        raise ModelError(f"There is no file {path}.", why="Nothing is there under that name, or it may not be read.",
                         remedy="Give the absolute path of a GGUF file.")
    folder = target(digest, settings)
    if _is_whole(folder):
        return folder
    if PART.search(path.name):
        raise in_parts(f"{path.name} is one of them.")
    reader = _read(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not _is_whole(folder):
            _convert(path, digest, folder, reader)
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether the folder was made, and nothing of it has been cut since."""
    try:
        folder_module.check(folder)
    except ModelError:
        return False
    return (folder / SOURCE_FILE).is_file()


def _convert(path: Path, digest: str, folder: Path, reader: Any) -> None:
    """Into a folder beside the target, renamed once it is whole."""
    from core.models import convert

    staging = folder.with_name(folder.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        convert.gguf(path, staging)
    except (ThawError, MemoryError):
        raise
    except Exception as error:
        shutil.rmtree(staging, ignore_errors=True)
        if "allocate memory" in str(error) or getattr(error, "errno", None):  # of memory or the disk, not of the file
            raise
        kind = _said(reader, "general.architecture")
        raise ModelError(f"The GGUF file {path.name} cannot be made a model to train"
                         + (f" (it holds a model of the kind {kind})." if kind else "."),
                         why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                         remedy="Choose the model that the file was made from, as safetensors, or a whole GGUF "
                                "file of a language model that transformers reads (Llama, Qwen, Gemma, GPT-2 …)."
                         ) from error
    notes = {"source": "local", "licence": _said(reader, "general.license"), "file": path.name, "sha256": digest}
    files.write_json(staging / SOURCE_FILE, notes)
    files.remove_folder(folder)
    files.move(staging, folder)


def _said(reader: Any, name: str) -> str:
    """A word that a GGUF file says of itself; empty where it does not."""
    field = reader.get_field(name)
    return "" if field is None else bytes(field.parts[field.data[0]]).decode("utf-8", "replace")[:60]


def _read(path: Path) -> Any:
    """A reader of a whole GGUF file with weights. Raises ModelError for any other."""
    from gguf import GGUFReader

    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"version ":
        raise ModelError(f"{path.name} is not there yet.", why="The file is a pointer of Git LFS, not the weights.",
                         remedy="Run git lfs pull in its folder.")
    if start[:4] != MAGIC:
        raise _damaged(path, f"It has {size:,} bytes and does not begin as a GGUF file does")
    try:
        reader = GGUFReader(path)
    except Exception as error:
        raise _damaged(path, f"It has {size:,} bytes, and its list of weights or one of them is cut short or cannot be "
                             "read") from error
    if not reader.tensors:
        raise ModelError(f"The GGUF file {path.name} holds no weights.", why="Its list of weights is empty.",
                         remedy="Choose a file with the model, not with its vocabulary alone.")
    return reader


def _damaged(path: Path, why: str) -> ModelError:
    return ModelError(f"The GGUF file {path.name} is damaged.", why=f"{why}.",
                      remedy="Fetch or copy the file again, and compare its size with the published one.")
