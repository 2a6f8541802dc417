"""What every part of the façade works with: settings, the store, and the way to queue a job. Not for pages."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from core.domain.run import JobKind, Run
from core.errors import FailureKind, ThawError
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

FEW = 8
"""Runs that are asked for one by one."""
WORKSPACE_CHARACTERS = 12
"""Shortest workspace id that is opened: the id is the key to the workspace, and a short one would be easy to guess."""


class Desk:
    """Settings and store of one data folder. Every call refuses ids of other workspaces with NotFoundError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = _store(settings)

    def touch(self, ws: str) -> None:
        """Make sure the folders of a workspace exist; ThawError when the id is none that Thaw makes."""
        folder = self.settings.workspace(ws)
        if len(ws) < WORKSPACE_CHARACTERS:
            raise ThawError("This workspace address is not valid.", why="It is too short to be one that Thaw made.",
                            remedy="Open the app's home page to get a new workspace.")
        for name in ("datasets", "runs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def jobs(self, ws: str, *, kind: JobKind | None = None) -> list[Run]:
        """Runs and other jobs of the workspace, newest first."""
        return self.store.jobs.list(ws, kind=kind)

    def job(self, ws: str, id: str) -> Run:
        """One of them."""
        return self.store.jobs.get(ws, id)

    def some(self, ws: str, ids: Iterable[str]) -> list[Run]:
        """Those of these ids, each once, in this order; of many, the whole list is read in one go."""
        wanted = list(dict.fromkeys(ids))
        there = {run.id: run for run in self.jobs(ws)} if len(wanted) > FEW else {}
        return [there.get(id) or self.job(ws, id) for id in wanted]

    def runs_folder(self, ws: str) -> Path:
        """Where folders of new runs are made."""
        return self.settings.workspace(ws) / "runs"

    def check_room(self, ws: str, runs: int) -> None:
        """ThawError when so many runs are more than one submission, or the workspace, may queue.
        Called before anything is planned."""
        if runs > self.settings.max_submit:
            raise ThawError(f"These are {runs:,} runs, and at most {self.settings.max_submit:,} can be queued at once.",
                            why="Methods × seeds × label budgets multiply.", kind=FailureKind.DATA,
                            remedy="Ask for fewer, or have THAW_MAX_SUBMIT raised.")
        self.store.jobs.check_room(ws, runs, most=self.settings.max_queued)

    def submit(self, ws: str, jobs: Sequence[NewJob]) -> list[str]:
        """Queue jobs, all or none; their ids."""
        self.touch(ws)
        return self.store.jobs.submit(jobs, most=self.settings.max_queued)

    def submit_job(self, ws: str, kind: JobKind, *, name: str, payload: dict[str, Any]) -> str:
        """Queue one job that is no training run; its id."""
        job = NewJob(workspace=ws, kind=kind, name=name[:200], payload=payload, runs_folder=self.runs_folder(ws))
        return self.submit(ws, [job])[0]

    def under_way(self, ws: str, kind: JobKind, payload: dict[str, Any]) -> str | None:
        """The id of a job that was told the same and has not ended; None where there is none."""
        under_way = (job.id for job in self.jobs(ws, kind=kind) if job.payload == payload and not job.status.final)
        return next(under_way, None)


@functools.lru_cache(maxsize=16)
def _store(settings: Settings) -> Store:
    """One store a data folder and process; it keeps one connection a thread."""
    return Store(settings)
