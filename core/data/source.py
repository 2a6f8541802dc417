"""The files of an archive or a folder behind one face: names that read right, hidden ones apart, bytes on demand."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from core.data.archive import UNREADABLE, check_members, unpack_tar
from core.data.images import MAX_BYTES
from core.data.member_names import open_zip, readable
from core.data.pictures.source import ending
from core.errors import DataError
from core.settings import Settings

HIDDEN = "it is a hidden file"
"""Why such files are left out; they are counted."""
_SYSTEM_FILES = frozenset({
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", ".ds_store", ".localized", ".directory", ".nomedia",
    ".picasa.ini", ".apdisk", ".volumeicon.icns", ".gitignore", ".gitattributes", ".gitkeep", ".keep", ".npmignore",
    ".dockerignore", ".editorconfig"})
_SYSTEM_PREFIXES = ("._", "~$", ".~lock.", ".nfs", ".fuse_hidden")
"""macOS writes a twin `._x` beside each file `x`; office programs and network drives mark what is open."""
_SYSTEM_FOLDERS = frozenset({
    "__macosx", "__pycache__", "@eadir", "#recycle", "$recycle.bin", "system volume information", ".git", ".github",
    ".svn", ".hg", ".bzr", ".dvc", ".ipynb_checkpoints", ".idea", ".vscode", ".vs", ".cache", ".config", ".local",
    ".huggingface", ".kaggle", ".venv", ".tox", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".trash", ".trashes",
    ".spotlight-v100", ".fseventsd", ".temporaryitems", ".appledouble", ".documentrevisions-v100", ".thumbnails",
    ".thumbs", ".picasaoriginals", ".dropbox.cache", ".sync", ".tmp", ".temp"})
"""In lower case. A class may be called `.net`, so a dot alone hides no folder."""
_HIDDEN_FOLDER = ".hidden"


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The files of an archive or folder, by their path with forward slashes."""

    name: str
    """For messages."""
    files: tuple[str, ...]
    """Ordinary files, hidden ones left away, sorted."""
    read: Callable[[str], bytes]
    """The bytes of a file; safe to call from several threads."""
    local: Callable[[str], Path]
    """A path where a file (a table) can be read from."""
    links: tuple[str, ...] = ()
    """Symbolic links of a folder; they are not followed."""
    hidden: tuple[str, ...] = ()
    """Hidden files, sorted: they are counted as left out, not read."""
    system: tuple[str, ...] = ()
    """Files that a system or a program keeps for itself: no rows of this data, so they are only mentioned."""
    folders: tuple[str, ...] = ()
    """All folders that are no clutter, empty ones too, sorted."""
    keep: Any = None
    """What must live as long as the source: an open archive, a temporary folder."""


class TemporaryFolder:
    """A folder that goes away with the last reference to this object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="thaw-"))
        self._count = itertools.count()
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def place(self, name: str) -> Path:
        """A new path for a file that is called like this; its last part stays where a file system can have it."""
        last = ("".join(c if c.isprintable() and c not in '<>:"|?*\\' else "_"
                        for c in name.rpartition("/")[2]).strip(". ") or "file")
        home = self.path / str(next(self._count))
        home.mkdir()
        return home / (last if len(last.encode()) < 200 else last[:40] + ending(last)[:12])


def plain(name: str) -> str:
    """A member name with forward slashes, without `./` and empty parts."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def suffix(name: str) -> str:
    """The ending of a member's name, in lower case, with its dot; a blank behind it does not count."""
    return ending(name).lower()


