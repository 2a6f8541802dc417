"""What of a run is about the machine it ran on, and stays there when the run is handed on."""

from __future__ import annotations

import json
import re
from pathlib import Path

from core.settings import Settings

_LOCAL = re.compile(r"[/\\~.]|[A-Za-z]:")
_PARTS = re.compile(r"[/\\]+")


_HIDDEN = "…/"


def was_local(model: str) -> bool:
    """Whether `model` has left out where it lies."""
    return model.startswith(_HIDDEN)


def is_local(model: str) -> bool:
    """Whether a base model is named by a folder or a file of this machine."""
    return _LOCAL.match(model) is not None


def model(id: str) -> str:
    """A base model's id; of a folder or a file of this machine its last part alone, behind `…/`."""
    return f"{_HIDDEN}{[part for part in _PARTS.split(id) if part][-1:][0]}" if is_local(id) else id


def text(document: str, settings: Settings) -> str:
    """A JSON document without the folders of this machine: the data folder's and the user's."""
    for place in (str(settings.home.absolute()), str(Path.home())):
        if len(place) > 1:
            document = document.replace(json.dumps(place)[1:-1], "…")
    return document
