"""Pictures as arrays: NumPy's `.npz` (MedMNIST, Keras), the idx files of MNIST (LeCun et al. 1998,
http://yann.lecun.com/exdb/mnist), and the records of CIFAR-10, CIFAR-100 (Krizhevsky 2009) and STL-10 (Coates et al.
2011).

Arrays stay on disk; a picture is made of them when it is looked at.
"""

from __future__ import annotations

import math
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
from core.data.report import INFO, Finding, several
from core.data.source import Source, TemporaryFolder, suffix
from core.data.splits import ALIASES, NAMES
from core.errors import DataError

_IDX = re.compile(r".*idx[1-4][-_.]ubyte(\.gz)?", re.IGNORECASE)
_RECORDS = re.compile(r"((data_batch|test_batch).*|train|test|(train|test|unlabeled)_[xy])\.bin", re.IGNORECASE)
_PICTURES = ("images", "x", "image", "imgs", "data", "features", "arr0")
_LABELS = ("labels", "y", "label", "target", "targets", "classes", "arr1")
"""What arrays are called, the likeliest first; a split's name stands before or behind it."""
_CIFAR = {3073: (0, 1), 3074: (1, 2)}
"""Bytes of a record -> (where its class is, where its picture begins)."""
_STL = 96
_NAMES = ("batches.meta.txt", "coarse_label_names.txt", "fine_label_names.txt", "class_names.txt", "fold_indices.txt")
"""What lies beside the records."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Pictures and classes of one split."""

    split: str
    pictures: Array
    """(n, height, width), (n, height, width, 1 or 3), (n, 1 or 3, height, width), or (n, pixels) of square ones."""
    labels: Sequence[str | None] | None
    """None where nothing says them: such pictures can be predicted."""
    turned: bool = False
    """Whether height and width stand the other way round (EMNIST, STL-10)."""


def is_part(name: str) -> bool:
    """Whether a file of an archive is one that this module reads, by its name."""
    last = name.rpartition("/")[2]
    return bool(_IDX.fullmatch(last) or _RECORDS.fullmatch(last)) or suffix(name) in (".npy", ".npz")


def prevail(names: Sequence[str]) -> bool:
    """Whether files like these are a set of pictures as arrays rather than of texts, by their names."""
    parts = sum(map(is_part, names))
    return parts > sum(several_files.is_table(name) or suffix(name) in several_files.TEXTS for name in names)


def read(source: Source, *, max_rows: int, max_bytes: int, open_npz: Callable[[Path], Source]) -> Table | None:
    """One row a picture, as the columns image and label, and split where names say it; None where there are no such
    files.

    max_bytes: of all arrays together, unpacked. open_npz: the arrays of an `.npz`, which is a ZIP of `.npy` files.
    Raises DataError, in three parts, where pictures and classes do not go together, where there are several sets, for
    arrays that are no pictures, and for pickled ones, which may run programs.
    """
    names = [name for name in source.files if is_part(name)]
    npz = [name for name in names if suffix(name) == ".npz"]
    if not names or 0 < len(npz) < len(names):
        return None
    if npz:
        found, source = _of_npz(source, npz, open_npz=open_npz, max_rows=max_rows, max_bytes=max_bytes)
    elif suffix(names[0]) == ".npy":
        loaded = {name[:-len(".npy")]: _loaded(source, name, called=source.name) for name in names
                  if suffix(name) == ".npy"}
        found = _of_arrays(loaded, called=source.name, max_rows=max_rows)
    elif _IDX.fullmatch(names[0].rpartition("/")[2]):
        found, source = _of_idx(source, names, max_rows=max_rows, max_bytes=max_bytes)
    else:
        return _of_records(source, names, max_rows=max_rows)
    return _table(found, source, max_rows=max_rows)


# -- the arrays --------------------------------------------------------------------------------------------------------


def _of_npz(source: Source, names: Sequence[str], *, open_npz: Callable[[Path], Source], max_rows: int,
            max_bytes: int) -> tuple[list[_Part], Source]:
    """Arrays of one file go by their names; those of several also by the name of theirs (`train.npz`)."""
    loaded: dict[str, Array] = {}
    keep = [source.keep]
    for name in names:
        inside = open_npz(source.local(name))
        keep.append(inside.keep)
        members = [member for member in inside.files if suffix(member) == ".npy"]
        for member in members:
            own, file = member[:-len(".npy")], name[:-len(".npz")]
            key = own if len(names) == 1 else file if len(members) == 1 else f"{file}/{own}"
            loaded[key] = _loaded(inside, member, called=name)
            _check_size(source, sum(array.nbytes for array in loaded.values()), max_bytes)
    called = names[0] if len(names) == 1 else source.name
    return _of_arrays(loaded, called=called, max_rows=max_rows), replace(source, keep=keep)


