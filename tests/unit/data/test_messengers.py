"""Chats of Facebook, Instagram and Telegram (as web pages), and subtitles of SubStation, whole and damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data import tables
from core.errors import DataError
from core.settings import Settings
from tests.data_files import counted

Archive = Callable[..., Path]
File = Callable[[str, str | bytes], Path]
N = 24


def q(i: int) -> str:
    return f"Who saw the comet of {1800 + i} from the hill 0?"


def garbled(text: str) -> str:
    """As Facebook and Instagram write UTF-8: each byte as a character."""
    return text.encode().decode("latin-1")


def thread(n: int = N, start: int = 0) -> dict[str, Any]:
    messages = [{"sender_name": garbled(("Žofie", "Ben")[i % 2]), "timestamp_ms": 1_600_000_000_000 + i * 60_000,
                 "content": garbled(f"Füße 😀 {q(i)}")} for i in range(start, start + n)]
    return {"participants": [{"name": garbled("Žofie")}, {"name": "Ben"}], "messages": messages[::-1],
            "title": garbled("Žofie"), "thread_path": "inbox/x"}


def test_messages_of_facebook(file: File, settings: Settings) -> None:
    whole: dict[str, Any] = thread()
    last = {"sender_name": "Ben", "timestamp_ms": 1_600_000_000_000}
    whole["messages"] += [{**last, "photos": [{"uri": "x.jpg"}]}, {**last, "content": "Ben sent an attachment."},
                          {**last, "content": "x", "is_unsent": True}, {**last, "call_duration": 3, "content": "x"}, 7,
                          {**last, "content": ["a"]}]
    table = tables.read(file("message_1.json", json.dumps(whole)), settings=settings)
    rows = table.data.to_pylist()
    assert [row["text"] for row in rows] == [f"Füße 😀 {q(i)}" for i in range(N)]
    assert rows[0]["speaker"] == "Žofie" and rows[0]["time"] == "2020-09-13 12:26:40"
    assert rows[0]["conversation"] == "Žofie 1" and table.rows_read == N + 2
    assert {finding.code: finding.count for finding in table.findings} == {"chat-media": 2, "chat-notice": 2}


def test_messages_with_encryption(file: File, settings: Settings) -> None:
    whole = {"participants": ["Ann", "Ben"], "threadName": "Ann_7", "messages": [
        {"isUnsent": i == 4, "media": [], "reactions": [], "senderName": ("Ann", "Bén")[i % 2], "text": f"Füße {q(i)}",
         "timestamp": 1_600_000_000_000 + i, "type": "text"} for i in range(N)]}
    table = tables.read(file("Ann_7.json", json.dumps(whole)), settings=settings)
    assert table.data["speaker"].to_pylist()[:2] == ["Ann", "Bén"] and len(table) == N - 1
    assert table.data["text"].to_pylist()[0] == f"Füße {q(0)}"


def test_an_archive_of_facebook(archive: Archive, settings: Settings) -> None:
    """The higher number is older; what else is exported is no chat."""
    files = {"m/inbox/x/message_1.json": json.dumps(thread(N, 100)), "m/inbox/x/message_2.json": json.dumps(thread()),
             "m/autofill.json": "{}", "profile.json": '{"a": 1}', "m/inbox/x/photos/a.jpg": "x"}
    table = tables.read(archive({name: text.encode() for name, text in files.items()}), settings=settings)
    assert table.data["text"].to_pylist()[::N] == [f"Füße 😀 {q(0)}", f"Füße 😀 {q(100)}"] and len(table) == 2 * N
    assert {finding.code: finding.count for finding in table.findings}["unused-files"] == 3


def page(start: int = 0, n: int = N) -> str:
    def said(i: int) -> str:
        name = "" if i % 4 == 1 else f'<div class="from_name">\n{("Ann &amp; Co", "Ben")[i // 2 % 2]} \n</div>\n'
        text = f'<div class="text">\n{q(i)}<br>see <a href="x">\nthis</a>\n</div>\n'
        return (f'<div class="message default clearfix{" joined" if i % 4 == 1 else ""}" id="message{i}">\n'
                f'<div class="body">\n<div class="pull_right date details" title="11.03.2021 10:{i:02}:00 UTC+01:00">\n'
                f'10:{i:02}\n</div>\n{name}{f"<div class=media_wrap>{i}</div>" if i == 6 else text}</div>\n</div>\n')

    return ('<!DOCTYPE html>\n<html>\n<body onload="CheckLocation();">\n<div class="page_wrap">\n'
            '<div class="page_header">\n<div class="content">\n<div class="text bold">\nThe Tower \n</div>\n</div>\n'
            '</div>\n<div class="page_body chat_page">\n<div class="history">\n<div class="message service" id="m-1">\n'
            '<div class="body details">\n11 March 2021\n</div>\n</div>\n'
            f"{''.join(map(said, range(start, start + n)))}</div>\n</div>\n</div>\n</body>\n</html>")


def test_pages_of_telegram(file: File, archive: Archive, settings: Settings) -> None:
    table = tables.read(file("messages.html", page()), settings=settings)
    rows = table.data.to_pylist()
    assert rows[0] == {"text": f"{q(0)}\nsee this", "speaker": "Ann & Co", "time": "2021-03-11 10:00:00",
                       "conversation": "The Tower 1"}
    assert [row["speaker"] for row in rows[:5]] == ["Ann & Co", "Ann & Co", "Ben", "Ben", "Ann & Co"]
    assert {finding.code: finding.count for finding in table.findings} == {"chat-notice": 1, "chat-media": 1}
    files = {f"E/messages{k}.html": page(20 * i, 10) for i, k in enumerate(("", "2", "10"))} | {
        f"E/images/{i}.png": "x" for i in range(40)} | {"E/css/style.css": "x"}
    table = tables.read(archive({name: text.encode() for name, text in files.items()}), settings=settings)
    assert [row["text"].partition("\n")[0] for row in table.data.to_pylist()][-1] == q(49)
    assert counted(file("cut.html", page()[:3_000]), settings)
    damaged = archive({name: text.encode() for name, text in files.items()}, name="damaged.zip")
    data = damaged.read_bytes()
    damaged.write_bytes(data.replace(b"the comet of 1825", b"the planet of 182"))
    assert [item.reason for item in tables.read(damaged, settings=settings).left_out] == [
        "a whole page of messages cannot be read: it is damaged in the archive"]
    with pytest.raises(DataError, match="a web page"):
        tables.read(file("other.html", "<!DOCTYPE html><html><body>Hello</body></html>"), settings=settings)


def substation(n: int = N) -> str:
    said = "".join(f"Dialogue: 0,0:{59 - i:02}:00.00,0:{59 - i:02}:01.00,Default,ANN,0,0,0,,"
                   f"{{\\i1}}{q(i)}{{\\i0}}\\NYes, {i}\n" for i in range(n))
    return ("[Script Info]\n; Made by Aegisub\nScriptType: v4.00+\n\n[V4+ Styles]\n"
            "Format: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n"
            "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
            f"Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,a remark\n{said}"
            "Dialogue: 0,0:59:00.00,0:59:01.00,Shadow,ANN,0,0,0,,Who saw the comet of 1800 from the hill 0?\\NYes, 0\n"
            "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}\n")


@pytest.mark.parametrize("name", ["a.ass", "a.ssa"])
def test_subtitles_of_substation(name: str, file: File, archive: Archive, settings: Settings) -> None:
    """In the order of their times; remarks, drawings and a second layer with the same text are not said."""
    table = tables.read(file(name, substation()), settings=settings)
    assert table.data["text"].to_pylist() == [f"{q(i)} Yes, {i}" for i in reversed(range(N))]
    assert table.documents is not None and len(table.documents) == 1
    both = {name: substation().encode(), f"b{name}": substation(9).encode()}
    two_files = tables.read(archive(both), settings=settings)
    assert two_files.data["text"].to_pylist()[0].startswith(q(N - 1)) and len(two_files) == 2
    assert counted(file(f"cut-{name}", substation()[:700]), settings)


@pytest.mark.parametrize("text", [json.dumps(thread()), json.dumps(thread(), indent=1)])
def test_a_document_that_is_cut_off_is_refused(text: str, file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="not valid JSON") as caught:
        tables.read(file("t.json", text[: len(text) // 2]), settings=settings)
    assert caught.value.remedy
