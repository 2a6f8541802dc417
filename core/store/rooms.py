"""Rooms: a lesson that a class takes together, who is in it, and until when."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from core.errors import DataError, NotFoundError
from core.store.database import Database

ALPHABET = "BCDFGHJKMNPQRSTVWXYZ23456789"
"""Of join codes: nothing that sounds or looks like another character, and no vowels, so that no words come about."""
CODE_LENGTH = 6
NAME_CHARACTERS = 40
MOST_GUESTS = 200


@dataclass(frozen=True, kw_only=True)
class Room:
    """One room."""

    code: str
    workspace: str
    """Of the teacher."""
    lesson: str
    created: float
    ends: float
    """Unix times in seconds."""
    shown: bool
    """Whether everybody sees all predictions and the pooled result."""

    @property
    def open(self) -> bool:
        return time.time() < self.ends


@dataclass(frozen=True, kw_only=True)
class Guest:
    """Somebody who joined."""

    room: str
    workspace: str
    number: int
    """From 1; the seed of this guest's runs."""
    name: str
    joined: float
    seen: float
    """Unix time at which a page of theirs last asked."""


class Rooms:
    """The tables of rooms and guests."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def open(self, workspace: str, lesson: str, *, seconds: float) -> Room:
        """A new room with a code that no other has."""
        now = time.time()
        while True:
            code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            if self._db.execute("INSERT OR IGNORE INTO rooms (code, workspace, lesson, created, ends)"
                                " VALUES (?, ?, ?, ?, ?)", (code, workspace, lesson, now, now + seconds)):
                return self.get(code)

    def get(self, code: str) -> Room:
        """The room of that code, however it was typed; NotFoundError where there is none."""
        row = self._db.row("SELECT * FROM rooms WHERE code = ?", (plain(code),))
        if row is None:
            raise NotFoundError(f"There is no room {code.strip()[:20]!r}.", why="No room of this server has that code.",
                                remedy="Ask for the code again; it has six letters and digits.")
        return Room(**{**dict(row), "shown": bool(row["shown"])})

    def of_teacher(self, workspace: str) -> list[Room]:
        """Rooms that were opened here, newest first."""
        rows = self._db.rows("SELECT code FROM rooms WHERE workspace = ? ORDER BY created DESC", (workspace,))
        return [self.get(row["code"]) for row in rows]

    def update(self, workspace: str, code: str, *, ends: float | None = None, shown: bool | None = None) -> None:
        """By its teacher. NotFoundError where this workspace has no such room."""
        if not self._db.execute("UPDATE rooms SET ends = coalesce(?, ends), shown = coalesce(?, shown)"
                                " WHERE code = ? AND workspace = ?",
                                (ends, None if shown is None else int(shown), plain(code), workspace)):
            raise NotFoundError("This workspace has no such room.", remedy="Open one first.")

    def join(self, workspace: str, code: str, name: str) -> Guest:
        """Take part; who joined before keeps the number. Raises NotFoundError for no such room, and DataError where it
        has ended, is full, or the name is none."""
        room, name = self.get(code), " ".join(name.split())[:NAME_CHARACTERS]
        if not room.open:
            raise DataError("This room has ended.", remedy="Ask whoever opened it to extend it.")
        if not name:
            raise DataError("A room needs a name to call you by.", remedy="Type any name; it need not be your own.")
        now = time.time()
        with self._db.write() as connection:
            known = connection.execute("SELECT number FROM guests WHERE room = ? AND workspace = ?",
                                       (room.code, workspace)).fetchone()
            last = connection.execute("SELECT coalesce(max(number), 0) FROM guests WHERE room = ?",
                                      (room.code,)).fetchone()[0]
            if known is None and last >= MOST_GUESTS:
                raise DataError("This room is full.", why=f"{MOST_GUESTS} people are in it.",
                                remedy="Ask for a second room.")
            connection.execute(
                "INSERT INTO guests (room, workspace, number, name, joined, seen) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (room, workspace) DO UPDATE SET name = excluded.name, seen = excluded.seen",
                (room.code, workspace, last + 1, name, now, now))
        return next(guest for guest in self.guests(room.code) if guest.workspace == workspace)

    def leave(self, workspace: str, code: str) -> None:
        """The number is not given to anybody else. What stands for the workspace then is none's id: none has a dot."""
        self._db.execute("UPDATE guests SET workspace = '.' || number WHERE room = ? AND workspace = ?",
                         (plain(code), workspace))

    def guests(self, code: str) -> list[Guest]:
        """Everybody in a room, in the order in which they joined."""
        rows = self._db.rows("SELECT * FROM guests WHERE room = ? AND workspace NOT LIKE '.%' ORDER BY number",
                             (plain(code),))
        return [Guest(**dict(row)) for row in rows]

    def of_guest(self, workspace: str, lesson: str) -> tuple[Room, Guest] | None:
        """The open room in which this workspace takes a lesson, joined last; None where there is none."""
        rows = self._db.rows("SELECT room FROM guests WHERE workspace = ? ORDER BY joined DESC", (workspace,))
        for row in rows:
            room = self.get(row["room"])
            if room.open and room.lesson == lesson:
                return room, next(guest for guest in self.guests(room.code) if guest.workspace == workspace)
        return None

    def see(self, workspace: str, code: str) -> None:
        """This guest is there."""
        self._db.execute("UPDATE guests SET seen = ? WHERE room = ? AND workspace = ?",
                         (time.time(), plain(code), workspace))


def plain(code: str) -> str:
    """As codes are kept: without spaces and dashes, in capitals."""
    return "".join(character for character in code.upper() if character.isalnum())
