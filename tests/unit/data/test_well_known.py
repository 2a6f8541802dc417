"""Public sets in the form in which they are downloaded: made-up rows in the real layouts."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data import first_rows, new_rows, tables
from core.data.check import check_file
from core.data.readers import pixels
from core.data.readers.table import Table, whole_table
from core.domain.dataset import Task
from core.errors import DataError
from core.settings import Settings
from tests.data_files import tar

Archive = Callable[..., Path]
N = 40


def said(i: int) -> str:
    return f"what was said in place {i} about {('sport', 'money')[i % 2]}"


def rows(form: str, classes: Sequence[str] = ("ham", "spam"), n: int = N) -> str:
    return "".join(form.format(label=classes[i % len(classes)], text=said(i)) + "\n" for i in range(n))


def as_csv(cells: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(cells)
    return out.getvalue()


@pytest.mark.parametrize(("files", "classes", "read"), [
    ({"SMSSpamCollection": rows("{label}\t{text}"), "readme": "Spam\n\nof phones\n"}, {"ham": 20, "spam": 20}, 40),
    ({f"sentiment/{name}_labelled.txt": rows(f"{{text}} of {name}  \t{{label}}", "01")
      for name in ("amazon_cells", "imdb", "yelp")}
     | {"sentiment/readme.txt": "Sentences\n\nwith labels\n"}, {"0": 60, "1": 60}, 120),
    ({f"Youtube0{k}-{name}.csv": "CONTENT,CLASS\n" + rows(f"{{text}} of {name},{{label}}", "01")
      for k, name in enumerate(("Psy", "Eminem", "Shakira"))}, {"0": 60, "1": 60}, 120),
    ({"reviews.train.csv": "text,label\n" + rows("{text},{label}"),
      "reviews.test.csv": "text,label\n" + rows("{text} too,{label}", n=20)}, {"ham": 30, "spam": 30}, 60),
    ({f"r8-{split}-all-terms.txt": rows(f"{{label}}\t{split} {{text}}") for split in ("train", "test")},
     {"ham": 40, "spam": 40}, 80)],
    ids=["sms-spam", "sentiment-labelled-sentences", "youtube-spam", "split-behind-a-dot", "reuters-8"])
def test_tables_in_an_archive(files: dict[str, str], classes: dict[str, int], read: int, archive: Archive,
                              settings: Settings) -> None:
    path = archive(files)
    report = check_file(path, settings=settings)
    assert report.rows_read == read and report.classes == classes
    assert first_rows.read(path, settings=settings).table.columns == tables.read(path, settings=settings).columns


@pytest.mark.parametrize("other", [("films2.csv", "id,price\n1,2\n"),
                                   ("b.csv", "text,label\n" + rows("{text},{label}")),
                                   ("films.tsv", "text\tlabel\n" + rows("{text}\t{label}"))],
                         ids=["other-columns", "names-of-no-series", "the-same-in-another-format"])
def test_tables_that_are_no_parts_of_one_are_refused_as_before(other: tuple[str, str], archive: Archive,
                                                               settings: Settings) -> None:
    with pytest.raises(DataError, match="holds 2 tables"):
        tables.read(archive(dict([("films.csv", "text,label\n" + rows("{text},{label}")), other])), settings=settings)


@pytest.mark.parametrize("name", ["{place}", "{place:05}.bfc8d64d12b325ff385cca8d07b84288"])
def test_texts_without_an_ending(name: str, tmp_path: Path, settings: Settings) -> None:
    """20 Newsgroups by date, and SpamAssassin's mails."""
    files = {f"mails-{split}/{label}/{name.format(place=100 * k + i)}": f"From: a\n\n{split} {said(i)} {label}".encode()
             for split, n in (("train", 12), ("test", 5)) for k, label in enumerate(("sci.space", "rec.autos"))
             for i in range(n)}
    files |= {"mails-train/sci.space/LICENSE": b"free", "mails-train/rec.autos/9999": b"\0\1\2\0binary"}
    table = tables.read(tar(tmp_path / "mails.tar.gz", files), settings=settings)
    assert Counter(zip(table.data["label"].to_pylist(), table.data["split"].to_pylist(), strict=True)) == {
        ("sci.space", "train"): 12, ("sci.space", "test"): 5, ("rec.autos", "train"): 12, ("rec.autos", "test"): 5}
    assert {left.file.rpartition("/")[2] for left in table.left_out} == {"LICENSE", "9999"}


def digits(n: int = 24, side: int = 28, channels: int = 1, top: int = 255) -> np.ndarray:
    """Smooth pictures (n, side, side[, 3]): a bright spot that wanders, of another colour in each channel."""
    y, x = np.mgrid[:side, :side]
    spots = [np.exp(-((x - (3 + i + 2 * c) % side) ** 2 + (y - i % side) ** 2) / side) for i in range(n)
             for c in range(channels)]
    found = np.rint(top * np.stack(spots)).astype(int).reshape(n, channels, side, side).transpose(0, 2, 3, 1)
    return found[..., 0] if channels == 1 else found


