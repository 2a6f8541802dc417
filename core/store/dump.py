"""The finished runs of an experiment as plain values, and a database made of them: how an example travels."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.store import database as store_database
from core.store.database import Database
from core.store.schema import MIGRATIONS

FORGOTTEN = ("supervisor", "host", "pid", "pid_created", "heartbeat", "birth")
"""Columns that say who worked on a job."""


def rows(database: Database, workspace: str, ids: Sequence[str]) -> dict[str, Any]:
    """Jobs of these ids, their experiments and events. Folders and workspace are left out: `restore` gives new ones."""
    marks = ",".join("?" * len(ids))
    generated = {row["name"] for row in database.rows("PRAGMA table_xinfo(jobs)") if row["hidden"]}
    jobs = [{key: row[key] for key in row.keys() if key not in (*FORGOTTEN, *generated, "workspace", "folder")}  # noqa: SIM118
            for row in database.rows(f"SELECT * FROM jobs WHERE workspace = ? AND id IN ({marks}) ORDER BY ticket",
                                     (workspace, *ids))]
    experiments = {job["experiment"] for job in jobs if job["experiment"]}
    marks_of = ",".join("?" * len(experiments))
    named = database.rows(f"SELECT id, name, created, asked FROM experiments WHERE id IN ({marks_of})",
                          tuple(experiments))
    events = database.rows(f"SELECT run, seq, time, kind, data FROM events WHERE run IN ({marks})"
                           " AND kind != 'progress' ORDER BY run, seq", tuple(ids))
    return {"schema": len(MIGRATIONS), "jobs": jobs, "experiments": [dict(row) for row in named],
            "events": [dict(row) for row in events]}


def restore(path: Path, found: dict[str, Any], *, workspace: str, runs_folder: Path) -> None:
    """Make a database at `path` that holds these rows: in the schema they were written in, which opening brings
    forward."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        store_database.migrate(connection, MIGRATIONS[:int(found["schema"])])
        connection.execute("BEGIN")
        for job in found["jobs"]:
            insert(connection, "jobs", {**job, "workspace": workspace, "folder": str(runs_folder / job["id"])})
        for experiment in found["experiments"]:
            insert(connection, "experiments", {**experiment, "workspace": workspace})
        for event in found["events"]:
            insert(connection, "events", event)
        connection.execute("COMMIT")
    finally:
        connection.close()


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Put a row into a table; columns that it does not have are left out."""
    known = {column["name"] for column in connection.execute(f"PRAGMA table_info({table})")}
    kept = {key: json.dumps(value) if isinstance(value, (dict, list)) else value
            for key, value in row.items() if key in known}
    connection.execute(f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({', '.join('?' * len(kept))})",
                       tuple(kept.values()))
