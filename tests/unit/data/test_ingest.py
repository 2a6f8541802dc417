"""Datasets on disk: immutable, content-hashed, private to a workspace; the library that finds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import ingest, library, tables
from core.data.check import Options
from core.domain.dataset import Dataset, Role
from core.errors import DataError, NotFoundError, ThawError
from core.settings import Settings

File = Callable[[str, str | bytes], Path]
ROLES = {"text": Role.TEXT, "label": Role.LABEL}
CSV = "text,label\n" + "".join(f"row number {i},{'ab'[i % 2]}\n" for i in range(40)) + ",a\n"


@pytest.fixture
def keep(file: File, settings: Settings) -> Callable[..., Dataset]:
    def run(content: str = CSV, workspace: str = "w", **options: object) -> Dataset:
        table = tables.read(file("mine.csv", content), settings=settings)
        return ingest.ingest(table, roles=ROLES, name="mine", settings=settings, workspace=workspace,
                             options=Options(**options))[0]  # type: ignore[arg-type]

    return run


def test_rows_come_back_as_documented(keep: Callable[..., Dataset], settings: Settings) -> None:
    dataset = keep()
    assert (dataset.rows_read, dataset.rows_kept, dataset.classes, dataset.source) == (41, 40, ("a", "b"), "mine.csv")
    assert dataset.id == dataset.content_hash[:16]
    table = library.read_rows(dataset, settings=settings, workspace="w")
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {"row_id": "int64", "text": "string", "label": "int32", "split": "string"}
    assert (table.slice(3, 1).to_pylist()[0] | {"split": ""}
            == {"row_id": 4, "text": "row number 3", "label": 1, "split": ""})
    assert {s: sum(c.values()) for s, c in dataset.counts.items()} == {"train": 28, "validation": 4, "test": 8}
    test = library.read_rows(dataset, settings=settings, workspace="w", split="test")
    assert test.num_rows == 8
    assert library.read_report(dataset, settings=settings, workspace="w").left_out[0].row == 41


def test_equal_content_is_one_dataset_and_any_change_is_another(keep: Callable[..., Dataset],
                                                                settings: Settings) -> None:
    first = keep()
    assert keep().id == first.id
    others = {keep(CSV.replace("number 7", "number seven")).id,
              keep(CSV.replace("row number 7,b", "row number 7,a")).id, keep(seed=1).id}
    assert len(others | {first.id}) == 4
    assert {d.id for d in library.list_datasets(settings=settings, workspace="w")} == others | {first.id}
    assert not list((settings.workspace("w") / "datasets").glob(".new-*"))


def test_a_dataset_is_private_and_deletable(keep: Callable[..., Dataset], settings: Settings) -> None:
    dataset = keep()
    assert library.load(dataset.id, settings=settings, workspace="w") == dataset
    with pytest.raises(NotFoundError):
        library.load(dataset.id, settings=settings, workspace="other")
    library.delete(dataset.id, settings=settings, workspace="w")
    assert library.list_datasets(settings=settings, workspace="w") == []
    assert list((settings.workspace("w") / "datasets").iterdir()) == []
    with pytest.raises(NotFoundError):
        library.read_rows(dataset, settings=settings, workspace="w")


@pytest.mark.parametrize("ref", ["../../other", "", "0" * 15, "0" * 17, "x/../y", "0" * 16])
def test_ids_that_are_none_find_nothing(settings: Settings, ref: str) -> None:
    assert library.find(ref, settings=settings, workspace="w") is None
    with pytest.raises(NotFoundError):
        library.delete(ref, settings=settings, workspace="w")
    with pytest.raises(ThawError):
        library.find("0" * 16, settings=settings, workspace="../evil")


def test_error_findings_keep_nothing(file: File, settings: Settings) -> None:
    table = tables.read(file("t.csv", "text,label\na,x\nb,x\nc,x\n"), settings=settings)
    with pytest.raises(DataError, match="same label"):
        ingest.ingest(table, roles=ROLES, name="t", settings=settings, workspace="w")
    assert library.list_datasets(settings=settings, workspace="w") == []


def test_a_damaged_file_is_named(keep: Callable[..., Dataset], settings: Settings) -> None:
    dataset = keep()
    (library.folder(dataset, settings=settings, workspace="w") / "rows.parquet").write_bytes(b"broken")
    with pytest.raises(DataError, match="cannot be read"):
        library.read_rows(dataset, settings=settings, workspace="w")


@pytest.mark.parametrize(("name", "clean"), [("<b>x</b>.csv", "<b>x</b>.csv"), ("a\u202egpj.exe\n", "a gpj.exe"),
                                             ("\x00", "untitled"), ("x" * 200, "x" * 80)])
def test_names_for_display(name: str, clean: str) -> None:
    assert ingest.clean_name(name) == clean
