"""Event streams: append in batches, read only what is new."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from core.domain.run import Event
from core.store.database import Database

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
            connection.executemany("INSERT INTO events (run, seq, time, kind, data) VALUES (?, ?, ?, ?, ?)",
                                   [(run, seq, at, kind, json.dumps(data)) for seq, (at, kind, data) in zip(seqs, entries, strict=True)])
            connection.executemany("DELETE FROM events WHERE run = ? AND seq = ?", [(run, seq) for seq in replaces if seq <= last])
        return seqs

    def after(self, run: str, seq: int, *, kinds: Collection[str] = ()) -> list[Event]:
        """Entries numbered above `seq`, oldest first; only of some kinds when named."""
        names = sorted(kinds)
        only = f" AND kind IN ({','.join('?' * len(names))})" if names else ""
        rows = self._db.rows(f"SELECT seq, time, kind, data FROM events WHERE run = ? AND seq > ?{only} ORDER BY seq", (run, seq, *names))
        return [Event(seq=row["seq"], time=row["time"], kind=row["kind"], data=json.loads(row["data"])) for row in rows]

    def last(self, run: str, kind: str) -> Event | None:
        """The newest entry of a kind."""
        row = self._db.row("SELECT seq, time, kind, data FROM events WHERE run = ? AND kind = ? ORDER BY seq DESC LIMIT 1", (run, kind))
        return Event(seq=row["seq"], time=row["time"], kind=row["kind"], data=json.loads(row["data"])) if row else None
