"""Checkpoints of a run: which are kept, and which is whole. A damaged one gives way to the one before it, never to a
part of itself."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from core import files
from core.analysis import kept_steps
from core.analysis.kept_steps import TRAINED_FILE as TRAINED_FILE
from core.errors import DataError
from core.files import sha256

if TYPE_CHECKING:
    import torch

    from core.models.network import Network

ELAPSED_FILE = "elapsed.json"
STATE_FILE = "trainer_state.json"
BEST_FILE = "best.safetensors"
"""What the network said of the validation rows where it scored best so far."""
MANIFEST_FILE = "manifest.json"
"""Size and SHA-256 of every other file of the checkpoint; written last."""
START_FILE = "start.safetensors"
"""What trains, as it was when training began: on disk, since memory is short while it trains."""
NEEDED = (TRAINED_FILE, ELAPSED_FILE, STATE_FILE, "optimizer.pt", "scheduler.pt", "rng_state.pth")
"""What resuming with the same result needs. The Trainer itself goes on in silence where the optimiser's state is
missing."""
NEWEST_KEPT = 2


def seal(checkpoint: Path) -> None:
    """Note what the checkpoint consists of, once it is written."""
    manifest = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
                for path in sorted(checkpoint.iterdir()) if path.name != MANIFEST_FILE}
    files.write_json(checkpoint / MANIFEST_FILE, manifest, indent=None)


def prune(folder: Path) -> None:
    """Keep the two newest checkpoints, so that one can stand in for the other, and the ones that each names as its best
    so far."""
    ordered = by_step(folder)
    newest = ordered[-NEWEST_KEPT:]
    kept = {path.name for path in newest} | {name for path in newest if (name := best_of(path))}
    for path in ordered:
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint whose files are all there and all as they were written, and whose best one is, too."""
    return next((path for path in reversed(by_step(folder)) if is_whole(path) and _best_is_whole(path)), None)


def keep_start(folder: Path, network: Network) -> None:
    """Write what trains as it is now, before the first step."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder / START_FILE) as temporary:
        save_file(network.trained_state(), temporary)


def start_of(folder: Path) -> dict[str, torch.Tensor]:
    """What `keep_start` wrote."""
    from safetensors.torch import load_file

    return load_file(folder / START_FILE)


def by_step(folder: Path) -> list[Path]:
    """All checkpoints, whole or not, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.split("-")[1]))


def of_step(run_dir: Path, step: int | None) -> Path:
    """The weights of a step. Raises NotFoundError where they are not kept, DataError where they are damaged."""
    path = kept_steps.weights(run_dir, step)
    own = path.parent.name == kept_steps.STEPS
    if not (kept_steps.sums(run_dir).get(path.name) == sha256(path) if own else is_whole(path.parent)):
        raise DataError(f"The weights of step {step} cannot be used.",
                        why="Their file, or one beside it, is damaged or missing: its checksum is another.",
                        remedy="Take another step, or the run itself.")
    return path


def best_of(checkpoint: Path) -> str | None:
    """Name of the checkpoint that was the best when this one was written; None without validation rows, or where it
    cannot be read."""
    try:
        best = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8")).get("best_model_checkpoint")
    except (OSError, ValueError, AttributeError):
        return None
    return Path(best).name if isinstance(best, str) else None


def is_whole(checkpoint: Path) -> bool:
    """Whether everything needed is there, unchanged. Checkpoints of earlier versions have no manifest: their files are
    tried instead."""
    if not all((checkpoint / name).is_file() for name in NEEDED):
        return False
    try:
        if not (checkpoint / MANIFEST_FILE).is_file():
            return _reads(checkpoint)
        manifest = json.loads((checkpoint / MANIFEST_FILE).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == said["bytes"] and sha256(checkpoint / name) == said["sha256"]
                   for name, said in manifest.items()) and set(NEEDED) <= set(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def elapsed_at(checkpoint: Path) -> float:
    """Seconds trained when the checkpoint was written."""
    return float(json.loads((checkpoint / ELAPSED_FILE).read_text(encoding="utf-8"))["seconds"])


def _best_is_whole(checkpoint: Path) -> bool:
    best = best_of(checkpoint)
    return best is None or best == checkpoint.name or is_whole(checkpoint.parent / best)


def _reads(checkpoint: Path) -> bool:
    """Whether each file can be read to its end; torch writes ZIP archives, whose members carry checksums."""
    from safetensors import SafetensorError, safe_open

    try:
        for name in (STATE_FILE, ELAPSED_FILE):
            json.loads((checkpoint / name).read_text(encoding="utf-8"))
        with safe_open(checkpoint / TRAINED_FILE, framework="numpy") as file:
            file.keys()
        for path in (*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")):
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    return False
    except (SafetensorError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
        return False
    return True
