"""Read any supported file into one table of text, or of names of pictures, every left-out row counted."""

from __future__ import annotations

import codecs
import dataclasses
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.data import contents, encodings, packed
from core.data import several_files as several_tables
from core.data import source as sources
from core.data.archive import is_tar
from core.data.contents import Contents
from core.data.pictures.source import is_picture
from core.data.readers import (
    arrays,
    cells,
    chat_exports,
    class_files,
    class_names,
    delimited,
    dialect,
    documents,
    excel,
    folders,
    json_rows,
    mails,
    one_hot,
    parallel_lines,
    parallel_texts,
    parquet,
    pictures,
    pixels,
    split_flags,
    spoken_lines,
    subtitles,
    text_kinds,
    whatsapp,
    word_tags,
)
from core.data.readers.table import HEADER_WORDS, Table
from core.data.report import INFO, WARNING, Finding, several
from core.data.several_files import TEXTS, is_table
from core.data.source import Source, suffix
from core.errors import DataError
from core.settings import Settings

__all__ = ["FORMATS", "Table", "is_table", "read"]

FORMATS = ("CSV, TSV, JSON Lines, JSON, Parquet, Arrow, XLSX (also as .gz, .bz2, .xz or .zst), NPZ, or a ZIP, tar or "
           "folder of tables named train and test, of .txt files or pictures with one folder a class (or with a table "
           "that names the pictures)")
"""What can be imported, for messages and help texts."""

PICTURE = "a single picture"
PICTURES_ALONE, CLASSES_ALONE = "an idx file of pictures without their classes", "an idx file of classes alone"
PICKLE, TORCH, NUMPY, BYTES = "a Python pickle", "a file of PyTorch", "a file of NumPy", "a file of bytes"
_INSTEAD = {
    **dict.fromkeys((PICTURES_ALONE, CLASSES_ALONE), "Choose the files of pictures (idx3) and of classes (idx1) "
                                                     "together, or pack them into one ZIP."),
    **dict.fromkeys((PICKLE, TORCH), "Of CIFAR download the binary version; else save pictures with numpy.savez or in "
                                     "one folder a class, and tables as CSV or Parquet."),
    NUMPY: "Choose the arrays of pictures (images.npy) and of classes (labels.npy) together, or save both with "
           "numpy.savez.",
    BYTES: "If these are the records of CIFAR or STL-10, choose all files of the set together, or pack them into one "
           "ZIP."}
"""What to do where the file alone is refused, but its data can be read."""
_FOREIGN = ((b"\x89PNG", PICTURE), (b"\xff\xd8\xff", PICTURE), (b"GIF8", PICTURE), (b"II*\0", PICTURE),
            (b"MM\0*", PICTURE), (b"%PDF", "a PDF"), (b"<svg", "an SVG drawing"),
            (b"<?xml", "an XML file or an SVG drawing"), (b"<!doctype html", "a web page"), (b"<html", "a web page"),
            (b"7z\xbc\xaf", "a 7-Zip archive"), (b"rar!", "a RAR archive"),
            (b"\x7felf", "a program"), (b"mz\x90", "a program"), (b"sqlite format 3", "a database"),
            *((bytes((0x80, protocol)), PICKLE) for protocol in (2, 3, 4, 5)),
            (b"\0\0\x08\x03", PICTURES_ALONE), (b"\0\0\x08\x04", PICTURES_ALONE), (b"\0\0\x08\x01", CLASSES_ALONE),
            (b"\xd0\xcf\x11\xe0", "an old or a password-protected Office file"))
"""First bytes of a file -> what it is. Letter case does not count."""
_ENDINGS = {
    "an XML file": ".xml", "a web page": ".html .htm", "a YAML file": ".yaml .yml", "a settings file": ".toml .ini",
    "a script of a database": ".sql", "a file of Weka": ".arff", "a file of Stata": ".dta", "a file of SPSS": ".sav",
    "a file of SAS": ".sas7bdat", "a file of R": ".rds .rdata .rda", NUMPY: ".npy",
    "an HDF5 file": ".h5 .hdf5", "a file of MATLAB": ".mat", "an Avro file": ".avro", "an ORC file": ".orc",
    "a file of TensorFlow": ".tfrecord", TORCH: ".pt .pth", PICKLE: ".pkl .pickle .joblib",
    "a model's weights": ".safetensors .gguf", BYTES: ".bin",
    "a Word document": ".docx", "a text document": ".odt .rtf", "a presentation": ".pptx .odp",
    "an OpenDocument spreadsheet": ".ods", "a program": ".py .r .js", "a notebook": ".ipynb"}
