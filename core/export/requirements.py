"""What an export needs installed, in the versions that it was written with: `requirements.txt`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from core.domain.dataset import Content
from core.export.base import write as write_file

if TYPE_CHECKING:
    from core.export.finished import Finished

FILE = "requirements.txt"
TIMM = "timm_wrapper"


def write(run: Finished, target: Path, *packages: str) -> None:
    """Pin these packages, and those that pictures need beside torch."""
    names = list(packages)
    if run.recipe.task.content is not Content.TEXT:
        names += ["pillow", "torchvision", "timm"]
    if run.four_bit and "peft" in names:
        names += ["bitsandbytes"]
    write_file(target / FILE, "".join(f"{name}=={version}\n" for name in dict.fromkeys(names)
                                      if (version := _version(name))))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of these packages; empty where one is not installed."""
    return {name: _version(name) for name in packages}


def _version(name: str) -> str:
    """The public one: what a build is called besides (`+cpu`) no index has. Empty where it is not installed."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""
