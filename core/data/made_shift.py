"""A shift set made from the test rows of a dataset: the same rows and labels, changed by a stated rule, where there is
no second domain. It is named as made wherever it is shown.

The row `r` of the test rows becomes the shift row `r + offset`, where the offset is the largest row id of the dataset
without it: so that what a model says of a row and of the changed row can be compared. What happens to a row depends on
the seed and on its row id alone; a higher severity draws the same random numbers.
"""

from __future__ import annotations

import dataclasses
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from core import files
from core.data import attach, found, library, made, meter, seal
from core.data.attach import Attached
from core.data.found import Groups
from core.data.ingest import DATASET, ROWS, read_dataset, write_rows
from core.data.made.kind import Kind
from core.data.pictures.source import DecodedPictures, PictureSource, copy_pictures
from core.domain import codec
from core.domain.dataset import SEVERITIES, Content, Dataset, Made, Split
from core.errors import DataError
from core.settings import Settings


def make(dataset: Dataset, *, kind: str, severity: int, seed: int = 0, settings: Settings, workspace: str) -> Attached:
    """A new dataset in the place of this one, with the changed test rows as its shift set.

    The same arguments give the same dataset. Raises DataError for a kind or severity that does not exist or does not
    fit, for a dataset that has a shift set, and for one without test rows.
    """
    how = check(dataset, kind=kind, severity=severity)
    place = library.folder(dataset, settings=settings, workspace=workspace)
    library.verify(dataset, settings=settings, workspace=workspace)
    named = Made(kind=kind, severity=severity, seed=seed)
    with tempfile.TemporaryDirectory(prefix="thaw-") as temporary:
        other = _write(dataset, named, how, place=place, home=Path(temporary), settings=settings)
        return attach.attach(dataset, other, settings=settings, workspace=workspace, place=Path(temporary) / other.id,
                             in_place=True)


def check(dataset: Dataset, *, kind: str, severity: int) -> Kind:
    """The kind; raises what `make` raises before anything is read."""
    how = made.get(kind)
    if severity not in SEVERITIES:
        raise DataError(f"There is no severity {severity}.", why="Severities are 1 (weak) to 5 (strong).",
                        remedy="Choose one of these.")
    if how not in made.kinds_for(dataset):
        able = ", ".join(each.name for each in made.kinds_for(dataset))
        raise DataError(f"{kind} cannot be made of {dataset.name}.",
                        why=f"It is for {'texts' if how.content is Content.TEXT else 'pictures'}; of these rows can be "
                            f"made: {able or 'nothing, since they are conversations'}.",
                        remedy="Choose one of these." if able else "Attach a shift set of your own.")
    if dataset.rows(Split.SHIFT):
        raise DataError(f"{dataset.name} already has a shift set.",
                        remedy="Take it off on the dataset's page first, or use the dataset from before.")
    if not dataset.rows(Split.TEST):
        raise DataError(f"{dataset.name} has no test rows.", why="A made shift set is made of these.",
                        remedy="Import it again with a test split.")
    return how


def changed_text(text: str, how: Kind, *, severity: int, seed: int, row: int) -> str:
    """A text as this kind makes it of the row with this id."""
    return str(how.change(text, severity, _random(seed, row)))


def changed_picture(path: Path, how: Kind, *, severity: int, seed: int, row: int) -> bytes:
    """A picture file (upright RGB, as kept) as this kind makes it of the row with this id: a PNG."""
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    out = io.BytesIO()
    Image.fromarray(how.change(pixels, severity, _random(seed, row))).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _random(seed: int, row: int) -> np.random.Generator:
    return np.random.default_rng([seed, row])


def _write(dataset: Dataset, named: Made, how: Kind, *, place: Path, home: Path, settings: Settings) -> Dataset:
    """The changed rows as a dataset folder of their own below `home`, numbered as the test rows are."""
    rows = library.rows_of(place, dataset, split=Split.TEST)
    ids, label = rows["row_id"].to_pylist(), rows["label"].to_numpy()
    options: dict[str, Any] = {"severity": named.severity, "seed": named.seed}
    pictures: DecodedPictures | None = None
    if how.content is Content.TEXT:
        contents = _texts(rows["text"].to_pylist(), ids, lambda text, row: changed_text(text, how, row=row, **options))
    else:
        paths = dict(zip((f"{row}.png" for row in ids), rows["image"].to_pylist(), strict=True))
        source = PictureSource(list(paths), lambda name: changed_picture(
            place / paths[name], how, row=int(name.removesuffix(".png")), **options))
        pictures, failed = source.decode(list(paths), max_pixels=settings.max_pixels)
        if failed:
            raise DataError(f"A picture of {dataset.name} cannot be changed.", why=next(iter(failed.values())),
                            remedy="Check the dataset again, or import its file again.")
        contents = list(pictures.digest)
    groups = rows["group"].to_pylist() if "group" in rows.column_names else None
    digest = seal.row_hash(ids, contents, map(dataset.class_name, label.tolist()), [named.called] * len(ids), groups)
    counts = {Split.TEST.value: dataset.counts[Split.TEST.value]}
    result = dataclasses.replace(dataset, id=digest[:16], content_hash=digest, name=named.called, counts=counts,
                                 source=named.called, made=named, rows_read=len(ids), rows_kept=len(ids),
                                 created=time.time())
    with files.new_folder(home / result.id, last=DATASET) as folder:
        content: dict[str, Any] = {"text": _column(contents)}
        if pictures is not None:
            copy_pictures(pictures.path, source=pictures.home, target=folder)
            content = {"image": pictures.path, "file": rows["file"].to_pylist()}
        write_rows(folder / ROWS, row_id=ids, label=label, split=[Split.TEST.value] * len(ids), group=groups, **content)
        alone = np.arange(len(ids), dtype=np.int64)
        found.write(folder, (), Groups(exact=alone, near=alone))
        files.write_json(folder / DATASET, codec.to_json(result))
    return read_dataset(home / result.id)


def _texts(texts: list[str], ids: list[int], change: Callable[[str, int], str]) -> list[str]:
    done = []
    for number, (text, row) in enumerate(zip(texts, ids, strict=True)):
        if number % 500 == 0:
            meter.report("making rows", number, len(texts))
        done.append(change(text, row))
    return done


def _column(texts: list[str]) -> Any:
    import pyarrow as pa

    return pa.array(texts, type=pa.string())
