"""Who looks after the queue: a row a supervisor, and when a web server was last seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.store.database import Database

VISIT = "visit"
_ROWS = "SELECT supervisors.*, birth, uptime, trouble FROM supervisors LEFT JOIN signs ON supervisor = id"


@dataclass(frozen=True, kw_only=True)
class SupervisorRow:
    """One supervisor process, or one that is being started (`pid` None)."""

    id: str
    host: str
    pid: int | None
    pid_created: float | None
    started: float
    heartbeat: float
    birth: str | None = None
    """Which process of that number; see `core.jobs.process`. None of a supervisor of an older version."""
    uptime: float | None = None
    """Seconds since its machine started, at the last sign of life."""
    trouble: str | None = None
    """Why it cannot work at present."""


class Supervisors:
    """The table of supervisor processes on this data folder."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def list(self) -> list[SupervisorRow]:
        return [SupervisorRow(**dict(row)) for row in self._db.rows(f"{_ROWS} ORDER BY started")]

    def reserve(self, supervisor: str, host: str, *, alive: Callable[[SupervisorRow], bool],
                uptime: float | None = None) -> bool:
        """Announce a supervisor that is about to be started; dead rows are cleared. False: one is alive."""
        now = time.time()
        with self._db.write() as connection:
            for row in [SupervisorRow(**dict(found)) for found in connection.execute(_ROWS).fetchall()]:
                if alive(row):
                    return False
                connection.execute("DELETE FROM supervisors WHERE id = ?", (row.id,))
                connection.execute("DELETE FROM signs WHERE supervisor = ?", (row.id,))
            connection.execute("INSERT INTO supervisors VALUES (?, ?, NULL, NULL, ?, ?)", (supervisor, host, now, now))
            if uptime is not None:
                connection.execute("INSERT INTO signs VALUES (?, NULL, ?, NULL)", (supervisor, uptime))
        return True

    def beat(self, supervisor: str, *, host: str, pid: int, pid_created: float, birth: str | None, uptime: float,
             trouble: str | None = None) -> None:
        """A sign of life; the first one writes the row. trouble: why it cannot work at present."""
        now = time.time()
        with self._db.write() as connection:
            connection.execute(
                "INSERT INTO supervisors VALUES (:id, :host, :pid, :born, :now, :now) ON CONFLICT (id) DO UPDATE "
                "SET pid = :pid, pid_created = :born, heartbeat = :now",
                {"id": supervisor, "host": host, "pid": pid, "born": pid_created, "now": now})
            connection.execute("INSERT INTO signs VALUES (?, ?, ?, ?) ON CONFLICT (supervisor) DO UPDATE SET"
                               " birth = excluded.birth, uptime = excluded.uptime, trouble = excluded.trouble",
                               (supervisor, birth, uptime, trouble))

    def remove(self, supervisor: str) -> None:
        self._db.execute("DELETE FROM supervisors WHERE id = ?", (supervisor,))
        self._db.execute("DELETE FROM signs WHERE supervisor = ?", (supervisor,))

    def retire(self, supervisor: str) -> bool:
        """Remove the row unless work is waiting; atomic, so that a job submitted meanwhile is not overlooked."""
        return bool(self._db.execute(
            "DELETE FROM supervisors WHERE id = ?"
            " AND NOT EXISTS (SELECT 1 FROM jobs WHERE status IN ('queued', 'running', 'stopping'))",
            (supervisor,)))

    def visit(self) -> None:
        """A web server or a command line was here."""
        self._db.execute("INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET time = excluded.time",
                         (VISIT, time.time()))

    def last_visit(self) -> float:
        """Unix time of the last visit; 0 when there was none."""
        row = self._db.row("SELECT time FROM marks WHERE name = ?", (VISIT,))
        return float(row["time"]) if row else 0.0
