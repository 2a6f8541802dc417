"""Pictures as arrays: NumPy's `.npz` (MedMNIST, Keras), the idx files of MNIST (LeCun et al. 1998,
http://yann.lecun.com/exdb/mnist), and the records of CIFAR-10, CIFAR-100 (Krizhevsky 2009) and STL-10 (Coates et al.
2011).

Arrays stay on disk; a picture is made of them when it is looked at.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.data import packed, several_files
from core.data.pictures.source import PictureSource
from core.data.readers import by_folder, pixels
from core.data.readers.table import RowBuilder, Table, too_many_rows
from core.data.report import INFO, Finding
from core.data.source import Source, TemporaryFolder, suffix
from core.data.splits import ALIASES, NAMES
from core.errors import DataError

_IDX = re.compile(r".*idx[1-4][-_.]ubyte(\.gz)?", re.IGNORECASE)
_RECORDS = re.compile(r"((data_batch|test_batch).*|train|test|(train|test|unlabeled)_[xy])\.bin", re.IGNORECASE)
_PICTURES = ("images", "x", "image", "imgs", "data", "features", "arr_0")
_LABELS = ("labels", "y", "label", "target", "targets", "classes", "arr_1")
"""What arrays are called, the likeliest first; a split's name stands before or behind it."""
_CIFAR = {3073: (0, 1), 3074: (1, 2)}
"""Bytes of a record -> (where its class is, where its picture begins)."""
_STL = 96
_MOST_BYTES = 4_000_000_000
_LONGEST = 60
"""Characters of a class."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Pictures and classes of one split."""

    split: str
    pictures: Array
    """(n, height, width), (n, height, width, 1 or 3), (n, 1 or 3, height, width), or (n, pixels) of square ones."""
    labels: list[str] | None
    """None where nothing says them: such pictures can be predicted."""
    turned: bool = False
    """Whether height and width stand the other way round (EMNIST)."""


def is_part(name: str) -> bool:
    """Whether a file of an archive is one that this module reads, by its name."""
    last = name.rpartition("/")[2]
    return bool(_IDX.fullmatch(last) or _RECORDS.fullmatch(last)) or suffix(name) in (".npy", ".npz")


def read(source: Source, *, max_rows: int, open_npz: Callable[[Path], Source]) -> Table | None:
    """One row a picture, as the columns image and label, and split where names say it; None where there are no such
    files.

    open_npz: the arrays of an `.npz`, which is a ZIP of `.npy` files. Raises DataError, in three parts, where pictures
    and classes do not go together, for arrays that are no pictures, and for pickled ones, which may run programs.
    """
    names = [name for name in source.files if is_part(name)]
    npz = [name for name in names if suffix(name) == ".npz"]
    if not names or (npz and len(npz) < len(names)) or len(npz) > 1:
        return None
    if npz:
        inside = open_npz(source.local(npz[0]))
        found = _of_arrays(inside, [name for name in inside.files if suffix(name) == ".npy"], called=npz[0])
        source = replace(source, keep=(source.keep, inside.keep))
    elif suffix(names[0]) == ".npy":
        found = _of_arrays(source, names, called=source.name)
    elif _IDX.fullmatch(names[0].rpartition("/")[2]):
        found, source = _of_idx(source, names)
    else:
        found = _of_records(source, names)
    return None if found is None else _table(found, source, max_rows=max_rows)


# -- the arrays --------------------------------------------------------------------------------------------------------


def _of_arrays(source: Source, names: Sequence[str], *, called: str) -> list[_Part] | None:
    arrays = {name.rpartition("/")[2].removesuffix(".npy"): _loaded(source, name, called=called) for name in names}
    parts = []
    for split in dict.fromkeys(map(_split_of, arrays)):
        own = {_role_of(name): array for name, array in arrays.items() if _split_of(name) == split}
        pictures = next((own[role] for role in _PICTURES if role in own and own[role].ndim > 1), None)
        labels = next((own[role] for role in _LABELS if role in own), None)
        if pictures is not None:
            said = None if labels is None else _labels(labels, called=called)
            parts.append(_Part(split=split, pictures=pictures, labels=said))
    if not parts:
        shown = ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in list(arrays.items())[:6])
        raise DataError(f"{called} has no arrays of pictures.", why=f"It holds: {shown or 'nothing'}.",
                        remedy="Call them images and labels, or train_images, train_labels, test_images and so on, and "
                               "save them with numpy.savez.")
    return parts


