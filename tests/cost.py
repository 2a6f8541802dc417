"""What a piece of work costs, counted instead of timed: the same on any machine, however busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from core.store import Store


class Sql(NamedTuple):
    """Statements run, and instructions of SQLite's virtual machine (sqlite.org/opcode.html): these grow with the rows
    touched."""

    statements: int
    instructions: int


def sql(store: Store, work: Callable[[], object]) -> Sql:
    """Cost of `work` on this thread's connection."""
    connection = store.database.connection()
    statements: list[str] = []
    instructions = 0

    def count() -> int:
        nonlocal instructions
        instructions += 1
        return 0

    connection.set_trace_callback(statements.append)
    connection.set_progress_handler(count, 1)
    try:
        work()
    finally:
        connection.set_trace_callback(None)
        connection.set_progress_handler(None, 0)
    return Sql(len(statements), instructions)