def shown(table: Table) -> np.ndarray:
    assert table.pictures is not None
    return np.stack([np.asarray(Image.open(io.BytesIO(table.pictures.read(name))))
                     for name in table.data[table.image_column].to_pylist()])


HEADS: dict[str, Callable[[int], list[str]]] = {
    "kaggle": lambda n: ["label", *(f"pixel{i}" for i in range(n))],
    "mnist-in-csv": lambda n: ["label", *(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))],
    "pandas": lambda n: [*map(str, range(n)), "label"],
    "none": lambda n: []}


@pytest.mark.parametrize("kind", HEADS)
def test_a_column_a_pixel(kind: str, tmp_path: Path, settings: Settings) -> None:
    pictures = digits()
    head = HEADS[kind](28 * 28)
    cells = [[i % 3, *picture.ravel()] if kind != "pandas" else [*picture.ravel(), i % 3]
             for i, picture in enumerate(pictures)]
    path = tmp_path / "t.csv"
    path.write_text(as_csv(([head] if head else []) + cells))
    table = tables.read(path, settings=settings)
    np.testing.assert_array_equal(shown(table), pictures)
    assert len(table.columns) == 2 and first_rows.read(path, settings=settings).table.image_column
    report = check_file(path, settings=settings)
    assert report.classes == {"0": 8, "1": 8, "2": 8} and "pictures-of-numbers" in {f.code for f in report.findings}
    found = new_rows.read(path, task=Task.IMAGE_CLASSIFICATION, source=None, text=None, settings=settings)
    assert len(found.content) == len(pictures)


@pytest.mark.parametrize("planes", [False, True])
def test_three_numbers_a_pixel_beside_each_other_or_in_planes(planes: bool, tmp_path: Path, settings: Settings) -> None:
    pictures = digits(side=16, channels=3)
    flat = [(picture.transpose(2, 0, 1) if planes else picture).ravel() for picture in pictures]
    path = tmp_path / "t.csv"
    path.write_text(as_csv([[*(f"pixel{i:04}" for i in range(16 * 16 * 3)), "label"],
                            *([*row, i % 2] for i, row in enumerate(flat))]))
    np.testing.assert_array_equal(shown(tables.read(path, settings=settings)), pictures)


@pytest.mark.parametrize(("top", "white"), [(1, 255), (16, 255), (255, 255)])
def test_white_is_white_whatever_the_scale(top: int, white: int, tmp_path: Path, settings: Settings) -> None:
    """scikit-learn's digits are 8 x 8 of 0 to 16."""
    path = tmp_path / "t.csv"
    path.write_text(as_csv([[*(f"pixel_{i}_{j}" for i in range(8) for j in range(8)), "target"],
                            *([*picture.ravel().astype(float), i % 2] for i, picture in
                              enumerate(digits(side=8, top=top)))]))
    assert shown(tables.read(path, settings=settings)).max() == white


def test_all_pixels_in_one_cell(tmp_path: Path, settings: Settings) -> None:
    """FER2013, whose Usage says train, validation and test."""
    pictures = digits(side=48)
    usage = ["Training"] * 16 + ["PublicTest"] * 4 + ["PrivateTest"] * 4
    cells = [[i % 2, " ".join(map(str, picture.ravel())), usage[i]] for i, picture in enumerate(pictures)]
    cells[3][1] = "12 13"
    path = tmp_path / "fer2013.csv"
    path.write_text(as_csv([["emotion", "pixels", "Usage"], *cells]))
    table = tables.read(path, settings=settings)
    assert table.data[table.image_column][3].as_py() is None
    report = check_file(path, settings=settings)
    assert {name: sum(counts.values()) for name, counts in report.splits.items()} == {
        "train": 15, "validation": 4, "test": 4}
    assert len(report.left_out) == 1


@pytest.mark.parametrize("columns", [
    {f"gene {name}": ["1", "2"] for name in "abcdefgh" * 8}, {f"v{i}": ["1", "-2"] for i in range(64)},
    {f"v{i}": ["1", "300"] for i in range(64)}, {f"v{i}": ["1", "x"] for i in range(64)},
    {f"v{i}": ["1", "2"] for i in range(60)}, {"text": ["1 2 3", "4 5 6"]},
    {"text": [" ".join(["7"] * 64), "a text that is no list of numbers"]}, {f"v{i}": ["0", "0"] for i in range(64)}],
    ids=["names", "below-zero", "above-255", "words", "no-square", "few", "not-all", "all-black"])
def test_numbers_that_are_no_pictures_stay_columns(columns: dict[str, list[str]]) -> None:
    import pyarrow as pa

    names = [f"{name}{place}" if name.startswith("gene") else name for place, name in enumerate(columns)]
    data = pa.table([pa.chunked_array([pa.array(cells, type=pa.large_string())]) for cells in columns.values()],
                    names=names)
    table = whole_table(data, max_rows=100, name="t.csv", format="CSV")
    assert pixels.drawn(table) is table


