"""Open archives safely: every member is checked before a byte is written, and nothing of it is ever run."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.data.member_names import open_zip, readable
from core.errors import DataError

UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError,
              NotImplementedError, RuntimeError, IndexError, struct.error)
"""What Python's readers of archives raise on damage, by what they meet first."""
MAX_RATIO = 200
"""Most bytes an archive may grow to for each byte it has (text reaches about 20)."""


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What a tar archive held, in its order."""

    files: dict[str, Path | None]
    """Name of every ordinary member, as it was packed -> where it was written; None where it was not wanted."""
    folders: list[str]


def unpack_zip(archive: Path, dest: Path, *, wanted: Callable[[str], bool] = lambda name: True, max_files: int = 50_000,
               max_bytes: int = 2_000_000_000) -> list[Path]:
    """Unpack the members of a ZIP (a wheel is one) that `wanted(name)` picks into `dest`; return their paths in archive
    order.

    Raises DataError for an absolute, `..` or symlink member, two of one name, an encrypted one, a broken archive, or
    one that holds more than `max_files` members or unpacks to more than `max_bytes` or to more than 200 times its own
    size.
    """
    try:
        with open_zip(archive) as bundle:
            members = [m for m in bundle.infolist() if not m.filename.endswith("/")]
            check_members(members, archive, max_files=max_files, max_bytes=max_bytes)
            return [_write(bundle, member, dest) for member in members if wanted(member.filename)]
    except UNREADABLE as error:
        raise DataError(f"The archive {archive.name} cannot be opened.",
                        why=f"It is damaged or of an unknown kind ({error}).",
                        remedy="Make the ZIP again with an ordinary tool and without a password, "
                               "then try again.") from error


class _Member(tarfile.TarInfo):
    """A tar header whose long-name blocks may not be large: tarfile reads those into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size > 1_000_000 and member.type not in tarfile.REGULAR_TYPES:
            raise tarfile.ReadError("a header block is larger than a megabyte")
        return member


def unpack_tar(archive: Path, dest: Path, *, wanted: Callable[[str], bool] = lambda name: True, max_files: int = 50_000,
               max_bytes: int = 2_000_000_000) -> Unpacked:
    """Unpack the members of a tar archive (plain, gzip, bzip2 or xz) that `wanted(name)` picks into `dest`, in one
    pass.

    Files on disk are numbered, so that any name will do. Raises DataError for what `unpack_zip` raises it for, and for
    hard links, devices and sparse files.
    """
    written: dict[str, Path | None] = {}
    folders: list[str] = []
    seen: set[str] = set()
    total, most = 0, max(MAX_RATIO * archive.stat().st_size, 10_000_000)
    try:
        with tarfile.open(archive, "r|*", tarinfo=_Member, encoding="utf-8", errors="surrogateescape") as bundle:
            for member in bundle:
                if member.isdir():
                    if len(folders) < max_files and not unsafe_name(member.name):
                        folders.append(member.name)
                    continue
                total += member.size
                if problem := _tar_problem(member) or _twice(member.name, seen):
                    raise _refused(archive, f"the member {member.name[:80]!r} {problem}")
                if len(written) >= max_files:
                    raise _refused(archive, f"it holds more than the limit of {max_files:,} files")
                if total > max_bytes:
                    raise _refused(archive, f"it unpacks to more than the limit of {max_bytes / 1e6:,.0f} MB")
                if total > most:
                    raise _refused(archive, f"it unpacks to more than {MAX_RATIO} times its size, as a zip bomb does")
                source = bundle.extractfile(member) if wanted(member.name) else None
                written[member.name] = None
                if source is not None:
                    target = dest / f"part-{len(written) // 1000}" / str(len(written))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
                    written[member.name] = target
    except UNREADABLE as error:
        raise DataError(f"The archive {archive.name} cannot be opened.",
                        why=f"It is damaged or cut off ({str(error)[:120]}).",
                        remedy="Pack it again with an ordinary tool, as ZIP or tar.gz, then try again.") from error
    return Unpacked(files=dict(zip(readable(list(written)), written.values(), strict=True)), folders=readable(folders))


def _tar_problem(member: tarfile.TarInfo) -> str | None:
    if problem := unsafe_name(member.name):
        return problem
    if member.issym() or member.islnk():
        return "is a symbolic link" if member.issym() else "is a hard link"
    if not member.isfile() or member.issparse():
        return "is no ordinary file"
    return None


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not, judged by its content."""
    try:
        return tarfile.is_tarfile(path)
    except UNREADABLE:
        return False


def check_members(members: list[zipfile.ZipInfo], archive: Path, *, max_files: int, max_bytes: int) -> None:
    """Raise DataError when the member list of a ZIP is unsafe or too large; see `unpack_zip`."""
    if len(members) > max_files:
        raise _refused(archive, f"it holds {len(members):,} files, more than the limit of {max_files:,}")
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise _refused(archive,
                       f"it unpacks to {total / 1e6:,.0f} MB, more than the limit of {max_bytes / 1e6:,.0f} MB")
    if total > MAX_RATIO * max(archive.stat().st_size, 1) and total > 10_000_000:
        raise _refused(archive, f"it unpacks to more than {MAX_RATIO} times its size, as a zip bomb does")
    names: set[str] = set()
    for member in members:
        if problem := unsafe_name(member.filename) or _twice(member.filename, names):
            raise _refused(archive, f"the member {member.filename[:80]!r} {problem}")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refused(archive, f"the member {member.filename[:80]!r} is a symbolic link")
        if member.flag_bits & 0x1:
            raise DataError(f"The archive {archive.name} is protected by a password.",
                            why="Thaw cannot open encrypted archives.",
                            remedy="Make it again without a password, then try again.")


def unsafe_name(name: str) -> str | None:
    """Why a member name may not be unpacked, or None when it is an ordinary relative path."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or (len(name) > 1 and name[1] == ":"):
        return "has an absolute path"
    if ".." in path.parts:
        return "points outside the archive"
    if "\x00" in name or (not path.parts and not name.endswith("/")):
        return "has a name that is not a path"
    return None


def _twice(name: str, seen: set[str]) -> str | None:
    """What is wrong when a file of this name was there before: one would silently replace the other."""
    path = PurePosixPath(name.replace("\\", "/")).as_posix()
    if path in seen and not name.endswith("/"):
        return "is there twice under the same name"
    seen.add(path)
    return None


def _write(bundle: zipfile.ZipFile, member: zipfile.ZipInfo, dest: Path) -> Path:
    target = dest / PurePosixPath(member.filename.replace("\\", "/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    remaining = member.file_size
    with bundle.open(member) as source, target.open("wb") as sink:
        while piece := source.read(1 << 20):
            remaining -= len(piece)
            if remaining < 0:
                raise zipfile.BadZipFile(f"{member.filename} is larger than the archive says")
            sink.write(piece)
    os.chmod(target, 0o644)
    return target


def _refused(archive: Path, problem: str) -> DataError:
    return DataError(f"The archive {archive.name} was not opened.", why=f"For safety: {problem}.",
                     remedy="Make a new ZIP that holds only your own files, as ordinary files in folders, "
                            "then try again.")
