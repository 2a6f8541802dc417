"""What a format of export must say and do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from core.settings import Settings

HEAD_SAID = "The head is a file of its own, head.safetensors; "


class Format(Protocol):
    """One file a format; `FORMATS` names them all. Importing one needs no torch."""

    name: str
    """As the command line calls it: `--as NAME`."""
    summary: str
    """In a phrase, for the help text."""

    def write(self, run_dir: Path, target: Path, *, settings: Settings, workspace: str) -> list[str]:
        """Write a finished run's model into the folder `target`; what its user should know, a sentence each.

        Raises ThawError when the run cannot be written so, before anything is written.
        """


def base_of(about: dict[str, Any]) -> str:
    """The base model and its revision, as a read-me names them."""
    revision = about["base_model_revision"]
    return f"`{about['base_model']}`" + (f", revision `{revision}`" if revision else "")


def write(path: Path, text: str) -> None:
    """A small file of the exported folder."""
    path.write_text(text, encoding="utf-8")