"""What a file is that is nothing to read rows from -> how its name ends."""


DELIMITED = (".csv", ".tsv", ".tab")
"""Endings that say what parts the cells of a table, or that something does."""
_PLAIN = (".log", ".bib", ".text", *subtitles.ENDINGS, mails.MAIL, *mails.BOXES)
"""Endings of texts that are hardly ever a table."""
_TAR_SUFFIXES = (".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
_MARKS_WITHIN = 1 << 14
"""Bytes in which a text file that is marked up shows it."""
_LISTED = 24
"""Pictures of a tar archive that a listing unpacks."""


def read(path: Path, *, settings: Settings, listing: bool = False) -> Table:
    """Read a table from a file or a folder; the kind is taken from its content first, its name second.

    Cells are text or null. `rows_read == len(table) + len(table.left_out)` always. Raises DataError in three parts when
    the file is missing, too large (`max_upload_mb`, `max_rows`, `max_archive_files`), of another kind, damaged, or
    without rows. listing: of a tar archive, unpack only a few pictures: enough to look at, not to import.
    """
    started = time.perf_counter()
    check_size(path, settings)
    table = columns_joined(pixels.drawn(_without_nul(_read(path, settings, listing=listing))))
    if not table.rows_read:
        raise DataError(f"{path.name} has no rows.",
                        why=f"It was read as {table.format}; there is nothing below the column names.",
                        remedy="Choose a file with rows below its column names.")
    return dataclasses.replace(table, read_seconds=time.perf_counter() - started)


def columns_joined(table: Table) -> Table:
    """A table whose columns of yes and no are read as what they say together: the split, the class."""
    return one_hot.joined(split_flags.read(table))


def check_size(path: Path, settings: Settings) -> None:
    """Raise DataError when there is no such file or folder, or the file is larger than `max_upload_mb`."""
    if not path.exists():
        raise DataError(f"There is no file {path.name}.", why=f"Nothing was found at {path}.",
                        remedy="Check the path and try again.")
    if path.is_file() and path.stat().st_size > settings.max_upload_mb * 1_000_000:
        raise DataError(f"{path.name} has {path.stat().st_size / 1e6:,.1f} MB, more than the limit of "
                        f"{settings.max_upload_mb:,} MB.",
                        remedy="Import a sample of it, save it as Parquet, or raise THAW_MAX_UPLOAD_MB "
                               "and start again.")


def is_packed(path: Path, head: bytes) -> bool:
    """Whether a file that begins like this is a tar archive, compressed or not; a picture is none."""
    return ((packed.kind_of(head) is not None or (path.suffix.lower() in _TAR_SUFFIXES and not foreign(head)))
            and is_tar(path))


def foreign(head: bytes) -> str | None:
    """What a file that begins with these 16 bytes is, where that is nothing to read rows from; None for all else.

    The first bytes count, not the name and not what is appended: a picture with an archive behind it is a picture.
    """
    if (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or (head[:2] == b"BM" and head[6:10] == bytes(4)):
        return PICTURE
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    return next((what for magic, what in _FOREIGN if head.startswith(magic) or start.startswith(magic.lower())), None)


def _not_a_table(name: str, what: str, *, why: str = "Its first bytes say so, whatever its name.") -> DataError:
    if what == PICTURE:
        return DataError(f"{name} is a single picture.", why=why,
                         remedy="Pack all pictures into a ZIP like this, or choose them together with their "
                                f"table:\n{pictures.TREE}")
    if what in (PICKLE, TORCH):
        why += " It may run programs when it is read, so Thaw never opens it."
    if what in _INSTEAD:
        return DataError(f"{name} is {what}.", why=why, remedy=_INSTEAD[what])
    return DataError(f"{name} is {what}, not a table.", why=why, remedy=f"Import {FORMATS}.")


def _read(path: Path, settings: Settings, *, listing: bool = False) -> Table:
    rows = settings.max_rows
    if path.is_dir():
        return _read_folder(path, settings)
    with path.open("rb") as file:
        head = file.read(16)
    if is_packed(path, head):
        return _read_tar(path, settings, most_pictures=_LISTED if listing else None)
    if packed.kind_of(head):
        return _read_packed(path, settings)
    if (known := text_kinds.special(path, max_rows=rows)) is not None:
        return known
    if what := foreign(head):
        raise _not_a_table(path.name, what)
    suffix = path.suffix.lower()
    if head.startswith(b"PAR1") or suffix in (".parquet", ".pq"):
        return parquet.read(path, max_rows=rows)
    if parquet.is_arrow(head):
        return parquet.read_arrow(path, max_rows=rows)
    if what := next((what for what, endings in _ENDINGS.items() if suffix in endings.split()), ""):
        raise _not_a_table(path.name, what, why=f"Its name ends with {suffix}.")
    if head.startswith(b"PK\x03\x04") or suffix in (".xlsx", ".xlsm", ".zip", ".npz"):
        return _read_zip(path, settings)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return json_rows.read(path, max_rows=rows)
    with path.open("rb") as file:
        start = file.read(_MARKS_WITHIN).replace(b"\0", b"")            # of UTF-16, the half that says something
    if (found := text_kinds.read(path, start, max_rows=rows)) is not None:
        return found
    if suffix in TEXTS and not _has_columns(path):
        return folders.read_lines(path, max_rows=rows)
    if suffix not in (*DELIMITED, *TEXTS) and head.lstrip()[:1] in (b"{", b"["):
        return json_rows.read(path, max_rows=rows)
    if ((suffix == "" and not _has_columns(path) and documents.are_prose(_first_lines(path)))
            or (suffix in documents.PROSE and not _has_tabs(path))):
        return folders.read_lines(path, max_rows=rows)
    return _delimited(path, suffix, rows)


def _delimited(path: Path, suffix: str, rows: int) -> Table:
    """A delimited table; the lines of a text where cutting them into cells leaves most of them out, or makes one
    column, unless its name says that it is a table."""
    try:
        table = delimited.read(path, max_rows=rows)
    except DataError:
        if suffix in _PLAIN and path.read_bytes().strip():
            return folders.read_lines(path, max_rows=rows)
        raise
    ragged = sum(delimited.is_ragged(item.reason) for item in table.left_out)
    text = 2 * ragged > table.rows_read or (len(table.columns) == 1 and (ragged or suffix in _PLAIN))
    if text and suffix not in DELIMITED:
        return folders.read_lines(path, max_rows=rows)
    word_tags.refuse_table(table)
    return cells.conversations(table, max_rows=rows)


def _read_packed(path: Path, settings: Settings) -> Table:
    """A single compressed file."""
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        inner, _ = packed.unpack(path, Path(temporary), max_bytes=settings.max_upload_mb * 10_000_000)
        with inner.open("rb") as file:
            if packed.kind_of(file.read(16)):
                raise DataError(f"{path.name} is compressed twice.",
                                why="What is inside is not unpacked again, for safety.",
                                remedy="Unpack it once and import the inner file.")
        found = _read_tar(inner, settings, most_pictures=None) if is_tar(inner) else _read_inner(inner, settings)
        return dataclasses.replace(found, name=path.name)


def _read_inner(path: Path, settings: Settings) -> Table:
    """A file that came out of an archive: archives in it are not opened, but a table may be compressed."""
    with path.open("rb") as file:
        head = file.read(16)
    if is_packed(path, head) or (head.startswith(b"PK") and not is_excel(path, zip_names(path, settings))):
        raise DataError(f"{path.name} is an archive inside another.",
                        why="Archives inside archives are not opened, for safety.",
                        remedy="Unpack it once and import the inner archive or the folder.")
    return _read(path, settings)


def _has_columns(path: Path) -> bool:
    """Whether a `.txt` file is a table: tabs in every line, quoted words, or a first row of column names."""
    lines = _first_lines(path)
    if _in_all(lines, "\t"):
        return True
    found = dialect.detect_dialect("".join(lines))
    rows = [found.cells(line) for line in lines]
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    width = dialect.common_width([len(row) for row in rows])
    named = (found.separator
             == " " or (len(names) > 1 and len(names) in (width, width - 1) and any(n in HEADER_WORDS for n in names)))
    named = named or not {0, width - 1}.isdisjoint(dialect.shape_of("".join(lines), found).vocabulary)
    return named and width > 1 and sum(len(row) == width for row in rows) >= 0.9 * len(rows) - 1


def _has_tabs(path: Path) -> bool:
    return _in_all(_first_lines(path), "\t")


def _first_lines(path: Path) -> list[str]:
    encoding = encodings.detect(path)
    with path.open(encoding=encoding.name, errors=encoding.errors, newline="") as file:
        return dialect.lines_of(file.read(1 << 16))[: dialect.SAMPLE_ROWS]


def _in_all(lines: Sequence[str], mark: str) -> bool:
    """Whether a mark is in each line, but perhaps the last, which may be cut off."""
    return bool(lines) and all(mark in line for line in lines[:-1] or lines)


def _read_zip(path: Path, settings: Settings) -> Table:
    """An Excel file, or an archive."""
    source = sources.of_zip(path, settings=settings)
    if is_excel(path, source.files):
        found = excel.read(path, max_rows=settings.max_rows, max_files=settings.max_archive_files)
        return cells.conversations(found, max_rows=settings.max_rows)
    return _read_source(source, settings)


def zip_names(path: Path, settings: Settings) -> list[str]:
    """Names of the members of a ZIP that are not hidden, after the checks of `archive.check_members`."""
    return list(sources.of_zip(path, settings=settings).files)


def is_excel(path: Path, names: Sequence[str]) -> bool:
    """Whether a ZIP with these members is an Excel file."""
    return "xl/workbook.xml" in names or path.suffix.lower() in (".xlsx", ".xlsm")


def _read_tar(path: Path, settings: Settings, *, most_pictures: int | None) -> Table:
    """A tar archive, unpacked once to a temporary folder that lives as long as the table's pictures.

    most_pictures: unpack no more than these; the others are only listed.
    """
    picked = itertools.count()

    def wanted(name: str) -> bool:
        if not contents.is_read(name):
            return False
        return most_pictures is None or not is_picture(name) or next(picked) < most_pictures

    return _read_source(sources.of_tar(path, settings=settings, wanted=wanted), settings)


def _read_folder(path: Path, settings: Settings) -> Table:
    source = sources.of_folder(path, name=path.name)
    if len(source.files) > settings.max_archive_files:
        raise DataError(f"{path.name} holds {len(source.files):,} files, more than the limit of "
                        f"{settings.max_archive_files:,}.",
                        remedy="Import a part of it, or raise THAW_MAX_ARCHIVE_FILES and start again.")
    return _read_source(source, settings)


def _read_source(source: Source, settings: Settings) -> Table:
    """The rows of an archive or folder; files that systems and programs keep in it are no rows, and mentioned once."""
    table = _read_rows(source, settings)
    table = table if table.by_folder or not len(table) else class_names.named(table, source)
    return (dataclasses.replace(table, findings=(*table.findings, _system_files(source.system))) if source.system
            else table)


def _system_files(names: Sequence[str]) -> Finding:
    return Finding(code="system-files", severity=INFO, count=len(names), example=names[0][:120],
                   message=several(len(names), "file is one that a system or a program keeps for itself, and was",
                                   "files are such as a system or a program keeps for itself, and were") + " not read.",
                   remedy="Nothing to do.")


def _read_rows(source: Source, settings: Settings) -> Table:
    """Pictures, texts in class folders, or the table of an archive: its only one, or those of the splits joined."""
    for read_people in (whatsapp.read_source, chat_exports.read_source, mails.read_source):
        if (table := read_people(source, max_rows=settings.max_rows)) is not None:
            return table
    kind = contents.of(source.files)
    if kind is not Contents.PICTURES and (table := arrays.read(
            source, max_rows=settings.max_rows, max_bytes=settings.max_upload_mb * 10_000_000,
            open_npz=lambda path: sources.of_zip(path, settings=settings))) is not None:
        return table
    if kind is Contents.PICTURES:
        return pictures.read(source, max_rows=settings.max_rows,
                             read_table=lambda name: columns_joined(_read_inner(source.local(name), settings)),
                             tables=[name for name in source.files if is_table(name)])
    for read_language in (spoken_lines.read_films, documents.read):
        if (table := read_language(source, max_rows=settings.max_rows)) is not None:
            return table
    talks = spoken_lines.dialogs_of(source)
    parts = talks or (() if parallel_lines.are_pairs(source.files) else _planned(source, kind))
    beside = any(map(is_table, source.files))
    if not parts and not (beside and kind is Contents.TEXTS) and (table := _alike(source, settings)) is not None:
        return table
    for read_texts in (parallel_texts.read, parallel_lines.read, class_files.read) if not beside and not talks else ():
        if (table := read_texts(source, max_rows=settings.max_rows)) is not None:
            return table
    if kind is Contents.TEXTS and not talks:
        return folders.read(source, max_rows=settings.max_rows)
    if parts:
        return _joined(source, [(name, split, _read_inner(source.local(name), settings)) for name, split in parts],
                       settings)
    raise contents.unknown(source.name, source.files)


def _planned(source: Source, kind: Contents | None) -> tuple[tuple[str, str], ...]:
    return several_tables.plan(source.files) if kind is Contents.TABLE else ()


def _joined(source: Source, parts: Sequence[tuple[str, str, Table]], settings: Settings) -> Table:
    """The tables (file, split, table) of an archive as one, which says what else lies there."""
    table = several_tables.join(parts, name=source.name, max_rows=settings.max_rows)
    rest = sorted(set(source.files).difference(name for name, _, _ in parts))
    return dataclasses.replace(table, findings=(*table.findings, pictures.unused_files(rest))) if rest else table


_MOST_ALIKE = 30
"""Tables that may be parts of one though no name says so."""
_MOST_COMPARED = 50_000
"""Rows of all of them, up to which they are compared."""


def _alike(source: Source, settings: Settings) -> Table | None:
    """Tables with the same columns that are named after classes, or as parts of one, joined; where there is none, text
    files with tabs, whatever their ending, beside each other. None for anything else."""
    names, others = [name for name in source.files if is_table(name)], False
    if not names:
        names, others = [name for name in folders.texts_of(source.files) if not folders.is_about(name)], True
    if not 1 <= len(names) <= _MOST_ALIKE or len({suffix(name) for name in names}) > 1:   # or one set in two formats
        return None
    if others and len({name.rpartition("/")[0] for name in names}) > 1:
        return None
    try:
        if others and not all(map(_has_rows, map(source.local, names))):
            return None
        parts = [(name, _read_inner(source.local(name), settings)) for name in names]
    except DataError:
        return None
    if len({table.columns for _, table in parts}) > 1:
        return None
    by_class = class_files.tables(parts) if suffix(names[0]) in (".csv", ".tsv") else None
    if by_class is None and not several_tables.are_of_one_series(names):
        return None
    return _joined(source, [(name, "", table) for name, table in by_class or _without_parts(parts)], settings)


def _has_rows(path: Path) -> bool:
    """Whether each line of a text file is a row with a class."""
    with path.open("rb") as file:
        start = file.read(_MARKS_WITHIN)
    return _has_tabs(path) or text_kinds.form_of(path, start) is not None


def _without_parts(parts: Sequence[tuple[str, Table]]) -> list[tuple[str, Table]]:
    """Tables without those whose rows all stand in another (the same sentences on which more annotators agree), where
    they are not too many to be held beside each other."""
    if sum(len(table) for _, table in parts) > _MOST_COMPARED:
        return list(parts)
    rows = [set(zip(*(table.data.column(name).to_pylist() for name in table.columns), strict=True))
            for _, table in parts]
    return [part for place, part in enumerate(parts)
            if not any(rows[place] < others or (rows[place] == others and other < place)
                       for other, others in enumerate(rows) if other != place)]


def _without_nul(table: Table) -> Table:
    """Take NUL characters out of cells (they break most tools) and say how many rows had one."""
    import pyarrow.compute as pc

    data, touched = table.data, None
    for position, name in enumerate(data.column_names):
        column: Any = data.column(position)
        if not any(_has_zero(chunk) for chunk in column.chunks):
            continue
        hits = pc.fill_null(pc.match_substring(column, "\x00"), False)
        if pc.any(hits).as_py():
            touched = hits if touched is None else pc.or_(touched, hits)
            data = data.set_column(position, name, pc.replace_substring(column, "\x00", ""))
    if touched is None:
        return table
    rows = table.row_numbers[np.asarray(touched)]
    finding = Finding(code="nul-bytes", severity=WARNING, count=len(rows),
                      message=several(len(rows), "row holds", "rows hold") + " NUL bytes; these were taken out.",
                      remedy="Look at the rows; if their text is broken, export the file again.",
                      rows=tuple(int(r) for r in rows[:5]))
    return dataclasses.replace(table, data=data, findings=(*table.findings, finding))


def _has_zero(chunk: Any) -> bool:
    """Whether the bytes behind a chunk of strings hold a zero anywhere: a quick look before the exact one."""
    values = chunk.buffers()[-1]
    return values is not None and not np.frombuffer(values, dtype=np.uint8).all()
