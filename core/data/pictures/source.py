"""Pictures behind a table: where their files are, which one a cell names, and all of them decoded."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from core import files
from core.data import images, meter
from core.data.archive import UNREADABLE
from core.data.images import SUFFIXES
from core.data.labels import clean
from core.data.pictures import decode
from core.data.pictures import depth as depths
from core.domain.dataset import Depth

FOLDER = "pictures"
"""Below the dataset folder."""
_THREADS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedPictures:
    """Decoded pictures, one entry a row. Their files lie below `home`."""

    home: Path
    """Temporary folder that holds `pictures/…`; it goes away with its `PictureSource`."""
    path: tuple[str, ...]
    """Where each file is, relative to `home` (and later to the dataset folder)."""
    name: tuple[str, ...]
    """What each was called in the archive."""
    digest: tuple[str, ...]
    size: Any
    """int64 (n_rows, 2): original width and height in pixels."""
    thumb: Any
    """uint8 (n_rows, 16, 16, 3)."""
    likeness: Any
    """uint64 (n_rows,): perceptual hashes."""
    spread: Any
    """float64 (n_rows,)."""
    changes: tuple[tuple[str, ...], ...]
    depth: Depth = Depth()
    """How pictures of more than 8 bits were read, all alike."""

    def __len__(self) -> int:
        return len(self.path)


class PictureSource:
    """Pictures by name. Nothing is decoded until `decode`."""

    def __init__(self, names: Sequence[str], read: Callable[[str], bytes], *, keep: Any = None) -> None:
        """names: paths inside the archive. read: the bytes of one of them; called from several threads. keep: what must
        live as long."""
        self.names = tuple(names)
        self._read = read
        self._keep = keep
        self._home: Path | None = None
        self._known = set(self.names)
        self._ends: tuple[dict[str, str | None], dict[str, str | None]] | None = None
        self.unpack_seconds = 0.0
        """Time spent on reading and decoding so far."""

    def resolve(self, cell: str | None, *, folder: str = "") -> str | None:
        """The picture that a cell of a table names: by its path, its path below `folder` (the table's), or as much of
        the path as both have.

        Letter case, the direction of slashes, Unicode form and invisible characters do not count; the ending may be
        missing. None for a name that several pictures share.
        """
        cell = _slashed(cell or "")
        if not cell:
            return None
        if cell in self._known:
            return cell
        if self._ends is None:
            self._ends = _by_ends(self.names), _by_ends(self.names, whole=False)
        whole, bare = self._ends
        wanted = [cell] if "%" not in cell else [cell, unquote(cell)]
        places = [path for path in wanted for path in ((f"{folder}/{path}", path) if folder else (path,))]
        for path in places:
            if found := _longest(whole, path):
                return found
        if is_picture(cell):
            return None
        return next((found for path in [*places, *(p[:-2] for p in places if p.endswith(".0"))]
                     if (found := _longest(bare, path))), None)

    def why_not(self, cell: str | None) -> str:
        """Why a cell that `resolve` knows no picture for names none, as a reason to leave the row out."""
        ends = self._ends or ({}, {})
        parts = _folded(_slashed(cell or ""))
        shared = any(found.get("/".join(parts[start:]), "") is None for found in ends for start in range(len(parts)))
        return "several pictures of the archive have this name" if shared else "no picture of the archive has this name"

    def read(self, name: str) -> bytes:
        return self._read(name)

    def decode(self, names: Sequence[str], *, max_pixels: int,
               depth: Depth | None = None) -> tuple[DecodedPictures, dict[int, str]]:
        """Decode these pictures and write them, normalised, to a temporary folder.

        depth: how pictures of more than 8 bits are read; what it leaves open is decided from all of these, which are
        then read twice. Returns those that could be read, in order, and position in `names` -> reason for
        the others.
        """
        started = time.perf_counter()
        home = self._temporary()
        results: list[Any] = []  # a reason (str), a deep picture's span, or (path, Picture)
        with ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1)) as pool:
            for result in _ordered(pool, lambda name: self._one(name, home, max_pixels, depth), names):
                results.append(result)
                if len(results) % 50 == 0:
                    meter.report("reading pictures", len(results), len(names))
            deep = [position for position, result in enumerate(results) if isinstance(result, depths.Span)]
            decided = depths.decide((results[position] for position in deep), depth)
            again = _ordered(pool, lambda position: self._one(names[position], home, max_pixels, decided), deep)
            for position, result in zip(deep, again, strict=True):
                results[position] = result
        failed = {position: result for position, result in enumerate(results) if isinstance(result, str)}
        done: list[tuple[str, images.Picture]] = [result for result in results if not isinstance(result, str)]
        meter.report("reading pictures", len(names), len(names))
        self.unpack_seconds += time.perf_counter() - started
        pictures = [picture for _, picture in done]
        kept = [name for position, name in enumerate(names) if position not in failed]
        return DecodedPictures(home=home, path=tuple(path for path, _ in done), name=tuple(kept),
                     digest=tuple(p.digest for p in pictures),
                     size=np.asarray([(p.width, p.height) for p in pictures], dtype=np.int64).reshape(-1, 2),
                     thumb=np.asarray([p.thumb for p in pictures],
                                      dtype=np.uint8).reshape(-1, images.THUMB, images.THUMB, 3),
                     likeness=np.asarray([p.likeness for p in pictures], dtype=np.uint64),
                     spread=np.asarray([p.spread for p in pictures], dtype=np.float64),
                     changes=tuple(p.changes for p in pictures), depth=decided), failed

    def _one(self, name: str, home: Path, max_pixels: int,
             depth: Depth | None) -> tuple[str, images.Picture] | str | depths.Span:
        """Decode and write one picture: (path below `home`, what it looks like), or why it cannot be kept.

        Of a deep picture whose depth is still to be decided, only the values in use.
        """
        try:
            data = self._read(name)
            span = (decode.deep_span(data, max_pixels=max_pixels) if depth is None or None in (depth.whole, depth.real)
                    else None)
            if span is not None and depths.is_open(span, depth):
                return span
            picture = images.normalise(data, max_pixels=max_pixels, depth=depth)
        except images.Unusable as error:
            return f"the picture cannot be used: {error}"
        except UNREADABLE as error:
            return f"the picture cannot be read from the archive ({str(error)[:80]})"
        path = f"{FOLDER}/{picture.digest[:2]}/{picture.digest[:20]}{picture.suffix}"
        target = home / path
        if not target.exists():
            files.write_bytes(target, picture.data)
        return path, dataclasses.replace(picture, data=b"")

    def _temporary(self) -> Path:
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="thaw-pictures-"))
            weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        return self._home


def _ordered(pool: ThreadPoolExecutor, work: Callable[[Any], Any], items: Sequence[Any],
             *, ahead: int = 32) -> Iterator[Any]:
    """Results in order, with at most `ahead` under way, so that little is held in memory."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def is_picture(name: str) -> bool:
    """Whether a file name is that of a picture that Thaw reads; a blank behind the ending does not count."""
    return ending(name).lower() in SUFFIXES


def ending(name: str) -> str:
    """A file's last dot and what follows; empty for none, and for a name that only begins or ends with a dot."""
    last = name.strip().rpartition("/")[2]
    dot = last.rfind(".")
    return last[dot:] if 0 < dot < len(last) - 1 else ""


def _slashed(path: str) -> str:
    return path.strip().strip("\"'").replace("\\", "/").removeprefix("./")


def _folded(path: str) -> list[str]:
    """The parts of a path as they look, in one letter case."""
    return [part for piece in path.split("/") if (part := clean(piece).casefold())]


def _by_ends(names: Sequence[str], *, whole: bool = True) -> dict[str, str | None]:
    """Every end of a path (`1.jpg`, `cat/1.jpg`, …), folded -> picture; None for several. whole: with the ending."""
    found: dict[str, str | None] = {}
    for name in names:
        parts = _folded(name if whole else name.strip().removesuffix(ending(name)))
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            found[end] = None if found.get(end, name) != name else name
    return found


def _longest(ends: Mapping[str, str | None], path: str) -> str | None:
    """The picture whose path ends like this one, for as many parts as possible."""
    parts = _folded(path)
    for start in range(len(parts)):
        end = "/".join(parts[start:])
        if end in ends:
            return ends[end]
    return None


def copy_pictures(paths: Sequence[str], *, source: Path, target: Path) -> None:
    """Bring pictures (paths relative to both folders) into a dataset folder: linked where possible, else copied."""
    for path in dict.fromkeys(paths):
        into = target / path
        if into.exists():
            continue
        into.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / path, into)
        except OSError:
            shutil.copyfile(source / path, into)
