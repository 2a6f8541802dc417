"""Event streams: append in batches, read only what is new."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from core.domain.run import Event
from core.store.database import Database

log = logging.getLogger("thaw.events")

Entry = tuple[float, str, dict[str, Any]]
"""Unix time, kind, data; the store gives the number."""


class Events:
    """`seq` grows by one with every entry of a run and is never used twice."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(self, run: str, entries: Sequence[Entry], *, replaces: Collection[int] = ()) -> list[int]:
        """Write entries in order, in one transaction; returns their numbers.

        replaces: earlier entries that the new ones make pointless (progress within a phase); they are removed.
        """
        with self._db.write() as connection:
            last = connection.execute("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,)).fetchone()[0]
            seqs = list(range(last + 1, last + 1 + len(entries)))
            rows = [(run, seq, at, kind, json.dumps(data, default=_plain, skipkeys=True))
                    for seq, (at, kind, data) in zip(seqs, entries, strict=True)]
            connection.executemany("INSERT INTO events (run, seq, time, kind, data) VALUES (?, ?, ?, ?, ?)", rows)
            connection.executemany("DELETE FROM events WHERE run = ? AND seq = ?",
                                   [(run, seq) for seq in replaces if seq <= last])
        return seqs

    def after(self, run: str, seq: int, *, kinds: Collection[str] = ()) -> list[Event]:
        """Entries numbered above `seq`, oldest first; only of some kinds when named."""
        names = sorted(kinds)
        only = f" AND kind IN ({','.join('?' * len(names))})" if names else ""
        rows = self._db.rows(f"SELECT * FROM events WHERE run = ? AND seq > ?{only} ORDER BY seq", (run, seq, *names))
        return [event for event in map(_event, rows) if event is not None]

    def last(self, run: str, kind: str) -> Event | None:
        """The newest entry of a kind."""
        row = self._db.row("SELECT * FROM events WHERE run = ? AND kind = ? ORDER BY seq DESC LIMIT 1", (run, kind))
        return _event(row) if row else None


def _event(row: sqlite3.Row) -> Event | None:
    """A row as an event; None, with a line in the log, where its data cannot be read."""
    try:
        return Event(seq=row["seq"], time=row["time"], kind=row["kind"], data=dict(json.loads(row["data"])))
    except (TypeError, ValueError) as error:
        log.warning("Event %s of run %s cannot be read: %s", row["seq"], row["run"], error)
        return None


def _plain(value: Any) -> Any:
    """A value that JSON does not know: a number where it is one (numpy's), else its text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
