"""Chats that messengers export as JSON: Telegram's result.json, Discord's channels as DiscordChatExporter writes them,
message_1.json of Facebook and Instagram, and the archive of a Slack workspace."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from core.data.archive import UNREADABLE
from core.data.readers import chat_html, chats, folders, pictures
from core.data.readers.chats import Entry, Message, Passed
from core.data.readers.json_shapes import kind_of
from core.data.readers.table import Table
from core.data.several_files import is_table
from core.data.source import Source
from core.errors import DataError

_SAMPLE = 50
_TELEGRAM, _DISCORD = ("message", "service"), ("Default", "Reply", "ThreadStarterMessage", "0", "19")


def read(whole: Any, *, name: str, max_rows: int) -> Table | None:
    """A row a message of a JSON document of Telegram, Discord, Facebook or Instagram; None for any other. Raises
    DataError where nobody wrote anything."""
    if (found := _entries(whole)) is None:
        return None
    return chats.table(found[1], name=name, app=found[0], max_rows=max_rows)


def _entries(whole: Any) -> tuple[str, Iterator[Entry]] | None:
    """(the app, what its document holds); None for any other document."""
    if not isinstance(whole, dict):
        return None
    if found := _telegram_chats(whole):
        return "Telegram", (entry for chat in found for entry in _of_telegram(chat))
    if _is_discord(whole):
        return "Discord", _of_discord(whole)
    return (_META, _of_meta(whole)) if _is_meta(whole) else None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object inside another; an empty one where it is none."""
    found = item.get(key)
    return found if isinstance(found, dict) else {}


def _word(item: Mapping[str, Any], *keys: str) -> str:
    """The first text that is not blank, or number, of these keys; "" where there is none."""
    for key in keys:
        value = item.get(key)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    return ""


# -- Telegram ----------------------------------------------------------------------------------------------------------


