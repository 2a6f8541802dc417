"""A file to predict is read as the training data was: the same columns by name, joined alike, one entry a row or the
reason why not."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data import ingest, library, new_rows, tables
from core.data.check import Options
from core.domain.dataset import Depth, Reading, Role, RowSource, Task
from core.errors import DataError
from core.settings import Settings

File = Callable[[str, "str | bytes"], Path]
Archive = Callable[..., Path]
Draw = Callable[..., bytes]

TRAINED = RowSource(task=Task.TEXT_CLASSIFICATION, columns={"id": "id", "text": "text", "label": "label"},
                    reading=Reading())
JOINED = RowSource(task=Task.TEXT_CLASSIFICATION, columns={"title": "second text", "body": "text", "label": "label"},
                   reading=Reading())
FOLDERS = RowSource(task=Task.TEXT_CLASSIFICATION, columns={"text": "text", "label": "label", "file": "ignore"},
                    reading=Reading(by_folder=True))
PICTURES = RowSource(task=Task.IMAGE_CLASSIFICATION, columns={"image": "image", "label": "label"}, reading=Reading())


def read(path: Path, settings: Settings, source: RowSource | None = TRAINED,
         text: str | None = None) -> new_rows.NewRows:
    found = new_rows.read(path, source=source, task=source.task if source else Task.TEXT_CLASSIFICATION, text=text,
                          settings=settings)
    assert found.rows_read == len(found.content) + len(found.left_out)
    assert len(found.row) == len(found.content) == len(found.shown)
    return found


def test_a_longer_remark_is_not_the_text_and_no_row_is_lost(file: File, settings: Settings) -> None:
    remark = "a long remark that is longer than any of the texts here by far"
    path = file("new.csv",
                f"id,text,remark\n7,the bank raised its rate,{remark}\n8,,{remark}\n9,the match ended, late,{remark}\n"
                           f"10,two goals,{remark}\n10,two goals,{remark}\n")
    found = read(path, settings)
    assert found.content == ["the bank raised its rate", "two goals", "two goals"]
    assert found.row == (1, 4, 5) and found.ids == ["7", "10", "10"]
    assert [item.row for item in found.left_out] == [2, 3]
    assert found.left_out[0].reason == "the text is empty" and "4 cells" in found.left_out[1].reason


@pytest.mark.parametrize(("header", "column"),
                         [("remark,label,text", 2), ("text,remark", 0), ("TEXT,remark", 0), ("remark, Text ", 1)])
def test_the_column_of_training_is_found_by_its_name(header: str, column: int, file: File, settings: Settings) -> None:
    cells = [f"the cell number {i} of a row" for i in range(len(header.split(",")))]
    found = read(file("new.csv", f"{header}\n" + f"{','.join(cells)}\n" * 3), settings)
    assert found.content == [cells[column]] * 3
    assert bool(found.notes) is ("text" not in [name.strip() for name in header.split(",")])


@pytest.mark.parametrize("content", ["id,message,remark\n1,some words here,others\n", "message\nsome words here\n",
                                     "label\nsport\n", "texts,text 2\nsome,words\n"])
def test_another_column_is_refused_naming_expected_and_found(content: str, file: File, settings: Settings) -> None:
    with pytest.raises(DataError) as caught:
        read(file("new.csv", content), settings)
    assert "'text'" in caught.value.what and "Expected: 'text'" in caught.value.why and "--text" in caught.value.remedy
    for name in content.split("\n")[0].split(","):
        assert repr(name) in caught.value.why


def test_another_column_may_be_named_by_hand(file: File, settings: Settings) -> None:
    path = file("new.csv", "id,message,text\n1,the right one,the wrong one\n")
    assert read(path, settings, text="message").content == ["the right one"]
    with pytest.raises(DataError, match="has no column 'none'"):
        read(path, settings, text="none")


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "json", "xlsx", "parquet", "csv.zip"])
def test_every_kind_of_table(suffix: str, tmp_path: Path, settings: Settings) -> None:
    rows = [{"remark": f"a longer remark than any of the texts, number {i}", "text": f"words {i}", "n": i}
            for i in range(4)]
    path = tmp_path / f"new.{suffix}"
    if suffix == "tsv":
        path.write_text("remark\ttext\tn\n" + "".join(f"{r['remark']}\t{r['text']}\t{r['n']}\n" for r in rows))
    elif suffix in ("json", "jsonl"):
        path.write_text(json.dumps(rows) if suffix == "json" else "\n".join(map(json.dumps, rows)))
    elif suffix == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif suffix == "xlsx":
        from openpyxl import Workbook

        book = Workbook()
        for line in [list(rows[0]), *(list(r.values()) for r in rows)]:
            book.active.append(line)
        book.save(path)
    else:
        import zipfile

        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr("inside.csv",
                            "remark,text\n" + "".join(f"a remark {i},{r['text']}\n" for i, r in enumerate(rows)))
    assert read(path, settings).content == [f"words {i}" for i in range(4)]


def test_files_without_a_header(file: File, settings: Settings) -> None:
    long = ("words that go on and on for far longer than any name of a column would, number {} of them all, so this "
            "is a row of data")
    assert read(file("one.csv", "".join(long.format(i) + "\n" for i in range(4)).replace(",", "")),
                settings).content[3].startswith("words")
    assert read(file("lines.txt", "first line\nsecond line\n"), settings).content == ["first line", "second line"]
    two = file("two.csv", "".join(f"sport,{long.format(i).replace(',', '')}\n" for i in range(4)))
    with pytest.raises(DataError, match="has no row of column names"):
        read(two, settings)
    headerless = RowSource(task=Task.TEXT_CLASSIFICATION, columns={"column 1": "label", "column 2": "text"},
                           reading=Reading())
    assert len(read(two, settings, headerless).content) == 4


def test_blank_lines_of_one_column_are_rows(file: File, settings: Settings) -> None:
    """A spreadsheet of one column writes an empty cell as a blank line; the rows below keep their numbers."""
    found = read(file("one.csv", 'text\ngood match\n\n  \n""\n"two\nlines"\nbad bank\n\n\n'), settings)
    assert (found.content, found.row) == (["good match", "two\nlines", "bad bank"], (1, 5, 6))
    assert [(item.row, item.reason) for item in found.left_out] == [(n, "the text is empty") for n in (2, 3, 4)]
    found = read(file("lines.txt", "first\n\n \nfourth\n\n"), settings)
    assert (found.content, found.row, found.rows_read) == (["first", "fourth"], (1, 4), 4)


def test_joined_columns_keep_the_order_of_training(file: File, settings: Settings) -> None:
    path = file("new.csv", "body,note,title\nthe body,n,the title\nonly a body,n,\n,n,only a title\n")
    found = read(path, settings, JOINED)
    assert found.content == ["the title\nthe body", "only a body"]
    assert [(item.row, item.reason) for item in found.left_out] == [(3, "the text is empty")]
    with pytest.raises(DataError, match="has no column 'title'"):
        read(file("no.csv", "body,note\na,b\n"), settings, JOINED)


def test_joining_is_that_of_the_import(file: File, settings: Settings) -> None:
    """The same rows, imported with a template and read for prediction, with columns moved: equal texts."""
    rows = [(f"title {i}", f"the words of the body {i}", f"name {i % 3}", "ab"[i % 2]) for i in range(40)]
    path = file("train.csv", "title,body,author,label\n" + "".join(",".join(row) + "\n" for row in rows))
    table = tables.read(path, settings=settings)
    chosen = {"title": Role.SECOND_TEXT, "body": Role.TEXT, "author": Role.IGNORE, "label": Role.LABEL}
    for template in (None, "{title} by {author}: {body}"):
        made, _ = ingest.ingest(table, roles=chosen, name="t", settings=settings, workspace="w",
                                options=Options(template=template))
        kept = library.load(made.id, settings=settings, workspace="w")
        moved = file("moved.csv",
                     "label,author,extra,body,title\n" + "".join(f"{r[3]},{r[2]},x,{r[1]},{r[0]}\n" for r in rows))
        stored = library.read_rows(kept, settings=settings, workspace="w").to_pylist()
        assert read(moved, settings, kept.row_source).content == [row["text"] for row in stored]


def test_the_same_rows_from_a_file_with_other_columns(file: File, settings: Settings) -> None:
    """Equal content is one dataset; new runs read new files like the file that was imported last."""
    def keep(name: str) -> RowSource:
        path = file(f"{name}.csv", f"{name},label\n" + "".join(f"words number {i},{'ab'[i % 2]}\n" for i in range(20)))
        made, _ = ingest.ingest(tables.read(path, settings=settings), roles={name: Role.TEXT, "label": Role.LABEL},
                                name=name, settings=settings, workspace="w")
        assert library.load(made.id, settings=settings, workspace="w") == made
        return made.row_source

    first, second = keep("text"), keep("message")
    assert (first.named(Role.TEXT), second.named(Role.TEXT)) == (("text",), ("message",))
    assert len(library.list_datasets(settings=settings, workspace="w")) == 1
    assert read(file("new.csv", "text,message\nnot these,but these\n"), settings, second).content == ["but these"]


def test_where_rows_were_files_a_column_named_like_texts_is_taken(file: File, settings: Settings) -> None:
    assert (read(file("a.csv", "n,message\n1,some words here\n2,and others too\n"), settings, FOLDERS).content[0]
            == "some words here")
    assert read(file("b.csv", "anything\nsome words here\n"), settings, FOLDERS).content == ["some words here"]
    with pytest.raises(DataError, match="--text"):
        read(file("c.csv", "this,that\nsome words here,and others too\n"), settings, FOLDERS)


def test_a_run_of_an_earlier_version(file: File, settings: Settings) -> None:
    old = RowSource(task=Task.TEXT_CLASSIFICATION, columns={"text": "text", "label": "label", "file": "ignore"})
    assert read(file("a.csv", "n,message\n1,some words here\n"), settings, old).content == ["some words here"]
    assert read(file("b.csv", "n,text\n1,some words here\n"), settings, None).content == ["some words here"]


def test_texts_as_files(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in (("b.txt", "the second"), ("a.txt", "the first"), ("c.txt", "  "), ("d.pdf", "x")):
        (folder / name).write_text(text)
    found = read(folder, settings, FOLDERS)
    assert (found.content, found.shown) == (["the first", "the second"], ["a.txt", "b.txt"])
    assert ({item.file: item.reason for item in found.left_out}
            == {"c.txt": "the text is empty", "d.pdf": "it is not a .txt file"})


def test_nothing_to_predict_names_the_rows(file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match=r"No row of empty\.csv can be predicted") as caught:
        read(file("empty.csv", "text,label\n,a\n ,b\n"), settings)
    assert "2 rows were read. Row 1: the text is empty; row 2" in caught.value.why


@pytest.mark.parametrize("content", [b"no picture", b"", b"\x89PNG cut"], ids=["text", "nothing", "cut off"])
def test_one_picture_that_cannot_be_used(content: bytes, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match=r"The picture bad\.png cannot be used") as caught:
        read(file("bad.png", content), settings, PICTURES)
    assert "row" not in caught.value.why and "PNG or JPEG" in caught.value.remedy


def test_a_picture_by_its_content_and_the_first_of_several_frames(tmp_path: Path, settings: Settings,
                                                                  picture: Draw) -> None:
    named = tmp_path / "odd.csv"
    named.write_bytes(picture(1))
    assert read(named, settings, PICTURES).shown == ["odd.csv"]
    frames = [Image.new("RGB", (30, 30), (40 * number, 0, 0)) for number in range(4)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    found = read(tmp_path / "moving.gif", settings, PICTURES)
    assert found.notes == ("1 picture has several frames or pages; the first was looked at.",)


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_pictures_from_a_file_an_archive_or_a_folder(tmp_path: Path, settings: Settings, archive: Archive,
                                                     picture: Draw) -> None:
    files: Mapping[str, Any] = {"a.png": picture(1), "sub/b.JPG": picture(2, format="JPEG"), "sub/notes.md": b"x",
                                "z.png": b"\x89PNG cut"}
    zipped = archive(files)
    with tarfile.open(tmp_path / "pictures.tar.gz", "w:gz") as bundle:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))
    folder = tmp_path / "folder"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    for path in (zipped, tmp_path / "pictures.tar.gz", folder):
        found = read(path, settings, PICTURES)
        assert found.shown == ["a.png", "sub/b.JPG"] and found.row == (1, 2) and found.rows_read == 4
        assert {item.file for item in found.left_out} == {"sub/notes.md", "z.png"}
        assert all(Image.open(place).size == (40, 30) for place in found.content)
    nameless = folder / "picture"
    nameless.write_bytes(files["a.png"])
    for single in (folder / "a.png", nameless):
        assert read(single, settings, PICTURES).shown == [single.name]


def test_a_table_beside_pictures_gives_the_rows(archive: Archive, settings: Settings, picture: Draw) -> None:
    path = archive({"1.png": picture(1), "2.png": picture(2),
                    "rows.csv": b"file,who\n2.png,b\n1.png,a\n3.png,c\n2.png,b\n"})
    found = read(path, settings, PICTURES)
    assert (found.shown, found.row) == (["2.png", "1.png", "2.png"], (1, 2, 4))
    assert [(item.row, item.file) for item in found.left_out] == [(3, "3.png")]


@pytest.mark.parametrize(("name", "content"),
                         [("t.csv", "text,label\na,b\n"), ("t.txt", "words"), ("t.heic", b"\0\0\0 ftypheic"),
                          ("t.pdf", b"%PDF-1.7")])
def test_a_picture_run_refuses_all_else(name: str, content: str | bytes, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="looks at pictures") as caught:
        read(file(name, content), settings, PICTURES)
    assert caught.value.why and caught.value.remedy


def test_a_text_run_refuses_pictures(file: File, archive: Archive, settings: Settings, picture: Draw) -> None:
    for path in (file("a.png", picture(1)), archive({"cat/a.png": picture(1), "dog/b.png": picture(2)})):
        with pytest.raises(DataError, match="this run reads texts"):
            read(path, settings)


def test_new_pictures_are_stretched_as_those_of_training(archive: Archive, settings: Settings) -> None:
    def deep(top: int) -> bytes:
        out = io.BytesIO()
        Image.fromarray(np.linspace(0, top, 64 * 64).reshape(64, 64).astype(np.uint16)).save(out, "PNG")
        return out.getvalue()

    path = archive({"dark.png": deep(250), "bright.png": deep(5000)})

    def tops(reading: Reading | None) -> tuple[dict[str, int], tuple[str, ...]]:
        found = read(path, settings,
                     RowSource(task=Task.IMAGE_CLASSIFICATION, columns=PICTURES.columns, reading=reading))
        return ({name: int(np.asarray(Image.open(place)).max())
                 for name, place in zip(found.shown, found.content, strict=True)}, found.notes)

    values, notes = tops(Reading(depth=Depth(whole=(0.0, 4095.0))))
    assert values == {"dark.png": round(250 * 255 / 4095), "bright.png": 255} and "cut off" in notes[0]
    values, notes = tops(Reading(depth=Depth()))                     # training had only pictures of 8 bits
    assert (values == {"dark.png": round(250 * 255 / 8191), "bright.png": round(5000 * 255 / 8191)}
            and "13 bits" in notes[0])
    values, _ = tops(None)                                           # a run of an earlier version
    assert values == {"dark.png": 1, "bright.png": round(5000 / 257)}
