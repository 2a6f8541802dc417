"""A text file a class, a text a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import first_rows, tables
from core.data.check import check_file, examine_file
from core.data.shapes import Wanted
from core.domain.dataset import Content, Task
from core.settings import Settings

Archive = Callable[..., Path]


def lines(word: str, start: int = 0, stop: int = 30) -> str:
    return "\n".join(f"a {word} film, and number {i} of them" for i in range(start, stop)) + "\n"


WRAPPED = "\n".join(("It was a long evening, and they walked on beside the river until",
                     "nobody could say any more where the town had been, or why they",
                     "had left it; and still the older one went on about the weather.") * 8)
PARAGRAPHS = "\n\n".join(f"Chapter of {i} words." for i in range(30))


@pytest.mark.parametrize("files", [
    {"pos.txt": lines("fine"), "neg.txt": lines("dull")},
    {"data/pos.txt": lines("fine"), "data/neg.txt": lines("dull"), "data/README.txt": "Films.\n\nSeen."},
    {"pos.txt": lines("fine").replace("\n", "\r\n"), "neg.txt": f"\ufeff{lines('dull')}\n\n", "about.md": "x"}],
    ids=["beside-each-other", "in-a-folder", "line-ends-and-marks"])
def test_the_file_is_the_class(files: dict[str, str], archive: Archive, settings: Settings) -> None:
    path = archive(files)
    report = check_file(path, settings=settings)
    assert report.classes == {"neg": 30, "pos": 30}
    assert "classes-of-files" in {finding.code for finding in report.findings}
    table = tables.read(path, settings=settings)
    assert table.data["text"][0].as_py() == "a dull film, and number 0 of them"
    assert len(table.left_out) == len(files) - 2
    assert first_rows.read(path, settings=settings).table.columns == ("text", "label")


@pytest.mark.parametrize("form", ["{split}/{label}.txt", "{split}_{label}.txt", "{label}.{split}.txt"])
def test_splits_in_names_and_folders(form: str, archive: Archive, settings: Settings) -> None:
    files = {form.format(split=split, label=label): lines(label, start, stop)
             for split, start, stop in (("train", 0, 30), ("test", 30, 42)) for label in ("pos", "neg")}
    table = tables.read(archive(files), settings=settings)
    assert Counter(zip(table.data["label"].to_pylist(), table.data["split"].to_pylist(), strict=True)) == {
        ("pos", "train"): 30, ("neg", "train"): 30, ("pos", "test"): 12, ("neg", "test"): 12}


@pytest.mark.parametrize("files", [
    {"austen.txt": PARAGRAPHS, "dickens.txt": PARAGRAPHS}, {"austen.txt": WRAPPED, "dickens.txt": WRAPPED},
    {"chapter 1.txt": lines("fine"), "chapter 2.txt": lines("dull")}, {"pos.txt": lines("fine"), "neg.txt": "a\nb"},
    {"train.txt": lines("fine"), "test.txt": lines("dull")}, {"en/pos.txt": lines("fine"), "de/pos.txt": lines("dull")},
    {"pos.txt": lines("fine"), "test/neg.txt": lines("dull")}],
    ids=["paragraphs", "margin", "numbers", "few-lines", "splits-alone", "one-name", "half-split"])
def test_other_files_are_texts_as_they_were(files: dict[str, str], archive: Archive, settings: Settings) -> None:
    assert "one a class" not in tables.read(archive(files), settings=settings).format


def test_class_folders_stay_the_classes(archive: Archive, settings: Settings) -> None:
    files = {f"{label}/{name}.txt": lines(label) for label in ("pos", "neg") for name in ("ann", "bob", "cleo")}
    assert check_file(archive(files), settings=settings).classes == {"neg": 3, "pos": 3}


def test_a_language_model_gets_whole_files(archive: Archive, settings: Settings) -> None:
    path = archive({"pos.txt": lines("fine"), "neg.txt": lines("dull")})
    task = Task.on(Content.TEXT, labelled=False)
    report = examine_file(path, settings=settings, wanted=Wanted(task=task)).report
    assert report.rows_kept == 2 and not report.classes


def news(word: str, subjects: tuple[str, ...]) -> str:
    return "title,text,subject\n" + "".join(
        f"{word} {i},it was said that {word} came to number {i} of all,{subjects[i % len(subjects)]}\n"
        for i in range(30))


@pytest.mark.parametrize("files", [
    {"Fake.csv": news("fake", ("left", "US")), "True.csv": news("true", ("world", "politics"))},
    {"Fake.csv": "text\n" + lines("fine").replace(",", ""), "True.csv": "text\n" + lines("dull").replace(",", "")}],
    ids=["values-of-one-file-each", "no-other-column"])
def test_tables_that_are_named_after_classes(files: dict[str, str], archive: Archive, settings: Settings) -> None:
    report = check_file(archive(files), settings=settings)
    assert report.classes == {"Fake": 30, "True": 30}
    assert "classes-of-files" in {finding.code for finding in report.findings}


@pytest.mark.parametrize("files", [
    {"news_one.csv": "text,label\na b c,x\nb c d,y\n" * 6, "news_two.csv": "text,label\na b e,x\nb c f,y\n" * 6},
    {"news_one.csv": news("fake", ("left", "US")), "news_two.csv": news("true", ("left", "US"))},
    {"part1.csv": news("fake", ("left", "US")), "part2.csv": news("true", ("world", "politics"))}],
    ids=["a-label", "values-of-both", "numbers"])
def test_a_column_of_the_tables_tells_the_class(files: dict[str, str], archive: Archive, settings: Settings) -> None:
    table = tables.read(archive(files), settings=settings)
    assert set(table.data.to_pydict().get("label", [])) <= {"x", "y"}
