"""The export `onnx`, which says why there is none yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.errors import ThawError
from core.export.base import Format
from core.settings import Settings


class Onnx:
    """Refused in words."""

    name = "onnx"
    summary = "not yet: says why"

    def write(self, run_dir: Path, target: Path, *, settings: Settings, workspace: str) -> dict[str, Any]:
        """Raises ThawError."""
        raise ThawError("Thaw cannot write this model as ONNX.",
                        why="The head sits on the pooled feature of the body, and no exporter for that graph is part "
                            "of this version.",
                        remedy="Use --as merged and convert the folder with the exporter of your runtime.")


FORMAT: Format = Onnx()
