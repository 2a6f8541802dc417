"""Workspaces, their runs, the device, the supervisor: what every other call stands on."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from pathlib import Path

from core import disk, files, logs, values
from core.domain.device import Device
from core.domain.run import JobKind, Run
from core.errors import FailureKind, ThawError
from core.jobs import launch
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

WORKSPACE_CHARACTERS = 12
"""Shortest workspace id that is opened: the id is the key to the workspace, and a short one would be easy to guess."""


class Workspace:
    """One data folder and the workspaces in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = _store(settings)

    def new_workspace(self) -> str:
        """Make a workspace; its id cannot be guessed (128 random bits)."""
        workspace = secrets.token_urlsafe(16)
        self.touch_workspace(workspace)
        return workspace

    def touch_workspace(self, ws: str) -> None:
        """Make sure the folders of a workspace exist; ThawError when the id is none that Thaw makes."""
        folder = self.settings.workspace(ws)
        if len(ws) < WORKSPACE_CHARACTERS:
            raise ThawError("This workspace address is not valid.", why="It is too short to be one that Thaw made.",
                            remedy="Open the app's home page to get a new workspace.")
        for name in ("datasets", "runs"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def device(self) -> Device | None:
        """The measured device; None until the supervisor has measured it at its first start."""
        return values.read(self.settings.home / "device.json", Device)

    def ensure_supervisor(self) -> None:
        """Start a detached supervisor unless one is alive. It measures the device at its first start."""
        launch.ensure_supervisor(self.settings, self._store)

    def supervisor_alive(self) -> bool:
        return launch.any_alive(self._store)

    def troubles(self) -> list[ThawError]:
        """What concerns everybody at present: a full disk, a supervisor that cannot work. Cheap: asked by every page."""
        found = [shortage] if (shortage := disk.shortage(self.settings)) else []
        if why := launch.trouble(self._store):
            found.append(ThawError("Runs cannot be started at present.", why=why, remedy="It is tried again by itself. If this stays, "
                                   f"{logs.SUPERVISOR} in the data folder has the details."))
        return found

    def disk_use(self, ws: str) -> dict[str, int]:
        """Bytes of this workspace's `datasets`, `runs`, `uploads`, and of the shared `assets`, `cache`, `database`."""
        own, home = self.settings.workspace(ws), self.settings.home
        places = {"datasets": own / "datasets", "runs": own / "runs", "uploads": own / "uploads", "assets": self.settings.assets,
                  "cache": self.settings.cache}
        database = sum(file.stat().st_size for file in home.glob(f"{self.settings.database.name}*"))
        return {name: files.size_bytes(place) for name, place in places.items()} | {"database": database}

    def runs(self, ws: str, *, kind: JobKind | None = None) -> list[Run]:
        """Runs and other jobs of the workspace, newest first."""
        return self._store.jobs.list(ws, kind=kind)

    def run(self, ws: str, id: str) -> Run:
        return self._store.jobs.get(ws, id)

    def damaged_runs(self, ws: str) -> list[Run]:
        """Entries of the queue that cannot be read, of any kind: they can be looked at (`Run.damage`) and deleted."""
        return [run for run in self._store.jobs.list(ws) if run.damage]

    def check_room(self, ws: str, runs: int) -> None:
        """ThawError when so many runs are more than one submission, or the workspace, may queue. Asked before anything is planned."""
        if runs > self.settings.max_submit:
            raise ThawError(f"These are {runs:,} runs, and at most {self.settings.max_submit:,} can be queued at once.",
                            why="Methods × seeds × label budgets multiply.", kind=FailureKind.DATA,
                            remedy="Ask for fewer, or have THAW_MAX_SUBMIT raised.")
        self._store.jobs.check_room(ws, runs, most=self.settings.max_queued)

    def _submit(self, ws: str, jobs: Sequence[NewJob]) -> list[str]:
        self.touch_workspace(ws)
        return self._store.jobs.submit(jobs, most=self.settings.max_queued)

    def _runs_folder(self, ws: str) -> Path:
        return self.settings.workspace(ws) / "runs"


@functools.lru_cache(maxsize=16)
def _store(settings: Settings) -> Store:
    """One store a data folder and process; it keeps one connection a thread."""
    return Store(settings)
