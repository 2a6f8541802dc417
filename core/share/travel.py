"""Which files of a run's folder travel when it is handed on: what it measured; no weights, no tokenizer, no log."""

from __future__ import annotations

from pathlib import Path

KEPT = ("*.json", "predictions-*.parquet", "base-predictions-*.parquet", "panel.parquet", "forgetting.jsonl",
        "artifact/*.json", "artifact/base_head.safetensors", "features/*.json")
QUOTING = ("teaching.json", "samples.jsonl", "samples-untouched.json", "features/lens.*")
"""Files of language runs that quote rows, or say what was learned from them: they travel where the rows may."""


def files(run_dir: Path, *, quoting: bool) -> list[Path]:
    """Paths below a run's folder, sorted. quoting: with those that quote rows."""
    quotes = {path for pattern in QUOTING for path in run_dir.glob(pattern)}
    kept = {path for pattern in KEPT for path in run_dir.glob(pattern)}
    found = kept | quotes if quoting else kept - quotes
    return sorted(path for path in found if path.is_file() and not path.is_symlink())
