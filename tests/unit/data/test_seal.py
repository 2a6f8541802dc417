"""Rows that changed on disk are noticed before they are used; copies and datasets of earlier versions are not."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import checksums
from core.data import library, seal, tables
from core.data.attach import attach
from core.data.ingest import ingest
from core.domain.dataset import Dataset
from core.errors import DataError
from core.models.origin import Origin
from core.settings import Settings
from tests.conftest import WORKSPACE, write_picture_dataset


def keep(settings: Settings, words: str) -> Dataset:
    """30 short texts of two classes, imported."""
    path = settings.home / f"{words}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{words} number {i} of many,{'good' if i % 2 else 'bad'}" for i in range(30)]
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return ingest(tables.read(path, settings=settings), roles={"text": "text", "label": "label"}, name=words,
                  settings=settings, workspace=WORKSPACE)[0]


def place(dataset: Dataset, settings: Settings) -> Path:
    return library.folder(dataset, settings=settings, workspace=WORKSPACE)


def verify(dataset: Dataset, settings: Settings) -> None:
    library.verify(dataset, settings=settings, workspace=WORKSPACE)


def rewrite(folder: Path, column: str = "text", value: object = "something else") -> None:
    """Another value in the first row."""
    table = pq.read_table(folder / "rows.parquet")
    values = [value, *table[column].to_pylist()[1:]]
    table = table.set_column(table.column_names.index(column), column, pa.array(values, table[column].type))
    pq.write_table(table, folder / "rows.parquet")


@pytest.mark.parametrize(("column", "value"),
                         [("text", "something else"), ("label", 0), ("split", "test"), ("row_id", 999)])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_changed_row_is_refused_in_words(column: str, value: object, sealed: bool, settings: Settings) -> None:
    dataset = keep(settings, "plain")
    verify(dataset, settings)
    folder = place(dataset, settings)
    if not sealed:
        (folder / seal.SEAL).unlink()
    before = pq.read_table(folder / "rows.parquet")[column].to_pylist()[0]
    rewrite(folder, column, 1 - int(before) if column == "label" else value if value != before else "train")
    with pytest.raises(DataError, match="not the ones that were imported") as error:
        verify(dataset, settings)
    assert error.value.why and "import it again" in error.value.remedy


def test_rows_copied_with_new_times_are_the_same_rows(settings: Settings) -> None:
    dataset = keep(settings, "plain")
    folder = place(dataset, settings)
    shutil.copytree(folder, folder.with_name("copy"), copy_function=shutil.copyfile)
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    verify(dataset, settings)


def test_rows_are_read_once_and_not_again_while_their_times_stay(settings: Settings,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = keep(settings, "plain")
    monkeypatch.setattr(checksums, "SETTLED_NS", 0)
    verify(dataset, settings)
    monkeypatch.setattr(checksums, "sha256", lambda path: pytest.fail("read again"))
    verify(dataset, settings)


def test_a_dataset_of_an_earlier_version_is_checked_by_its_own_hash_and_sealed(settings: Settings) -> None:
    dataset = keep(settings, "plain")
    folder = place(dataset, settings)
    (folder / seal.SEAL).unlink()
    verify(dataset, settings)
    assert (folder / seal.SEAL).is_file()


def test_a_joined_set_is_sealed_too(settings: Settings) -> None:
    joined = attach(keep(settings, "plain"), keep(settings, "other"), settings=settings, workspace=WORKSPACE).dataset
    verify(joined, settings)
    (place(joined, settings) / seal.SEAL).unlink()
    verify(joined, settings)  # as an earlier version left it
    rewrite(place(joined, settings))
    with pytest.raises(DataError):
        verify(joined, settings)


def test_another_dataset_in_its_place_is_refused(settings: Settings) -> None:
    one, two = keep(settings, "plain"), keep(settings, "other")
    shutil.rmtree(place(one, settings))
    shutil.copytree(place(two, settings), place(one, settings))
    with pytest.raises(DataError, match="no longer the one"):
        Origin(dataset_hash=one.content_hash).check_dataset(library.load(one.id, settings=settings,
                                                                         workspace=WORKSPACE))
    with pytest.raises(DataError, match="not the ones"):
        seal.check(place(one, settings), dataclasses.replace(two, id=one.id))


def test_a_changed_picture_is_refused_and_named(settings: Settings) -> None:
    dataset = write_picture_dataset(settings, n_rows=6)
    verify(dataset, settings)
    folder = place(dataset, settings)
    shutil.copyfile(folder / "images" / "1.png", folder / "images" / "2.png")
    with pytest.raises(DataError, match=r"images/2\.png changed"):
        verify(dataset, settings)
    (folder / "images" / "2.png").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        verify(dataset, settings)
