"""Mail and subtitles: made-up ones in the real layouts, and text files that only look like tables."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from core.data import first_rows, new_rows, shapes, tables
from core.data.check import examine_file
from core.data.readers.table import Table
from core.domain.dataset import Role, Task
from core.settings import Settings
from tests.data_files import counted

Archive = Callable[..., Path]
File = Callable[[str, str | bytes], Path]
SEEDS = int(os.environ.get("THAW_FUZZ", "12"))


def said(i: int) -> str:
    return f"The keeper of tower {i} asks, as ever: bring {i + 3} lamps, and mind the stairs."


def mail(i: int = 0, *, sender: str = "Ann Lee <ann@x.y>", html: bool = False, encoding: str = "utf-8") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "bob@x.y", f"Grüße von Turm {i}"
    if html:
        message.set_content(f"<html><head><title>no</title><style>p {{}}</style></head><body><p>{said(i)}</p>"
                            "<script>no()</script>A &lt; B<br>end</body></html>", subtype="html", charset=encoding)
    else:
        message.set_content(f"{said(i)}\nViele Grüße\n", charset=encoding)
        message.add_alternative(f"<p>not {i}</p>", subtype="html")
        message.add_attachment("not read", filename="notes.txt")
    return message.as_bytes()


def box(n: int = 24, *, people: int = 2) -> bytes:
    return b"".join(f"From p{i % people}@x.y Fri Mar  1 10:00:{i % 60:02} 2024\n".encode()
                    + mail(i, sender=f"P <p{i % people}@x.y>").replace(b"\nFrom ", b"\n>From ") + b"\n"
                    for i in range(n))


def rows(table: Table) -> list[dict[str, Any]]:
    return list(table.data.to_pylist())


@pytest.mark.parametrize("name", ["mail.mbox", "Inbox", "mail.txt"])
def test_a_mailbox(file: File, settings: Settings, name: str) -> None:
    table = tables.read(file(name, box()), settings=settings)
    assert rows(table)[1] == {"text": f"{said(1)}\nViele Grüße", "subject": "Grüße von Turm 1", "sender": "p1@x.y"}
    assert len(table) == 24 and not table.left_out
    roles = shapes.choose(table).roles
    assert roles == {"text": Role.TEXT, "subject": Role.SECOND_TEXT, "sender": Role.LABEL}
    many = tables.read(file("many.mbox", box(people=6)), settings=settings)
    assert shapes.choose(many).roles["sender"] == Role.IGNORE


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("html", [False, True])
def test_one_mail(file: File, settings: Settings, html: bool, encoding: str) -> None:
    table = tables.read(file("a.eml", mail(3, html=html, encoding=encoding)), settings=settings)
    assert [row["text"] for row in rows(table)] == [f"{said(3)}\nA < B\nend" if html else f"{said(3)}\nViele Grüße"]


def test_mails_in_class_folders(file: File, archive: Archive, settings: Settings) -> None:
    path = archive({f"{label}/{i}.eml": mail(i) for label in ("spam", "ham") for i in range(6)})
    table = tables.read(path, settings=settings)
    assert {(row["label"], row["text"]) for row in rows(table)} == {
        (label, f"Grüße von Turm {i}\n\n{said(i)}\nViele Grüße") for label in ("spam", "ham") for i in range(6)}
    assert {row["label"] for row in rows(first_rows.read(path, settings=settings).table)} == {"spam", "ham"}
    new = archive({f"{i}.eml": mail(i) for i in range(3)}, name="new.zip")
    found = new_rows.read(new, source=None, task=Task.TEXT_CLASSIFICATION, text=None, settings=settings)
    one = new_rows.read(file("new.eml", mail(0)), source=None, task=Task.TEXT_CLASSIFICATION, text=None,
                        settings=settings)
    assert one.content[0] == found.content[0] == f"Grüße von Turm 0\n\n{said(0)}\nViele Grüße"


def test_mails_beside_each_other_and_boxes(archive: Archive, settings: Settings) -> None:
    path = archive({"a.eml": mail(0), "b.eml": mail(1), "c.eml": b"no mail", "d.pdf": b"%PDF"})
    table = tables.read(path, settings=settings)
    assert [row["file"] for row in rows(table)] == ["a.eml", "b.eml"]
    assert [(item.file, item.reason) for item in table.left_out] == [("c.eml", "it does not begin like a mail"),
                                                                     ("d.pdf", "it is not a mail")]
    path = archive({"Takeout/Mail/All.mbox": box(), "Takeout/archive.html": b"<html>"}, name="takeout.zip")
    assert len(tables.read(path, settings=settings)) == 24


@pytest.mark.parametrize("seed", range(SEEDS))
def test_damaged_mail(file: File, archive: Archive, settings: Settings, seed: int) -> None:
    chance = random.Random(seed)
    for name, data in (("a.mbox", box(6)), ("a.eml", mail()), ("b.eml", mail(html=True, encoding="iso-8859-1"))):
        found = bytearray(data[:chance.randrange(20, len(data))] if chance.random() < 0.5 else data)
        for _ in range(chance.randrange(40)):
            found[chance.randrange(len(found))] = chance.randrange(256)
        for path in (file(name, bytes(found)), archive({name: bytes(found), f"2{name}": data}, name="m.zip")):
            assert counted(path, settings)


@pytest.mark.parametrize("data", [
    b"From: =?nope?Q?a?= <a@x>\nSubject: =?utf-8?B?!!!?=\nContent-Type: text/plain; charset=nope\n\nhello there",
    b"From: a@x\nContent-Type: text/html\n\n<![nope[ hello there ]]> <p", b"From: a@x\nContent-Type: text/html; "
    b"charset*=x''%ff\nContent-Transfer-Encoding: base64\n\nnot base 64 at all",
    b"From: a@x\nContent-Type: text/html\n\n" + b"<a" * 100_000,
    b"Subject: s\nContent-Type: multipart/mixed; boundary=x\n\n" + b"--x\nContent-Type: multipart/mixed; boundary=x\n\n"
    * 3000])
def test_mail_against_the_rules(file: File, settings: Settings, data: bytes) -> None:
    table = tables.read(file("a.eml", data), settings=settings)
    assert table.rows_read == 1 == len(table) + len(table.left_out)


# -- subtitles ---------------------------------------------------------------------------------------------------------


def srt(n: int = 12) -> str:
    return "\n".join(f"{i + 1}\n00:{i:02}:01,000 --> 00:{i:02}:04,000\n<i>{said(i)}</i>\n{{\\an8}}- And {i}?\n"
                     for i in range(n))


def vtt(n: int = 12) -> str:
    cues = "\n".join(f"cue {i}\n{i:02}:01.000 --> {i:02}:04.000 align:start position:0%\n<v Ann><c.colour>{said(i)}</c>"
                     f"\n- And {i}?\n" for i in range(n))
    return f"WEBVTT Kind: captions\n\nSTYLE\n::cue {{}}\n\nNOTE a remark\nof two lines\n\n{cues}"


@pytest.mark.parametrize("text", [srt(), vtt(), srt().replace("\n", "\r\n"), "\ufeff" + srt()])
def test_subtitles(file: File, settings: Settings, text: str) -> None:
    path = file("film.vtt" if "WEBVTT" in text else "film.srt", text)
    table = tables.read(path, settings=settings)
    cues = [f"{said(i)} - And {i}?" for i in range(12)]
    assert [row["text"] for row in rows(table)] == cues
    assert table.documents is not None and rows(table.documents) == [{"text": "\n".join(cues)}]
    assert examine_file(path, settings=settings).report.rows_kept == 1


def test_lines_that_stay_come_once(file: File, settings: Settings) -> None:
    cues = [("one",), ("one", "two"), ("two", "three"), ("three",)]
    text = "WEBVTT\n\n" + "\n".join("00:01.000 --> 00:02.000\n" + "\n".join(cue) + "\n" for cue in cues)
    table = tables.read(file("a.vtt", text), settings=settings)
    assert [row["text"] for row in rows(table)] == ["one", "two", "three"]


def test_a_folder_of_subtitles(archive: Archive, settings: Settings) -> None:
    path = archive({f"films/{i}.srt": srt(3 + i).encode() for i in range(4)} | {"films/poster.bin": b"x"})
    table = tables.read(path, settings=settings)
    assert [row["file"] for row in rows(table)] == [f"films/{i}.srt" for i in range(4)]
    assert rows(table)[0]["text"] == "\n".join(f"{said(i)} - And {i}?" for i in range(3))
    assert [item.reason for item in table.left_out] == ["it is not a .txt file"]


# -- text that only looks like a table ---------------------------------------------------------------------------------

_LOG = "".join(f"{'a, b, ' * (i % 5)}{said(i)}\n" for i in range(40))
_BIB = "".join(f"@article{{k{i},\n title={{ {said(i)} }},\n year={{2020}}\n}}\n" for i in range(40))


@pytest.mark.parametrize(("name", "text"), [
    ("a.log", _LOG), ("a.bib", _BIB), ("a.srt", "no times, here\n" * 3), ("a.eml", f"no mail, just\n{_LOG}"),
    ("b", _LOG), ("a.log", "x, y, x\n1\n")])
def test_text_is_no_table(file: File, settings: Settings, name: str, text: str) -> None:
    table = tables.read(file(name, text), settings=settings)
    assert table.columns == ("text",) and not table.left_out and table.documents is not None
    assert len(table) == len([line for line in text.splitlines() if line.strip()])


def test_tables_of_any_ending_stay_tables(file: File, settings: Settings) -> None:
    for name in ("a.csv", "a.log", "a.dat", "a"):
        text = "text,label\n" + "".join(f"words {i},{'ab'[i % 2]}\n" for i in range(20))
        assert tables.read(file(name, text), settings=settings).columns == ("text", "label")
    ragged = "text,label\n" + "".join(f"words{',' * (i % 5)} {i}\n" for i in range(20))
    assert tables.read(file("a.csv", ragged), settings=settings).left_out