def _loaded(source: Source, name: str, *, called: str) -> Array:
    try:
        return np.asarray(np.load(source.local(name), mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, tokenize.TokenError) as error:
        pickled = "allow_pickle" in str(error) or "object" in str(error).lower()
        raise DataError(f"{name.rpartition('/')[2]} in {called} cannot be read.",
                        why="It holds Python objects, which may run programs when they are read." if pickled else
                            f"It is damaged ({str(error)[:120]}).",
                        remedy="Save it again as an array of numbers, all pictures of one size.") from error


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", name.lower()) if word]


def _split_of(name: str) -> str:
    return next((ALIASES[word] for word in _words(name) if word in ALIASES), "")


def _role_of(name: str) -> str:
    return next((word for word in _words(name) if word in (*_PICTURES, *_LABELS)), name.lower())


def _labels(array: Array, *, called: str) -> list[str]:
    if array.ndim == 2 and array.shape[1] > 1:
        whole = np.asarray(array)
        if not (np.isin(whole, (0, 1)).all() and (whole.sum(axis=1) == 1).all()):
            raise DataError(f"{called} has several classes a picture.", why=f"Its classes are an array of "
                            f"{' x '.join(map(str, array.shape))}, and rows of it have none or several ones.",
                            remedy="Save one class a picture: Thaw learns to choose one of several.")
        return [str(place) for place in whole.argmax(axis=1).tolist()]
    values = np.asarray(array).reshape(-1)
    if values.dtype.kind == "f" and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    return [str(value)[:_LONGEST] for value in values.tolist()]


def _of_idx(source: Source, names: Sequence[str]) -> tuple[list[_Part] | None, Source]:
    folder, found = TemporaryFolder(), dict[str, dict[int, Array]]()
    for name in names:
        array = _idx(source.local(name), folder, name=name)
        last = name.rpartition("/")[2]
        split = NAMES[2] if "t10k" in last.lower() else several_files.split_of(last)
        found.setdefault(split, {})[min(array.ndim, 2)] = array
    turned = any("emnist" in name.lower() for name in names)
    if not all(2 in kinds for kinds in found.values()):
        raise DataError(f"{source.name} has classes without their pictures.",
                        why=f"Found: {', '.join(name.rpartition('/')[2] for name in names[:4])}.",
                        remedy="Put the files of pictures (idx3) and of classes (idx1) of each split into one ZIP.")
    return ([_Part(split=split, pictures=kinds[2], turned=turned,
                   labels=list(map(str, kinds[1].tolist())) if 1 in kinds else None)
             for split, kinds in found.items()], replace(source, keep=(source.keep, folder)))


def _idx(path: Path, folder: TemporaryFolder, *, name: str) -> Array:
    """An idx file: two zero bytes, 8 for bytes, the number of dimensions, each as four bytes, and the bytes."""
    with path.open("rb") as file:
        zipped = packed.kind_of(file.read(16)) is not None
    if zipped:
        path, _ = packed.unpack(path, folder.place("idx").parent, max_bytes=_MOST_BYTES)
    with path.open("rb") as file:
        head = file.read(4)
        shape = tuple(np.frombuffer(file.read(4 * head[3]), dtype=">u4").tolist()) if len(head) == 4 else ()
    size = int(np.prod(shape, dtype=np.float64)) if shape else -1
    start = 4 + 4 * len(shape)
    if head[:3] != b"\0\0\x08" or size < 0 or path.stat().st_size - start != size:
        raise DataError(f"{name.rpartition('/')[2]} cannot be read.",
                        why="It is no idx file of bytes, or it is cut off.", remedy="Download it again.")
    return np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=shape)


