"""SQLite in WAL mode: one connection a thread, short transactions, schema brought forward on open.

WAL needs shared memory, so the data folder must lie on a local disk (sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import ThawError
from core.store.schema import MIGRATIONS

BUSY_TIMEOUT_S = 30.0
READ_ONLY = "read-only"
"""A file of this name beside a database closes it to all changes, whoever asks for them."""


class Database:
    """The file and its connections. Raises ThawError when the file cannot be opened or is of a newer Thaw."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self.connection()

    def connection(self) -> sqlite3.Connection:
        """This thread's connection; opened anew when the data folder was deleted or replaced under it."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None and self._local.identity == _identity(self.path):
            return found
        if found is not None:
            found.close()
        self._local.connection = _open(self.path)
        self._local.identity = _identity(self.path)
        return self._local.connection  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close this thread's connection; the next call opens a new one."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._local.connection = None

    def file_identity(self) -> tuple[int, int] | None:
        """Device and inode of the file, None when it is gone: another value later means another file."""
        return _identity(self.path)

    @contextmanager
    def patience(self, timeout_s: float) -> Iterator[None]:
        """Inside, this thread waits at most so long for others that write."""
        self.connection().execute(f"PRAGMA busy_timeout={int(1000 * timeout_s)}")
        try:
            yield
        finally:
            self.connection().execute(f"PRAGMA busy_timeout={int(1000 * BUSY_TIMEOUT_S)}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: all of it or nothing. Takes the write lock at once, so it never deadlocks."""
        self.check_open()
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk, for one, has rolled it back already
                connection.execute("ROLLBACK")
            raise

    def check_open(self) -> None:
        """ThawError where the data folder is one that only may be looked at."""
        if self.path.with_name(READ_ONLY).exists():
            raise ThawError("The recorded example cannot be changed.",
                            why="It is one and the same for everybody who opens it.",
                            remedy="Go back to your own workspace; everything can be done there.")

    def rows(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        """Run one statement (its own transaction) and return its rows."""
        return self.connection().execute(sql, args).fetchall()

    def row(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Row | None:
        """The first row, if any. Reads all of them: a statement with RETURNING ends only then."""
        rows = self.rows(sql, args)
        return rows[0] if rows else None

    def execute(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Run one statement and return the number of rows it changed."""
        self.check_open()
        return self.connection().execute(sql, args).rowcount


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A thread's connection is closed by whichever thread collects it, hence check_same_thread=False; it is never
        # shared.
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        migrate(connection, MIGRATIONS)
    except (OSError, sqlite3.OperationalError) as error:
        raise ThawError(f"The data folder {path.parent} cannot be used.",
                        why=f"Opening {path.name} in it failed: {error}.",
                        remedy="Check that it is writable and the disk has space, or set THAW_HOME to "
                               "another folder.") from error
    except sqlite3.DatabaseError as error:
        raise ThawError(f"{path} is not a database that Thaw can read.", why=f"SQLite says: {error}.",
                        remedy="Move that file away and start again; run folders beside it "
                               "stay as they are.") from error
    return connection


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switching the mode ignores the busy timeout when two processes do it at once, so it is tried again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Apply what is missing, under the write lock, so that two processes opening at once apply it once."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(migrations):
            raise ThawError("This data folder was written by a newer version of Thaw.",
                            why=f"Its schema is number {version}; this version knows {len(migrations)}.",
                            remedy="Update Thaw, or set THAW_HOME to another folder.")
        for number, script in enumerate(migrations[version:], start=version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """Split a script at statement ends (one a line at most); `executescript` would commit the transaction."""
    found, buffer = [], ""
    for line in script.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            found.append(buffer)
            buffer = ""
    return [*found, buffer] if buffer.strip() else found
