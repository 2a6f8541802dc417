"""Training steps of a run whose weights are still there, in its checkpoints.

They go when a run ends; one that was stopped, so that it can be resumed, keeps its last ones.
"""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import NotFoundError

FOLDER, TRAINED_FILE = "checkpoints", "trained.safetensors"


def of(run_dir: Path) -> list[int]:
    """In order."""
    found = (re.fullmatch(r"checkpoint-(\d+)", path.parent.name)
             for path in (run_dir / FOLDER).glob(f"*/{TRAINED_FILE}"))
    return sorted(int(name[1]) for name in found if name)


def weights(run_dir: Path, step: int | None) -> Path:
    """The file with the weights of a step. Raises NotFoundError where it is not kept."""
    if step not in (kept := of(run_dir)):
        there = f"It keeps those of: {', '.join(map(str, kept))}." if kept else (
            "A run that has ended keeps what training ended with, and no checkpoint.")
        raise NotFoundError(f"This run keeps no weights of step {step}.", why=there,
                            remedy="Take the run itself, or its base model.")
    return run_dir / FOLDER / f"checkpoint-{step}" / TRAINED_FILE