def _of_records(source: Source, names: Sequence[str]) -> list[_Part] | None:
    places = {name: source.local(name) for name in names}
    sizes = [place.stat().st_size for place in places.values()]
    record = next((bytes_ for bytes_ in _CIFAR if all(size and size % bytes_ == 0 for size in sizes)), None)
    if record is None:
        return _of_stl(places)
    at, start = _CIFAR[record]
    parts = []
    for name, place in places.items():
        rows = np.memmap(place, dtype=np.uint8, mode="r").reshape(-1, record)
        split = NAMES[2] if "test" in name.rpartition("/")[2].lower() else NAMES[0]
        parts.append(_Part(split=split, pictures=rows[:, start:].reshape(-1, 3, 32, 32),
                           labels=list(map(str, rows[:, at].tolist()))))
    return parts


def _of_stl(places: dict[str, Path]) -> list[_Part] | None:
    parts = []
    for name, place in places.items():
        labels = places.get(re.sub(r"_X\.bin$", "_y.bin", name))
        size = place.stat().st_size
        if name.endswith("_X.bin") and labels is not None and size == labels.stat().st_size * 3 * _STL * _STL:
            rows = np.memmap(place, dtype=np.uint8, mode="r").reshape(-1, 3, _STL, _STL)
            parts.append(_Part(split=several_files.split_of(name.removesuffix("_X.bin")), pictures=rows, turned=True,
                               labels=list(map(str, np.fromfile(labels, dtype=np.uint8).tolist()))))
    return parts or None


# -- the table ---------------------------------------------------------------------------------------------------------


def _table(parts: Sequence[_Part], source: Source, *, max_rows: int) -> Table:
    if sum(len(part.pictures) for part in parts) > max_rows:
        raise too_many_rows(source.name, max_rows)
    for part in parts:
        if part.labels is not None and len(part.pictures) != len(part.labels):
            raise DataError(f"{source.name} has not as many classes as pictures.",
                            why=f"{len(part.pictures):,} pictures and {len(part.labels):,} classes"
                                + (f" for {part.split}." if part.split else "."),
                            remedy="Save them again, one class a picture.")
    parts = sorted(parts, key=lambda part: (*NAMES, "shift", "").index(part.split))
    scale = pixels.scale_of([part.pictures for part in parts], name=source.name)
    split = all(part.split for part in parts) and len({part.split for part in parts}) > 1
    labelled = any(part.labels is not None for part in parts)
    columns = ["image", *(["label"] if labelled else []), *([by_folder.SPLIT] if split else [])]
    builder = RowBuilder(columns, max_rows=max_rows, name=source.name)
    places: dict[str, Callable[[], Array]] = {}
    for part in parts:
        shown = pixels.shown(part.pictures, scale, turned=part.turned, name=source.name)
        for row, label in enumerate(part.labels or [None] * len(part.pictures)):
            called = f"{len(places) + 1:07}.png"
            places[called] = _picture(shown, row)
            builder.add([called, *([label] if labelled else []), *([part.split] if split else [])])
    first = next(iter(places.values()))() if places else np.zeros((0, 0))
    note = Finding(code="pictures-of-numbers", severity=INFO, count=len(places),
                   message=f"Arrays of numbers became pictures ({' x '.join(map(str, first.shape))}, "
                           f"{scale.black:g} is black and {scale.white:g} white).",
                   remedy="Nothing to do if the pictures look right.")
    table = builder.table(format="Pictures as arrays", findings=[note])
    pictures = PictureSource(list(places), lambda name: pixels.png(places[name]()), keep=source.keep)
    return replace(table, pictures=pictures, image_column="image")


def _picture(shown: Callable[[int], Array], row: int) -> Callable[[], Array]:
    return lambda: shown(row)

