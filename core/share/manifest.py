"""What an archive of runs says of itself: `manifest.json`, the first thing that is read of it."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = "thaw-archive"
MANIFEST, DATABASE, DATASETS, RUNS, SHARED = "manifest.json", "database.json", "datasets", "runs", "features"
"""Members: what it holds; the runs' entries, experiments and events; datasets; folders of runs; features of base
models, each once for all runs."""
DATASET_FACTS = "dataset-facts.json"
"""In a run's folder: what is known of its dataset, which may not be here."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of the archive."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The archive as a whole. `schema_version` grows when a version before could not read it."""

    format: str
    title: str
    thaw: str
    """Version that wrote it."""
    made: float
    """Unix time in seconds."""
    rows: bool
    """Whether texts of datasets, and files that quote them, are in it."""
    features: bool
    members: dict[str, Member]
    """Every member but this one."""
    shared: dict[str, str]
    """File of a run -> the member that holds it."""
    schema_version: int = 1
