"""Chats as messengers export them: made-up talk in the real layouts, the rows and documents that come of it, and what
is passed over."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.data import contents, first_rows, new_rows, paste, shapes, tables
from core.data.check import Options, examine_file
from core.data.forms import Wanted
from core.data.readers import chats, whatsapp
from core.data.readers.table import Table
from core.domain.dataset import Role, Task
from core.errors import DataError
from core.settings import Settings
from tests.data_files import counted

Archive = Callable[..., Path]
File = Callable[[str, str | bytes], Path]
LRM, NARROW = "\u200e", "\u202f"
SEEDS = int(os.environ.get("THAW_FUZZ", "12"))
START = datetime(2024, 3, 1, 10, 0, 11)


def said(i: int) -> str:
    return f"The keeper of tower {i} wrote: bring {i + 3} lamps, and mind the stairs."


def rows(table: Table) -> list[dict[str, Any]]:
    return list(table.data.to_pylist())


def passed(table: Table) -> dict[str, int]:
    return {finding.code: finding.count for finding in table.findings}


def ios(n: int = 24, *, form: str = "%d/%m/%Y, %H:%M:%S", names: tuple[str, ...] = ("Ann", "Bob Lee")) -> str:
    lines = [f"{LRM}[{START.strftime(form)}] Bob Lee: {LRM}Messages and calls are end-to-end encrypted."]
    lines += [f"[{(START + timedelta(hours=5 * (i // 3))).strftime(form)}] {names[i % len(names)]}: {said(i)}"
              for i in range(n)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("form", ["%d/%m/%Y, %H:%M:%S", "%d.%m.%y, %H:%M:%S", "%-m/%-d/%y, %-I:%M:%S" + NARROW + "%p",
                                  "%d-%m-%y %H.%M.%S", "%Y/%m/%d %H:%M:%S", "%d. %m. %Y, %H:%M"])
def test_ios(file: File, settings: Settings, form: str) -> None:
    table = tables.read(file("WhatsApp Chat with Bob.txt", ios(form=form)), settings=settings)
    assert table.columns == chats.COLUMNS
    assert [row["text"] for row in rows(table)] == [said(i) for i in range(24)]
    assert [row["speaker"] for row in rows(table)] == ["Ann", "Bob Lee"] * 12
    assert rows(table)[3]["time"] == f"2024-03-01 15:00:{'11' if '%S' in form else '00'}"
    assert {row["conversation"] for row in rows(table)} == {"Bob 1"}
    assert passed(table) == {"chat-notice": 1} and not table.left_out


@pytest.mark.parametrize("form", ["%d/%m/%Y, %H:%M", "%d.%m.%y, %H:%M", "%-m/%-d/%y, %I:%M" + NARROW + "%p",
                                  "%d/%m/%y, %I:%M p. m.", "%d/%m/%Y à %H:%M", "%d.%m.%Y klo %H.%M"])
def test_android(file: File, settings: Settings, form: str) -> None:
    days = [START + timedelta(days=i) for i in range(24)]
    text = "\n".join(f"{day.strftime(form)} - {('Ann', '+49 170 123456')[i % 2]}: {said(i)}"
                     for i, day in enumerate(days))
    table = tables.read(file("chat.txt", f"{START.strftime(form)} - Ann created group \"Lamps: all\"\n{text}\n"),
                        settings=settings)
    assert [row["text"] for row in rows(table)] == [said(i) for i in range(24)]
    assert [row["time"][:10] for row in rows(table)] == [day.date().isoformat() for day in days]
    assert [row["conversation"] for row in rows(table)] == [f"chat {i}" for i in range(1, 25)]
    assert passed(table) == {"chat-notice": 1}


def test_what_is_no_message_and_messages_over_several_lines(file: File, settings: Settings) -> None:
    text = "\r\n".join([
        f"{LRM}[01.03.24, 10:00:00] Turm: {LRM}Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.",
        "[01.03.24, 10:00:01] Ann: first line", "", "third: line", "[01.03.24, 10:00:02] Bob: " + LRM + "image omitted",
        f"{LRM}[01.03.24, 10:00:03] Ann: {LRM}<attached: 00000012-PHOTO-2024.jpg>",
        f"[01.03.24, 10:00:04] Bob: Look at this {LRM}<attached: 00000013-PHOTO-2024.jpg>",
        f"[01.03.24, 10:00:05] Ann: @\u2068Bob\u2069 corrected {LRM}<This message was edited>",
        "[01.03.24, 10:00:06] Bob: This message was deleted", f"[01.03.24, 10:00:07] Ann: {LRM}Bild weggelassen",
        "[01.03.24, 10:00:08] Ann added Cid", "[01.03.24, 10:00:09] \u202aCid\u202c: null and void: yes"])
    table = tables.read(file("WhatsApp Chat - Turm.txt", text), settings=settings)
    assert [(row["speaker"], row["text"]) for row in rows(table)] == [
        ("Ann", "first line\n\nthird: line"), ("Bob", "Look at this"), ("Ann", "@Bob corrected"),
        ("Cid", "null and void: yes")]
    assert passed(table) == {"chat-notice": 4, "chat-media": 2}
    android = "\n".join(["1/3/24, 10:00 - Ann: <Media omitted>", "1/3/24, 10:00 - Ann: IMG-1.jpg (file attached)",
                         "1/3/24, 10:01 - Bob: IMG-2.jpg (file attached)", "with words below",
                         "1/3/24, 10:02 - Ann: sure"])
    table = tables.read(file("a.txt", android), settings=settings)
    assert [row["text"] for row in rows(table)] == ["with words below", "sure"] and passed(table) == {"chat-media": 2}


@pytest.mark.parametrize("text", [
    "".join(f"[2024-03-01 10:00:{i:02}] {('INFO', 'ERROR')[i % 2]}: {said(i)}\n" for i in range(20)),
    "".join(f"12/3/24 was a day: {said(i)}\n" for i in range(20)), f"{said(0)}\n" + ios()[30:400].replace("[", "")])
def test_logs_and_prose_are_no_chat(file: File, settings: Settings, text: str) -> None:
    assert "Chat of" not in tables.read(file("a.txt", text), settings=settings).format


def test_an_archive_with_its_pictures(archive: Archive, settings: Settings, picture: Callable[..., bytes]) -> None:
    members = {"_chat.txt": ios().encode(), **{f"0000{i}-PHOTO.jpg": picture(i, format="JPEG") for i in range(4)}}
    path = archive(members, name="WhatsApp Chat - Bob.zip")
    table = tables.read(path, settings=settings)
    assert len(table) == 24 and rows(table)[0]["conversation"] == "Bob 1"
    assert passed(table) == {"chat-notice": 1, "unused-files": 4}
    assert first_rows.read(path, settings=settings).table.columns == chats.COLUMNS
    assert not contents.mostly_pictures(list(members))
    found = new_rows.read(path, source=None, task=Task.TEXT_CLASSIFICATION, text="text", settings=settings)
    assert found.content == [said(i) for i in range(24)]
    two = archive({"a/_chat.txt": ios().encode(), "b/_chat.txt": ios().encode()}, name="two.zip")
    assert {row["conversation"] for row in rows(tables.read(two, settings=settings))} == {"a 1", "b 1"}


def test_pasted(settings: Settings) -> None:
    path = paste.to_file(ios(), settings=settings, workspace="ws")
    assert path.suffix == ".txt" and len(tables.read(path, settings=settings)) == 24


# -- the other messengers ----------------------------------------------------------------------------------------------


def telegram(n: int = 24, name: str | None = "Friends") -> dict[str, Any]:
    messages: list[Any] = [{"id": 0, "type": "service", "date": "2024-03-01T09:00:00", "actor": "Ann",
                            "action": "create_group", "text": ""},
                           {"id": 1, "type": "message", "date": "2024-03-01T09:00:00", "from": "Ann", "text": "",
                            "photo": "photos/1.jpg"}, 7,
                           {"id": 2, "type": "message", "date": "x", "from": "Ann", "text": 5}]
    messages += [{"id": 9 + i, "type": "message", "date": f"2024-03-{1 + i // 12:02}T10:{i:02}:00",
                  "from": ("Ann", "Bob")[i % 2], "from_id": f"user{i % 2}",
                  "text": said(i) if i % 3 else [said(i), " ", {"type": "link", "text": "http://x.y"}]}
                 for i in range(n)]
    return {"name": name, "type": "personal_chat", "id": 77, "messages": messages}


@pytest.mark.parametrize("whole", [telegram(), {"about": "x", "chats": {"about": "y", "list": [telegram()]}}])
@pytest.mark.parametrize("indent", [None, 1])
def test_telegram(file: File, settings: Settings, whole: dict[str, Any], indent: int | None) -> None:
    table = tables.read(file("result.json", json.dumps(whole, indent=indent)), settings=settings)
    assert [row["text"] for row in rows(table)][:2] == [f"{said(0)} http://x.y", said(1)]
    assert [row["conversation"] for row in rows(table)] == ["Friends 1"] * 12 + ["Friends 2"] * 12
    assert passed(table) == {"chat-notice": 1, "chat-media": 1}
    assert [item.reason for item in table.left_out] == ["it is a number, not a message", "its text is a number, "
                                                                                          "not text"]
    assert table.documents is not None and len(table.documents) == 2


def test_telegram_with_its_pictures(archive: Archive, settings: Settings, picture: Callable[..., bytes]) -> None:
    path = archive({"ChatExport/result.json": json.dumps(telegram(name=None)).encode(),
                    **{f"ChatExport/photos/{i}.jpg": picture(i, format="JPEG") for i in range(3)}})
    table = tables.read(path, settings=settings)
    assert len(table) == 24 and rows(table)[0]["conversation"] == "chat 77 1" and passed(table)["unused-files"] == 3


def discord(n: int = 24) -> dict[str, Any]:
    messages = [{"id": str(i), "type": ("Default", "Reply")[i % 2], "timestamp": f"2024-03-01T10:{i:02}:00.123+02:00",
                 "content": said(i), "author": {"id": str(i % 2), "name": ("ann", "bob")[i % 2], "nickname": "A",
                                                "isBot": False}, "reactions": []} for i in range(n)]
    messages += [{"id": "90", "type": "GuildMemberJoin", "timestamp": "", "content": "Joined", "author": {}},
                 {"id": "91", "type": "Default", "timestamp": "", "content": "beep", "author": {"isBot": True}},
                 {"id": "92", "type": "Default", "content": "", "author": {"name": "ann"}, "attachments": [{}]},
                 {"id": "93", "type": "Default", "content": "who?", "author": {}}]
    return {"guild": {"id": "1", "name": "Lamps"}, "channel": {"id": "2", "name": "general"}, "messages": messages,
            "messageCount": n}


def test_discord(file: File, archive: Archive, settings: Settings) -> None:
    table = tables.read(file("general.json", json.dumps(discord())), settings=settings)
    assert [row["speaker"] for row in rows(table)] == ["ann", "bob"] * 12
    assert rows(table)[0] == {"text": said(0), "speaker": "ann", "time": "2024-03-01 10:00:00",
                              "conversation": "general 1"}
    assert passed(table) == {"chat-notice": 1, "chat-bot": 1, "chat-media": 1}
    assert [item.reason for item in table.left_out] == ["it does not say who wrote it"]
    path = archive({f"Lamps - {i} [12345678901234567{i}].json": json.dumps(discord()).encode() for i in range(2)})
    assert len(tables.read(path, settings=settings)) == 48


def slack() -> dict[str, bytes]:
    users = [{"id": "U1", "name": "ann", "profile": {"display_name": "Ann", "real_name": "Ann Lee"}},
             {"id": "U2", "name": "bob", "real_name": "Bob", "profile": {"display_name": ""}}, None]
    day = [{"type": "message", "user": f"U{1 + i % 2}", "text": f"<@U2> &amp; <@U9|cid>: {said(i)} <http://x.y|here>",
            "ts": f"{1_709_287_200 + 60 * i}.000100"} for i in range(12)]
    other = [{"type": "message", "subtype": "channel_join", "user": "U1", "text": "<@U1> has joined", "ts": "1"},
             {"type": "message", "subtype": "bot_message", "bot_id": "B1", "text": "beep", "ts": "2"},
             {"type": "message", "user": "U1", "text": "", "files": [{}], "ts": "3"}, [], *day]
    whole = {"users.json": users, "channels.json": [{"id": "C1", "name": "general"}],
             "general/2024-03-01.json": day, "lamps/2024-03-01.json": other, "lamps/2024-03-02.json": {"not": "a list"}}
    return {name: json.dumps(value).encode() for name, value in whole.items()}


@pytest.mark.parametrize("root", ["", "export of lamps/"])
def test_slack(archive: Archive, settings: Settings, root: str) -> None:
    path = archive({root + name: data for name, data in slack().items()}, name="slack.zip")
    table = tables.read(path, settings=settings)
    assert rows(table)[0] == {"text": f"@Bob & @cid: {said(0)} here", "speaker": "Ann", "time": "2024-03-01 10:00:00",
                              "conversation": "general 1"}
    assert {row["conversation"] for row in rows(table)} == {"general 1", "lamps 1"} and len(table) == 24
    assert passed(table) == {"chat-notice": 1, "chat-bot": 1, "chat-media": 1}
    assert [item.reason for item in table.left_out] == [
        "it is a list, not a message", "its file 'lamps/2024-03-02.json' holds no list of messages"]
    assert first_rows.read(path, settings=settings).table.columns == chats.COLUMNS


# -- what they are read for --------------------------------------------------------------------------------------------


def test_who_wrote_it_is_the_label_of_a_few_people(file: File, settings: Settings) -> None:
    roles = shapes.choose(tables.read(file("a.txt", ios()), settings=settings)).roles
    assert roles == {"text": Role.TEXT, "speaker": Role.LABEL, "time": Role.IGNORE, "conversation": Role.IGNORE}


@pytest.mark.parametrize(("text", "why"), [
    (ios(18), "'Ann' wrote 9 messages"), (ios(24, names=("Ann",)), "1 person writes"),
    (ios(252, names=tuple(f"No {i}" for i in range(21))), "21 people write")])
def test_else_the_conversations_are_documents(file: File, settings: Settings, text: str, why: str) -> None:
    path = file("a.txt", text)
    chosen = shapes.choose(tables.read(path, settings=settings))
    assert chosen.roles["speaker"] == Role.IGNORE and why in chosen.evidence["speaker"]
    found = examine_file(path, settings=settings)
    assert found.rows.shape is not None
    assert found.rows.text.to_pylist()[0].startswith(f"{'No 0' if '21' in why else 'Ann'}: {said(0)}\n")
    asked = examine_file(path, settings=settings,
                         wanted=Wanted(columns={Role.LABEL: "speaker"})) if "1 p" not in why else None
    assert asked is None or len(asked.rows.classes) > 1


def test_a_language_model_reads_conversations_or_messages(file: File, settings: Settings) -> None:
    path, wanted = file("a.txt", ios()), Wanted(task=Task.LANGUAGE_MODELLING)
    found = examine_file(path, settings=settings, wanted=wanted, options=Options(passage_tokens=0))
    assert found.rows.text.to_pylist() == ["\n".join(f"{('Ann', 'Bob Lee')[i % 2]}: {said(i)}" for i in range(24))]
    assert [finding.code for finding in found.findings if finding.code.startswith("chat-")] == ["chat-notice"]
    by_hand = Wanted(task=Task.LANGUAGE_MODELLING, columns={Role.GROUP: "conversation"})
    lines = examine_file(path, settings=settings, wanted=by_hand, options=Options(by_line=True))
    assert lines.rows.text.to_pylist() == [said(i) for i in range(24)] and lines.report.groups == 1


def test_a_pause_ends_a_conversation(file: File, settings: Settings) -> None:
    lines = [f"[{(START + timedelta(hours=hours)).strftime('%d/%m/%Y, %H:%M:%S')}] Ann: {hours}"
             for hours in (0, 6, 13, 12, 30)]
    table = tables.read(file("a.txt", "\n".join(lines)), settings=settings)
    assert [row["conversation"] for row in rows(table)] == ["a 1", "a 1", "a 2", "a 2", "a 3"]


# -- damage ------------------------------------------------------------------------------------------------------------


def test_nobody_wrote_anything(file: File, settings: Settings) -> None:
    with pytest.raises(DataError, match="holds no messages"):
        tables.read(file("result.json", json.dumps({**telegram(0), "messages": telegram(0)["messages"][:2]})),
                    settings=settings)


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, True, 1e400, [None], {"x": []}])
def test_wrong_types(file: File, archive: Archive, settings: Settings, value: Any) -> None:
    """Each value of an export replaced by one of another type: rows, or three parts."""
    for name, whole in (("result.json", telegram(4)), ("channel.json", discord(4))):
        for key in (*whole, *{key for message in whole["messages"] if isinstance(message, dict) for key in message}):
            other = json.loads(json.dumps(whole))
            for place in [other, *other["messages"]]:
                if isinstance(place, dict) and key in place and (key != "messages" or place is other):
                    place[key] = value
            assert counted(file(name, json.dumps(other)), settings)
    members = {name: json.loads(data) for name, data in slack().items()}
    for key in ("user", "text", "ts", "type", "subtype", "id", "profile", "name"):
        other = {name: [{**item, key: value} if isinstance(item, dict) else item for item in listed]
                 if isinstance(listed, list) else listed for name, listed in members.items()}
        assert counted(archive({name: json.dumps(data).encode() for name, data in other.items()}), settings)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_damaged(file: File, archive: Archive, settings: Settings, seed: int) -> None:
    """Files cut short, with bytes changed and lines swapped."""
    chance = random.Random(seed)

    def spoilt(data: bytes) -> bytes:
        data = data[:chance.randrange(len(data))] if chance.random() < 0.5 else data
        found = bytearray(data or b"[")
        for _ in range(chance.randrange(8)):
            found[chance.randrange(len(found))] = chance.randrange(256)
        return bytes(found)

    members = slack()
    spoil = chance.choice(sorted(members))
    for path in (file("a.txt", spoilt(ios().encode())), file("result.json", spoilt(json.dumps(telegram()).encode())),
                 file("d.json", spoilt(json.dumps(discord()).encode())),
                 archive({**members, spoil: spoilt(members[spoil])}, name="s.zip"),
                 archive({"_chat.txt": spoilt(ios().encode())}, name="w.zip")):
        assert counted(path, settings)


def test_names_of_chats() -> None:
    assert whatsapp.is_named("x/_chat.txt") and whatsapp.is_named("WhatsApp Chat mit Ann.txt")
    assert not whatsapp.is_named("notes.txt")