def _check_size(source: Source, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise DataError(f"{source.name} holds arrays of more than {max_bytes / 1e6:,.0f} MB.",
                        why="That is the limit of this installation.",
                        remedy="Import a sample of it, or raise THAW_MAX_UPLOAD_MB and start again.")


def _of_arrays(arrays: dict[str, Array], *, called: str, max_rows: int) -> list[_Part]:
    parts = []
    for split in dict.fromkeys(map(_split_of, arrays)):
        own = {name: array for name, array in arrays.items() if _split_of(name) == split}
        pictures = _chosen(_PICTURES, {name: array for name, array in own.items() if array.ndim > 1}, split, called)
        labels = _chosen(_LABELS, own, split, called)
        if pictures is not None:
            if len(pictures) > max_rows:
                raise too_many_rows(called, max_rows)
            said = None if labels is None else _labels(labels, count=len(pictures), split=split, called=called)
            parts.append(_Part(split=split, pictures=pictures, labels=said))
    if not parts:
        shown = ", ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in list(arrays.items())[:6])
        raise DataError(f"{called} has no arrays of pictures.", why=f"It holds: {shown or 'nothing'}.",
                        remedy="Call them images and labels, or train_images, train_labels, test_images and so on, and "
                               "save them with numpy.savez.")
    return parts


def _chosen(roles: Sequence[str], arrays: dict[str, Array], split: str, called: str) -> Array | None:
    """The array with the likeliest name; of `target` and `target_names` the shorter one. Raises DataError where several
    are as likely."""
    for role in roles:
        words = {name: len(_words(name)) for name in arrays if _role_of(name) == role}
        names = [name for name, count in words.items() if count == min(words.values())]
        if len(names) > 1:
            raise _several_sets(called, names, split)
        if names:
            return arrays[names[0]]
    return None


def _several_sets(called: str, names: Sequence[str], split: str) -> DataError:
    shown = " and ".join(name[:80] for name in names[:3])
    return DataError(f"{called} holds several sets of pictures.",
                     why=f"It has {shown}" + (f" for {split}." if split else "."),
                     remedy="Import the files of one set alone, packed into a ZIP of their own.")


def _loaded(source: Source, name: str, *, called: str) -> Array:
    try:
        with np.errstate(over="ignore"):
            return np.asarray(np.load(source.local(name), mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError,
            tokenize.TokenError) as error:
        pickled = "allow_pickle" in str(error) or "object" in str(error).lower()
        raise DataError(f"{name.rpartition('/')[2]} in {called} cannot be read.",
                        why="It holds Python objects, which may run programs when they are read." if pickled else
                            f"It is damaged ({str(error)[:120]}).",
                        remedy="Save it again as an array of numbers, all pictures of one size.") from error


def _words(name: str) -> list[str]:
    """Those of the last part of a path: `x`, `train` of `xTrain`, `arr0` of `arr_0`."""
    last = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.rpartition("/")[2])
    return [word for word in re.split(r"[\W_]+", re.sub(r"\barr_(\d)", r"arr\1", last.lower())) if word]


def _split_of(name: str) -> str:
    """What the array's name says, or else the file it lies in."""
    return next((ALIASES[word] for part in reversed(name.split("/")) for word in _words(part) if word in ALIASES), "")


def _role_of(name: str) -> str:
    return next((word for word in _words(name) if word in (*_PICTURES, *_LABELS)), "")


def _labels(array: Array, *, count: int, split: str, called: str) -> list[str | None]:
    """The class of each of so many pictures: of an array (count,), (count, 1), (1, count), or (count, classes) of
    zeros with one 1 a row."""
    if array.ndim == 2 and array.shape[1] > 1 and len(array) == count:
        whole = np.asarray(array)
        if whole.dtype.kind not in "biuf" or not (np.isin(whole, (0, 1)).all() and (whole.sum(axis=1) == 1).all()):
            raise DataError(f"{called} has several classes a picture.", why=f"Its classes are an array of "
                            f"{' x '.join(map(str, array.shape))}, and rows of it have none or several ones.",
                            remedy="Save one class a picture: Thaw learns to choose one of several.")
        return [str(place) for place in whole.argmax(axis=1).tolist()]
    if array.ndim > 2 and len(array) == count:
        raise DataError(f"{called} has no class a picture.", why=f"Its classes are an array of "
                        f"{' x '.join(map(str, array.shape))}, as outlines have.",
                        remedy="Save one class a picture: Thaw learns to choose one of several.")
    if array.size != count:
        raise _unlike(called, pictures=count, classes=array.size, split=split)
    values = np.asarray(array).reshape(-1)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(count, dtype=bool)
    if values.dtype.kind == "b" or (values.dtype.kind == "f" and (values[known] == np.rint(values[known])).all()):
        return [str(int(value)) if said else None for value, said in zip(values.tolist(), known.tolist(), strict=True)]
    return [str(value) if said else None for value, said in zip(values.tolist(), known.tolist(), strict=True)]


def _unlike(called: str, *, pictures: int, classes: int, split: str) -> DataError:
    return DataError(f"{called} has not as many classes as pictures.",
                     why=f"{several(pictures, 'picture', 'pictures')} and {several(classes, 'class', 'classes')}"
                         + (f" for {split}." if split else "."),
                     remedy="Save them again, one class a picture.")


def _of_idx(source: Source, names: Sequence[str], *, max_rows: int, max_bytes: int) -> tuple[list[_Part], Source]:
    folder, found, files = TemporaryFolder(), dict[str, dict[int, Array]](), dict[tuple[str, int], str]()
    names = [name for name in names if not (name.lower().endswith(".gz") and name[:-3] in names)]  # unpacked beside it
    size = 0
    for name in names:
        array = _idx(source.local(name), folder, name=name, max_bytes=max_bytes)
        size += array.nbytes
        _check_size(source, size, max_bytes)
        split = NAMES[2] if "t10k" in name.rpartition("/")[2].lower() else several_files.split_of(name)
        kind = min(array.ndim, 2)
        if (other := files.setdefault((split, kind), name)) != name:
            raise _several_sets(source.name, [other, name], split)
        found.setdefault(split, {})[kind] = array
    turned = any("emnist" in name.lower() for name in names)
    if not all(2 in kinds for kinds in found.values()):
        raise DataError(f"{source.name} has classes without their pictures.",
                        why=f"Found: {', '.join(name.rpartition('/')[2] for name in names[:4])}.",
                        remedy="Put the files of pictures (idx3) and of classes (idx1) of each split into one ZIP.")
    for split, kinds in found.items():
        if len(kinds[2]) > max_rows:
            raise too_many_rows(source.name, max_rows)
        if 1 in kinds and len(kinds[1]) != len(kinds[2]):
            raise _unlike(source.name, pictures=len(kinds[2]), classes=len(kinds[1]), split=split)
    return ([_Part(split=split, pictures=kinds[2], turned=turned,
                   labels=list(map(str, kinds[1].tolist())) if 1 in kinds else None)
             for split, kinds in found.items()], replace(source, keep=(source.keep, folder)))


def _idx(path: Path, folder: TemporaryFolder, *, name: str, max_bytes: int) -> Array:
    """An idx file: two zero bytes, 8 for bytes, the number of dimensions, each as four bytes, and the bytes."""
    with path.open("rb") as file:
        zipped = packed.kind_of(file.read(16)) is not None
    if zipped:
        path, _ = packed.unpack(path, folder.place("idx").parent, max_bytes=max_bytes)
    with path.open("rb") as file:
        head = file.read(4)
        sizes = file.read(4 * head[3]) if len(head) == 4 else b""
        shape = tuple(np.frombuffer(sizes, dtype=">u4").tolist()) if len(sizes) % 4 == 0 else ()
    size = math.prod(shape) if shape else -1
    start = 4 + 4 * len(shape)
    if head[:3] != b"\0\0\x08" or size < 0 or path.stat().st_size - start != size:
        raise DataError(f"{name.rpartition('/')[2]} cannot be read.",
                        why="It is no idx file of bytes, or it is cut off.", remedy="Download it again.")
    return np.memmap(path, dtype=np.uint8, mode="r", offset=start, shape=shape)


def _of_records(source: Source, names: Sequence[str], *, max_rows: int) -> Table | None:
    places = {name: source.local(name) for name in names}
    sizes = {name: place.stat().st_size for name, place in places.items()}
    record = next((bytes_ for bytes_ in _CIFAR if all(size and size % bytes_ == 0 for size in sizes.values())), None)
    if record is None and (parts := _of_stl(places)):
        return _table(parts, source, max_rows=max_rows, notes=_unlabelled(sizes))
    if record is None:
        last = {name.rpartition("/")[2].lower() for name in source.files}
        if last.isdisjoint(_NAMES) and not any(name.startswith("data_batch") for name in last):
            return None
        shown = ", ".join(f"{name.rpartition('/')[2]} ({size:,})" for name, size in list(sizes.items())[:6])
        raise DataError(f"{source.name} has records of pictures that cannot be read.",
                        why="Their bytes are no multiple of 3,073 (CIFAR-10) or 3,074 (CIFAR-100) in each file, nor "
                            f"pictures and classes of STL-10: {shown}. A file is cut off, or of another set.",
                        remedy="Download it again, and import the files of one set alone.")
    at, start = _CIFAR[record]
    parts = []
    for name, place in places.items():
        rows = np.memmap(place, dtype=np.uint8, mode="r").reshape(-1, record)
        split = NAMES[2] if "test" in name.rpartition("/")[2].lower() else NAMES[0]
        parts.append(_Part(split=split, pictures=rows[:, start:].reshape(-1, 3, 32, 32),
                           labels=list(map(str, rows[:, at].tolist()))))
    notes = [Finding(code="finer-classes", severity=INFO, count=sum(len(part.pictures) for part in parts),
                     message="Each picture has two classes, as in CIFAR-100; the finer one is the label.",
                     remedy="Nothing to do if the finer classes are to be learned.")] if at else []
    return _table(parts, source, max_rows=max_rows, notes=notes)


def _of_stl(places: dict[str, Path]) -> list[_Part]:
    """Pictures of 3 x 96 x 96 bytes, column by column, and their classes from 1 on; none where sizes do not fit."""
    parts = []
    for name, place in places.items():
        if not name.endswith("_X.bin") or _is_unlabelled(name):
            continue
        labels, size = places.get(re.sub(r"_X\.bin$", "_y.bin", name)), place.stat().st_size
        count, rest = divmod(size, 3 * _STL * _STL)
        if not size or rest or (labels is not None and labels.stat().st_size != count):
            return []
        said = None if labels is None else list(map(str, np.fromfile(labels, dtype=np.uint8).tolist()))
        rows = np.memmap(place, dtype=np.uint8, mode="r").reshape(-1, 3, _STL, _STL)
        parts.append(_Part(split=several_files.split_of(name.removesuffix("_X.bin")), pictures=rows, turned=True,
                           labels=said))
    return parts


def _is_unlabelled(name: str) -> bool:
    return name.rpartition("/")[2].lower().startswith("unlabeled")


def _unlabelled(sizes: dict[str, int]) -> list[Finding]:
    return [Finding(code="pictures-without-classes", severity=INFO, count=size // (3 * _STL * _STL),
                    example=name.rpartition("/")[2],
                    message=several(size // (3 * _STL * _STL), "picture", "pictures")
                    + f" in {name.rpartition('/')[2]} have no class and were not read.",
                    remedy="Nothing to do: Thaw learns from pictures with a class.")
            for name, size in sizes.items() if _is_unlabelled(name) and size]


# -- the table ---------------------------------------------------------------------------------------------------------


def _table(parts: Sequence[_Part], source: Source, *, max_rows: int, notes: Sequence[Finding] = ()) -> Table:
    if sum(len(part.pictures) for part in parts) > max_rows:
        raise too_many_rows(source.name, max_rows)
    for part in parts:
        if 0 in part.pictures.shape[1:]:
            raise DataError(f"{source.name} has pictures without pixels.",
                            why=f"Theirs is the shape {' x '.join(map(str, part.pictures.shape))}.",
                            remedy="Save them again as pictures x height x width x colours.")
    if NAMES[0] not in {part.split for part in parts}:               # `images` beside `test_images`
        parts = [replace(part, split=part.split or NAMES[0]) for part in parts]
    elif any(not part.split for part in parts):
        raise DataError(f"{source.name} has pictures beside those for train whose split is not told.",
                        why="Rows that belong to the test might be learned from.",
                        remedy="Name all arrays after their split, such as train_images and test_images, or leave out "
                               "those that are not to be used.")
    parts = sorted(parts, key=lambda part: (*NAMES, "shift").index(part.split))
    scale = pixels.scale_of([part.pictures for part in parts], name=source.name)
    split = len({part.split for part in parts}) > 1
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
                           f"{scale.black:g} is black and {scale.white:g} white"
                           + (", with rows and columns swapped)." if any(part.turned for part in parts) else ")."),
                   remedy="Nothing to do if the pictures look right.")
    table = builder.table(format="Pictures as arrays", findings=[note, *notes])
    pictures = PictureSource(list(places), lambda name: pixels.png(places[name]()), keep=source.keep)
    return replace(table, pictures=pictures, image_column="image")


def _picture(shown: Callable[[int], Array], row: int) -> Callable[[], Array]:
    return lambda: shown(row)

