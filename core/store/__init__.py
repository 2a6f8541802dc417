"""Durable state: one SQLite file (WAL) for jobs, events and supervisors, and atomic files for run folders.

`Store` is what the façade, the supervisor and the worker share. It is safe across threads and processes.
"""

from __future__ import annotations

from pathlib import Path

from core.settings import Settings
from core.store.database import Database
from core.store.events import Events
from core.store.experiments import Experiments
from core.store.jobs import Jobs
from core.store.queue import Queue
from core.store.rooms import Rooms
from core.store.supervisors import Supervisors


class Store:
    """All tables of one data folder. Opening creates the folder and brings an older schema forward."""

    def __init__(self, settings: Settings) -> None:
        database = Database(settings.database)
        self.database = database
        self.jobs = Jobs(database)
        """Rows as `Run` values: submit, read, list, rename, delete."""
        self.queue = Queue(database)
        """Transitions: claim, begin, heartbeat, stop, resume, finish."""
        self.events = Events(database)
        self.experiments = Experiments(database)
        self.rooms = Rooms(database)
        self.supervisors = Supervisors(database)

    @property
    def path(self) -> Path:
        return self.database.path


__all__ = ["Store"]