def roles_of(path: Path, settings: Settings) -> dict[str, str]:
    return {name: role for name, role in check_file(path, settings=settings).columns.items() if role != "ignore"}


@pytest.mark.parametrize(("row", "roles"), [
    ({"conversations": ["Where is it?", "In the north."], "source": "stackexchange"}, {"conversations": "messages"}),
    ({"contents": [{"role": "user", "parts": [{"text": "Where is it?"}]},
                   {"role": "model", "parts": [{"text": "In the north."}]}]}, {"contents": "messages"}),
    ({"id": "13818513", "summary": "They meet.", "dialogue": "Ann: Where?\r\nBob: Here."},
     {"dialogue": "prompt", "summary": "response"}),
    ({"article": "It was a long day in the city.", "highlights": "A long day."},
     {"article": "prompt", "highlights": "response"}),
    ({"input_text": "Where is it?", "output_text": "In the north."},
     {"input_text": "prompt", "output_text": "response"}),
    ({"chosen": "\n\nHuman: Where?\n\nAssistant: In the north.", "rejected": "\n\nHuman: Where?\n\nAssistant: I will "
      "not say that to anybody."}, {"messages": "messages"})],
    ids=["lima", "gemini", "samsum", "cnn-dailymail", "vertex", "hh-rlhf"])
def test_rows_for_language_models(row: dict[str, object], roles: dict[str, str], tmp_path: Path,
                                  settings: Settings) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps(row).replace("north", f"north {i}").replace("day", f"day {i}")
                              .replace("meet", f"meet {i}").replace("13818513", str(13818513 + i)) for i in range(N)))
    found = roles_of(path, settings)
    assert {name: role for name, role in found.items() if role not in ("id", "domain")} == roles
    assert check_file(path, settings=settings).rows_kept == N


def test_summaries_beside_a_label_are_read_with_the_text(tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(json.dumps({"article": f"{said(i)}, at some length and in detail", "summary": f"In {i}",
                                          "category": ("sport", "money")[i % 2]}) for i in range(N)))
    assert roles_of(path, settings) == {"article": "text", "summary": "second text", "category": "label"}


def test_documents_of_one_text_are_parted_where_it_says_so(tmp_path: Path, settings: Settings) -> None:
    """TinyStories."""
    path = tmp_path / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(f"{said(i)}.\n\nThe end of story {i}." for i in range(N)))
    report = check_file(path, settings=settings)
    assert report.rows_kept == N and set(report.splits) == {"train", "validation", "test"}
    assert "<|" not in " ".join(tables.read(path, settings=settings).data["text"].to_pylist())


@pytest.mark.parametrize("ending", ["tokens", "raw"])
def test_plain_texts_with_other_endings(ending: str, archive: Archive, settings: Settings) -> None:
    """WikiText."""
    path = archive({f"wikitext-2/wiki.{split}.{ending}": f" = Title = \n \n {said(1)} of {split} . \n" * 30
                    for split in ("train", "valid", "test")})
    report = check_file(path, settings=settings)
    assert report.rows_read == 3 and set(report.splits) == {"train", "validation", "test"}


@pytest.mark.parametrize(("first", "rest", "kept"), [
    ("Go now.\tVa maintenant.", "Run fast {i}.\tCours vite {i}.", 41),
    ("What do you think?\tHow old are you?", "Too long {i}\t3{i}", 40)])
def test_a_sentence_above_sentences_is_a_row(first: str, rest: str, kept: int, tmp_path: Path,
                                             settings: Settings) -> None:
    """Pairs of Tatoeba have no column names; questionnaires have questions above their answers."""
    path = tmp_path / "t.tsv"
    path.write_text("\n".join([first, *(rest.format(i=i) for i in range(N))]))
    assert tables.read(path, settings=settings).rows_read == kept


@pytest.mark.parametrize(("files", "text", "n"), [
    ({"SMSSpamCollection": rows("{label}\t{text}"), "readme": "Spam\n\nof phones\n"}, "column 2", N),
    ({"pos.txt": rows("{text}, good"), "neg.txt": rows("{text}, bad")}, "text", 2 * N),
    ({f"mails/{i}": f"From: a\n\n{said(i)}\n" for i in range(5)}, None, 5),
    ({"a.txt": "one text\n\nin paragraphs", "b.txt": "another text\n"}, None, 2)],
    ids=["a-table", "a-file-a-class", "no-endings", "a-file-a-text"])
def test_they_are_predicted_as_they_are_trained_on(files: dict[str, str], text: str | None, n: int, archive: Archive,
                                                   settings: Settings) -> None:
    found = new_rows.read(archive(files), task=Task.TEXT_CLASSIFICATION, source=None, text=text, settings=settings)
    assert len(found.content) == found.rows_read == n
