"""Opening the recorded example: its archive becomes a data folder of its own, once, in a second or two."""

from __future__ import annotations

import dataclasses
import functools
import json
import tarfile
from pathlib import Path

from core import files, recorded
from core.data import bundled, seal
from core.data.ingest import ROWS
from core.errors import NotFoundError
from core.recorded import compact
from core.settings import Settings
from core.store import dump
from core.store.database import READ_ONLY


def settings_of(settings: Settings) -> Settings:
    """Settings whose data folder is the example's, below the `examples` folder of these; unpacked on first use.

    Raises NotFoundError where no example comes with this copy of Thaw.
    """
    if not recorded.ARCHIVE.is_file():
        raise NotFoundError("There is no recorded example in this copy of Thaw.",
                            why=f"{recorded.ARCHIVE.name} is missing.",
                            remedy="Start the comparison on the home page instead.")
    home = settings.home / "examples" / _digest(recorded.ARCHIVE, recorded.ARCHIVE.stat().st_mtime_ns)
    unpack(recorded.ARCHIVE, home)
    take_texts(home, settings)
    return dataclasses.replace(settings, home=home)


@functools.lru_cache(maxsize=4)
def _digest(path: Path, modified_ns: int) -> str:
    """Names the content of the archive; the time of the file is part of the key."""
    return files.sha256(path)[:16]


def unpack(archive: Path, home: Path) -> None:
    """Make the data folder `home` from an archive, unless it is there and whole. Where the folder above was moved, it
    is made anew: its database names its own place."""
    mark = home / READ_ONLY
    if mark.is_file():
        if mark.read_text(encoding="utf-8") == str(home):
            return
        files.remove_folder(home)
    with files.new_folder(home, last=READ_ONLY) as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        compact.restore(folder / recorded.FEATURES, folder)
        found = json.loads((folder / recorded.DATABASE).read_text(encoding="utf-8"))
        dump.restore(folder / "thaw.db", found, workspace=recorded.WORKSPACE,
                     runs_folder=home / "workspaces" / recorded.WORKSPACE / "runs")
        for dataset in (folder / "workspaces" / recorded.WORKSPACE / "datasets").iterdir():
            seal.write(dataset)
        for name in (recorded.FEATURES, recorded.DATABASE):
            (folder / name).unlink()
        (folder / READ_ONLY).write_text(str(home), encoding="utf-8")


def take_texts(home: Path, settings: Settings) -> None:
    """Put the texts of the example's dataset in their places as soon as this machine has fetched them: they may not be
    handed on with the example."""
    for mark in (home / "workspaces" / recorded.WORKSPACE / "datasets").glob(f"*/{recorded.NO_TEXTS}"):
        catalogue_id, place = mark.read_text(encoding="utf-8"), mark.parent
        master = bundled.master_folder(catalogue_id, settings=settings)
        if master is not None and master.name == place.name:
            files.write_bytes(place / ROWS, (master / ROWS).read_bytes())
            seal.write(place)
            mark.unlink(missing_ok=True)


def has_texts(home: Path) -> bool:
    """Whether the texts of every dataset of the example are here."""
    return not list((home / "workspaces" / recorded.WORKSPACE / "datasets").glob(f"*/{recorded.NO_TEXTS}"))
