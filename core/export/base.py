"""What a format of export must say and do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from core.settings import Settings

HEAD = "head.safetensors"
"""The head of a classifier: a file of its own in the forms that Thaw itself reads."""
HEAD_SAID = f"The head is a file of its own, {HEAD}; "


class Format(Protocol):
    """One file a format; `FORMATS` names them all. Importing one needs no torch."""

    name: str
    """As the command line calls it: `--as NAME`."""
    summary: str
    """In a phrase, for the help text."""

    def write(self, run_dir: Path, target: Path, *, settings: Settings, workspace: str) -> dict[str, Any]:
        """Write a finished run's model into the folder `target`.

        Returns {"notes": what its user should know, a sentence each}, and what else a program should know of the files.

        Raises ThawError when the run cannot be written so, before anything is written.
        """


def base_of(about: dict[str, Any]) -> str:
    """The base model and its revision, as a read-me names them."""
    revision = about["base_model_revision"]
    return f"`{about['base_model']}`" + (f", revision `{revision}`" if revision else "")


def write(path: Path, text: str) -> None:
    """A small file of the exported folder."""
    path.write_text(text, encoding="utf-8")
