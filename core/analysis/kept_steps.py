"""Training steps of a run whose weights are still there.

A run keeps those of its recorded steps where they are small (adapters, a few layers); its checkpoints, which hold more,
go when it ends. One that was stopped, so that it can be resumed, keeps its last ones.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from core import files
from core.errors import NotFoundError

FOLDER, TRAINED_FILE = "checkpoints", "trained.safetensors"
STEPS, SUMS_FILE = "steps", "sha256.json"
MOST_BYTES = 16 * 2**20
"""Of one step's weights that a finished run keeps: at seven recorded steps at most 112 MB a run."""


def of(run_dir: Path) -> list[int]:
    """In order."""
    found = [re.fullmatch(r"checkpoint-(\d+)", path.parent.name)
             for path in (run_dir / FOLDER).glob(f"*/{TRAINED_FILE}")]
    found += [re.fullmatch(r"step-(\d+)\.safetensors", path.name) for path in (run_dir / STEPS).glob("step-*")]
    return sorted({int(name[1]) for name in found if name})


def path(run_dir: Path, step: int) -> Path:
    """Where the weights of a recorded step stand."""
    return run_dir / STEPS / f"step-{step:07d}.safetensors"


def forget(run_dir: Path) -> None:
    """Remove those of a run that another is about to take the place of."""
    shutil.rmtree(run_dir / STEPS, ignore_errors=True)


def sums(run_dir: Path) -> dict[str, str]:
    """File of a recorded step -> its SHA-256 (hex) when it was written."""
    noted = files.read_json(run_dir / STEPS / SUMS_FILE)
    return noted if isinstance(noted, dict) else {}


def weights(run_dir: Path, step: int | None) -> Path:
    """The file with the weights of a step. Raises NotFoundError where it is not kept."""
    kept = of(run_dir)
    if step is None or step not in kept:
        there = f"It keeps those of: {', '.join(map(str, kept))}." if kept else (
            f"A finished run keeps the weights of steps where those of one take at most {MOST_BYTES // 2**20} MB.")
        raise NotFoundError(f"This run keeps no weights of step {step}.", why=there,
                            remedy="Take the run itself, or its base model.")
    own = path(run_dir, step)
    return own if own.is_file() else run_dir / FOLDER / f"checkpoint-{step}" / TRAINED_FILE
