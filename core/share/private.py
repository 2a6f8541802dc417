"""What of a run is about the machine it ran on, and stays there when the run is handed on."""

from __future__ import annotations

import re

_LOCAL = re.compile(r"[/\\~.]|[A-Za-z]:")
_PARTS = re.compile(r"[/\\]+")


def is_local(model: str) -> bool:
    """Whether a base model is named by a folder or a file of this machine."""
    return _LOCAL.match(model) is not None


def model(id: str) -> str:
    """A base model's id; of a folder or a file of this machine its last part alone, behind `…/`."""
    return f"…/{[part for part in _PARTS.split(id) if part][-1:][0]}" if is_local(id) else id