def _telegram_chats(whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The chats of a document, if Telegram wrote it: the only one, or all of an account."""
    listed = [chat for key in ("chats", "left_chats") for chat in _objects(_part(whole, key).get("list"))]
    found = [whole] if "messages" in whole else listed
    messages = [message for chat in found for message in _objects(chat.get("messages"))[:_SAMPLE]]
    like = sum("date" in message and message.get("type") in _TELEGRAM and ("text" in message or "action" in message)
               for message in messages)
    return [chat for chat in found if isinstance(chat.get("messages"), list)] if like > len(messages) / 2 else []


def _of_telegram(chat: Mapping[str, Any]) -> Iterator[Entry]:
    saved = "Saved messages" if chat.get("type") == "saved_messages" else ""
    called = _word(chat, "name") or saved or f"chat {_word(chat, 'id')}".strip()
    for message in chat["messages"]:
        if not isinstance(message, dict):
            yield f"it is a {kind_of(message)}, not a message"
        elif message.get("type") == "service":
            yield Passed.NOTICE
        elif (text := _telegram_text(message.get("text", ""))) is None:
            yield f"its text is a {kind_of(message.get('text'))}, not text"
        elif not text.strip():
            yield Passed.MEDIA
        else:
            yield Message(text=text, speaker=_word(message, "from", "from_id"), chat=called,
                          time=chats.moment(message.get("date")))


def _telegram_text(value: Any) -> str | None:
    """A text, also where it is a list of texts and of links, mentions and the like; None for anything else."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else None
    parts = [part.get("text") if isinstance(part, dict) else part for part in value]
    return "".join(part for part in parts if isinstance(part, str))


# -- Discord -----------------------------------------------------------------------------------------------------------


def _is_discord(whole: Mapping[str, Any]) -> bool:
    messages = _objects(whole.get("messages"))[:_SAMPLE]
    like = sum(isinstance(message.get("author"), dict) and "content" in message for message in messages)
    return isinstance(whole.get("channel"), dict) and like > len(messages) / 2


def _of_discord(whole: Mapping[str, Any]) -> Iterator[Entry]:
    channel = _word(whole["channel"], "name", "id")
    for message in whole["messages"]:
        if not isinstance(message, dict):
            yield f"it is a {kind_of(message)}, not a message"
            continue
        text, author = message.get("content"), _part(message, "author")
        if str(message.get("type", "Default")) not in _DISCORD:
            yield Passed.NOTICE
        elif author.get("isBot") is True:
            yield Passed.BOT
        elif text is not None and not isinstance(text, str):
            yield f"its text is a {kind_of(text)}, not text"
        elif not (text or "").strip():
            yield Passed.MEDIA
        else:
            yield Message(text=text or "", speaker=_word(author, "name", "nickname", "id"), chat=channel,
                          time=chats.moment(message.get("timestamp")))


# -- Facebook and Instagram --------------------------------------------------------------------------------------------

_META = "Facebook or Instagram"
_TOLD = re.compile(r"(.* (sent an attachment|sent a (photo|video|link|voice message|sticker|GIF))|Liked a message"
                   r"|Reacted .{1,20} to your message|.* (missed|started) (your|a|an?) .{0,20}call)\.?\s*")
"""What the app writes in the place of a text. Only English is known: in other languages it is read as a message."""


def _is_meta(whole: Mapping[str, Any]) -> bool:
    """Whether a document is a conversation of Messenger or Instagram: as both export it, or with end-to-end
    encryption."""
    messages = _objects(whole.get("messages"))[:_SAMPLE]
    like = sum({"sender_name", "timestamp_ms"} <= message.keys() or {"senderName", "timestamp"} <= message.keys()
               for message in messages)
    return isinstance(whole.get("participants"), list) and like > len(messages) / 2


def _of_meta(whole: Mapping[str, Any]) -> Iterator[Entry]:
    """The messages, the oldest first; both apps list the newest first."""
    chat = _mended(_word(whole, "title", "threadName", "thread_path"))
    listed = whole["messages"]
    times = [message.get("timestamp_ms", message.get("timestamp")) if isinstance(message, dict) else None
             for message in listed]
    known = [time for time in times if isinstance(time, (int, float))]
    newest_first = bool(known) and known[0] > known[-1]
    for message, time in list(zip(listed, times, strict=True))[:: -1 if newest_first else 1]:
        if not isinstance(message, dict):
            yield f"it is a {kind_of(message)}, not a message"
            continue
        text = message.get("content", message.get("text"))
        if text is not None and not isinstance(text, str):
            yield f"its text is a {kind_of(text)}, not text"
        elif message.get("is_unsent") is True or message.get("isUnsent") is True or str(
                message.get("type", "Generic")) not in ("Generic", "Share", "text", "media", "link") or (
                "call_duration" in message):
            yield Passed.NOTICE
        elif not (text or "").strip() or _TOLD.fullmatch(text or ""):
            yield Passed.MEDIA
        else:
            yield Message(text=_mended(text or ""), speaker=_mended(_word(message, "sender_name", "senderName")),
                          chat=chat, time=chats.moment(time / 1000) if isinstance(time, (int, float)) else None)


def _mended(text: str) -> str:
    """A text whose UTF-8 was written as if each byte were a character (`Ã¤` for `ä`), as both apps do; another as it
    is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


# -- Slack -------------------------------------------------------------------------------------------------------------

_CHATS = re.compile(r"(.*/)?(result( ?\(\d+\))?|[^/]+\[\d{15,25}\][^/]*)\.json", re.IGNORECASE)
"""What Telegram and DiscordChatExporter call their files."""
_THREADS = re.compile(r"(.*/)?message_(\d+)\.json")
"""What Facebook and Instagram call them: the higher number is older."""
_DAY = re.compile(r"(.*/)?[^/]+/\d{4}-\d\d-\d\d\.json")
_SPOKEN = ("me_message", "thread_broadcast", "file_share", "file_comment", "reply_broadcast")
"""Kinds of messages that people write all the same."""
_MARKUP = re.compile(r"<([@#!]?)([^<>|\n]{1,2000})(?:\|([^<>\n]{0,2000}))?>")


def is_slack(source: Source) -> bool:
    """Whether files are an export of Slack, by their names: the members, and a list a day in a folder a channel."""
    root = _root(source)
    return root is not None and any(name.startswith(root) and _DAY.fullmatch(name[len(root):])
                                    for name in source.files)


def _root(source: Source) -> str | None:
    found = sorted((name for name in source.files if name.rpartition("/")[2] == "users.json"), key=len)
    return found[0].removesuffix("users.json") if found else None


def read_source(source: Source, *, max_rows: int) -> Table | None:
    """A row a message of all channels of a Slack workspace, or of the documents of Telegram or Discord in an archive;
    None for other archives. Raises DataError where nobody wrote anything."""
    about: set[str] = set()
    if is_slack(source):
        root = _root(source) or ""
        used = sorted(name for name in source.files if name.startswith(root) and _DAY.fullmatch(name[len(root):]))
        names = dict(_members(_loaded(source, f"{root}users.json")))
        app, entries = "Slack", (entry for day in used for entry in _of_slack(source, day, names))
        about = {f"{root}{kind}.json" for kind in ("users", "channels", "groups", "dms", "mpims", "integration_logs")}
    elif used := _in_order(source.files, chat_html.PAGES, 1):
        pages = [_page(source, name) for name in used]
        if not any(page is not None and chat_html.is_page(page) for page in pages):
            return None
        folder = [name.rpartition("/")[0] for name in used]
        app, entries = chat_html.APP, (entry for place in dict.fromkeys(folder) for entry in chat_html.entries(
            [None if page is None else folders.decode(page) for page, own in zip(pages, folder, strict=True)
             if own == place]))
    else:
        threads = _in_order(source.files, _THREADS, -1)
        used = threads or [name for name in source.files if _CHATS.fullmatch(name)]
        found = [_entries(_loaded(source, name)) for name in used]
        known = [item for item in found if item is not None]
        others = sum(map(is_table, source.files)) > len(used) and not threads
        if not used or len(known) < len(used) or others:
            return None
        app, entries = known[0][0], (entry for item in known for entry in item[1])
    table = chats.table(entries, name=source.name, app=app, max_rows=max_rows)
    rest = sorted(set(source.files).difference(used, about))
    return dataclasses.replace(table, findings=(*table.findings, pictures.unused_files(rest))) if rest else table


def _in_order(names: Iterable[str], called: re.Pattern[str], order: int) -> list[str]:
    """Those of these files that are called so, folder by folder, in the order of their numbers, or against it."""
    found = [(match[1] or "", order * int(match[2] or 1), name) for name in names if (match := called.fullmatch(name))]
    return [name for _, _, name in sorted(found)]


def _page(source: Source, name: str) -> bytes | None:
    """The bytes of a page; None where it is damaged."""
    try:
        return source.read(name)
    except UNREADABLE:
        return None


def _loaded(source: Source, name: str) -> Any:
    """What a JSON file of an archive holds; None for one that cannot be read."""
    try:
        return json.loads(source.local(name).read_bytes())
    except (DataError, *UNREADABLE, RecursionError):                 # text that is no UTF-8 is a ValueError too
        return None


def _members(users: Any) -> Iterator[tuple[str, str]]:
    for user in _objects(users):
        profile = _part(user, "profile")
        if (key := _word(user, "id")) and (name := _word(profile, "display_name", "real_name")
                                           or _word(user, "real_name", "name")):
            yield key, name


def _of_slack(source: Source, day: str, names: Mapping[str, str]) -> Iterator[Entry]:
    messages = _loaded(source, day)
    if not isinstance(messages, list):
        yield f"its file {'/'.join(day.split('/')[-2:])[:80]!r} holds no list of messages"
        return
    channel = day.split("/")[-2]
    for message in messages:
        if not isinstance(message, dict):
            yield f"it is a {kind_of(message)}, not a message"
            continue
        text, kind = message.get("text"), message.get("subtype")
        if kind == "bot_message" or (message.get("bot_id") and not message.get("user")):
            yield Passed.BOT
        elif (kind is not None and kind not in _SPOKEN) or message.get("type", "message") != "message":
            yield Passed.NOTICE
        elif text is not None and not isinstance(text, str):
            yield f"its text is a {kind_of(text)}, not text"
        elif not (text or "").strip():
            yield Passed.MEDIA
        else:
            user = _word(message, "user")
            own = _word(_part(message, "user_profile"), "display_name", "real_name", "name")
            yield Message(text=_unmarked(text or "", names), speaker=names.get(user) or own or user, chat=channel,
                          time=chats.moment(message.get("ts")))


def _unmarked(text: str, names: Mapping[str, str]) -> str:
    """A text without Slack's marks: people by name, links as they were shown."""
    def shown(match: re.Match[str]) -> str:
        kind, what, called = match.groups()
        if kind == "@":
            return f"@{names.get(what) or called or what}"
        if kind:
            return f"{'#' if kind == '#' else '@'}{called or what}".replace("@@", "@")
        return called or what

    return html.unescape(_MARKUP.sub(shown, text))