def is_system(name: str) -> bool:
    """Whether a system or a program keeps this file for itself: it belongs to no data."""
    *folders, last = name.replace("\\", "/").casefold().split("/")
    return last in _SYSTEM_FILES or last.startswith(_SYSTEM_PREFIXES) or any(map(_is_system_folder, folders))


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, or of a system or program."""
    *folders, last = name.replace("\\", "/").casefold().split("/")
    return last.startswith(".") or _HIDDEN_FOLDER in folders or is_system(name)


def _is_system_folder(folder: str) -> bool:
    """folder: in lower case."""
    return folder in _SYSTEM_FOLDERS or folder.startswith(".trash-")


def of_folder(folder: Path, *, name: str) -> Source:
    """The files below a folder. Links are not followed."""
    files: list[str] = []
    links: list[str] = []
    below: list[str] = []
    for base, folders, names in os.walk(folder, followlinks=False):
        for entry in (*folders, *names):
            path = Path(base) / entry
            kind = links if path.is_symlink() else files if entry in names else below
            kind.append(path.relative_to(folder).as_posix())

    on_disk = dict(zip(readable(files), files, strict=True))

    def read(relative: str) -> bytes:
        path = folder / on_disk[relative]
        return b"\0" * (MAX_BYTES + 1) if path.stat().st_size > MAX_BYTES else path.read_bytes()

    return _source(name, list(on_disk), readable(below), read=read, local=lambda relative: folder / on_disk[relative],
                   links=_seen(readable(links)))


def of_zip(path: Path, *, settings: Settings) -> Source:
    """The members of a ZIP, after the checks of `archive.check_members`; each is read on demand. Raises DataError."""
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):  # zipfile would also open what is appended to another file
            raise DataError(f"{path.name} cannot be opened.",
                            why="Its first bytes are not those of a ZIP or Excel file.",
                            remedy="Give it the ending of what it is, such as .csv, or pack it again, and "
                                   "import that file.")
    limit = settings.max_upload_mb * 10_000_000
    try:
        bundle = open_zip(path)
        check_members(bundle.infolist(), path, max_files=settings.max_archive_files, max_bytes=limit)
    except UNREADABLE as error:
        raise DataError(f"{path.name} cannot be opened.", why=f"It is damaged ({error}).",
                        remedy="Save or pack it again and import that file.") from error
    members = {plain(info.filename): info for info in bundle.infolist() if not info.filename.endswith("/")}
    lock, folder = threading.Lock(), TemporaryFolder()

    def read(relative: str) -> bytes:
        with lock, bundle.open(members[relative]) as file:
            return file.read(MAX_BYTES + 1)

    def local(relative: str) -> Path:
        target = folder.place(relative)
        try:
            with lock, bundle.open(members[relative]) as file, target.open("wb") as sink:
                shutil.copyfileobj(file, sink, 1 << 20)
        except UNREADABLE as error:
            raise DataError(f"{relative} in {path.name} cannot be read.",
                            why=f"It is damaged or packed in an unknown way ({error}).",
                            remedy="Make the ZIP again with an ordinary tool, then try again.") from error
        return target

    below = [plain(info.filename) for info in bundle.infolist() if info.filename.endswith("/")]
    return _source(path.name, list(members), below, read=read, local=local, keep=(bundle, folder))


def of_tar(path: Path, *, settings: Settings, wanted: Callable[[str], bool] = lambda name: True) -> Source:
    """The members of a tar archive, those that are `wanted` unpacked once to a temporary folder. Raises DataError."""
    folder = TemporaryFolder()
    unpacked = unpack_tar(path, folder.path, max_files=settings.max_archive_files,
                          max_bytes=settings.max_upload_mb * 10_000_000,
                          wanted=lambda name: not is_hidden(name) and wanted(name))
    places = {plain(name): place for name, place in unpacked.files.items()}

    def unpacked_at(relative: str) -> Path:
        if (place := places[relative]) is None:
            raise FileNotFoundError(f"{relative} was not unpacked")
        return place

    def local(relative: str) -> Path:
        return Path(shutil.copyfile(unpacked_at(relative), folder.place(relative)))

    def read(relative: str) -> bytes:
        place = unpacked_at(relative)
        return b"\0" * (MAX_BYTES + 1) if place.stat().st_size > MAX_BYTES else place.read_bytes()

    return _source(path.name, list(places), [plain(name) for name in unpacked.folders], read=read, local=local,
                   keep=folder)


def _seen(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not is_hidden(name)))


def _source(name: str, files: list[str], folders: list[str], *, read: Callable[[str], bytes],
            local: Callable[[str], Path], links: tuple[str, ...] = (), keep: Any = None) -> Source:
    """A source of these files and folders, hidden ones apart."""
    holding = {file.rpartition("/")[0] for file in files} - {""}
    above = (holding | {str(parent) for folder in holding for parent in PurePosixPath(folder).parents if str(parent)
                        != "."})
    own = [path for path in {*folders, *above} if not any(map(_is_no_class, path.casefold().split("/")))]
    hidden = sorted(file for file in files if is_hidden(file))
    return Source(name=name, files=_seen(files), hidden=tuple(file for file in hidden if not is_system(file)),
                  system=tuple(filter(is_system, hidden)), links=links, read=read, local=local, keep=keep,
                  folders=tuple(sorted(own)))


def _is_no_class(folder: str) -> bool:
    return folder == _HIDDEN_FOLDER or _is_system_folder(folder)
