"""What a person takes away from a finished run: its predictions, its artifact as a ZIP, and the code that loads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.analysis import predictions, token_rows
from core.analysis.comparison import class_names
from core.domain.dataset import Content, Split
from core.domain.recipe import Recipe
from core.errors import NotFoundError
from core.spreadsheets import records_to_csv

CHUNK_BYTES = 1 << 20
BESIDE = ("recipe.json", "environment.json", "result.json", "origin.json")
"""Files of the run folder that go with the artifact: how it was made, and what it measured."""
COLUMNS = ("split", "row_id", "true", "predicted")

_CODE = """\
from core import settings
from core.domain.side import Side
from core.training import artifact
model = artifact.load(Side(run="{name}"), settings=settings.load())
print(model.predict(["{example}"]))
"""


def folder_name(run_id: str) -> str:
    """The one folder inside the ZIP."""
    return f"thaw-{run_id}"


def code(run_id: str, recipe: Recipe) -> str:
    """Five lines that load the unpacked artifact and predict with it, run in Thaw's folder with the ZIP's folder in it.
    """
    example = "a text" if recipe.task.content is Content.TEXT else "picture.png"
    return _CODE.format(name=folder_name(run_id), example=example)


def predicted(folder: Path) -> dict[str, predictions.Predictions]:
    """Split -> what the run predicted for its rows; empty where it kept nothing."""
    return {split: found for split in (Split.TEST, Split.SHIFT, Split.VALIDATION)
            if (found := predictions.read(folder, split)) is not None}


def predictions_csv(folder: Path, contents: Mapping[int, Mapping[str, Any]]) -> bytes:
    """All predictions as CSV: split, row, both answers, the probability of each class, and the row's text or file; of
    language models, instead of answers, what each row cost the run and the untouched model.

    contents: row id -> the row; what is not in it stays empty.
    """
    classes = class_names(folder)

    def named(label: int) -> str:
        return classes[label] if 0 <= label < len(classes) else f"class {label}"

    records: list[dict[str, Any]] = []
    for split, found in predicted(folder).items():
        judged = found.judged
        if (told := token_rows.of_kept(folder, split)) is not None:
            records += [{"split": split, **row, **_content(contents.get(row["row_id"], {}))}
                        for row in told.records(range(len(told.row_ids)), a="run", b="untouched")]
        if judged.predictions is None or judged.labels is None:
            continue
        for place, row_id in enumerate(found.row_ids.tolist()):
            record: dict[str, Any] = dict(zip(COLUMNS, (
                split, row_id, named(int(judged.labels[place])), named(int(judged.predictions[place]))), strict=True))
            if judged.probabilities is not None:
                record |= {f"p({named(c)})": f"{p:.6g}" for c, p in enumerate(judged.probabilities[place])}
            records.append(record | _content(contents.get(row_id, {})))
    return records_to_csv(records).encode()


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("text", "file") if key in row}


def files_of(folder: Path) -> dict[str, Path]:
    """Name inside the run -> path of everything that goes into the ZIP. Raises NotFoundError without an artifact."""
    artifact = folder / "artifact"
    if not (artifact / "labels.json").is_file():
        raise NotFoundError("This run has no artifact.", why="It did not get so far, or its files were removed.",
                            remedy="Resume it, or fork it to make the artifact anew.")
    inside = [path for path in sorted(artifact.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path
            for path in (*(folder / name for name in BESIDE if (folder / name).is_file()), *inside)}


def size_bytes(folder: Path) -> int:
    """Of the ZIP, nearly: weights do not compress."""
    return sum(path.stat().st_size for path in files_of(folder).values())


def zipped(folder: Path, run_id: str, recipe: Recipe) -> Iterator[bytes]:
    """The ZIP piece by piece, read from the run's files as it is sent: never more than a megabyte in memory."""
    return zip_of(files_of(folder), folder_name(run_id), {"load.py": code(run_id, recipe)})


def zip_of(paths: Mapping[str, Path], name: str, texts: Mapping[str, str] | None = None) -> Iterator[bytes]:
    """A ZIP piece by piece. paths: name inside its one folder `name` -> file; texts: small files made now."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for inside, text in (texts or {}).items():
            archive.writestr(f"{name}/{inside}", text)
        for inside, path in paths.items():
            entry = zipfile.ZipInfo.from_file(path, f"{name}/{inside}")
            entry.external_attr = 0o644 << 16  # readable by whoever unpacks it
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                while piece := source.read(CHUNK_BYTES):
                    target.write(piece)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What a ZIP is written to when it is sent at once: it cannot be gone back in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
