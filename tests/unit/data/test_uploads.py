"""Uploads that nobody accepted go after a day; those that are looked at or being imported stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.data import paste, uploads
from core.domain.run import JobKind
from core.jobs.supervisor import Supervisor
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

DAY_S = 24 * 3600
ROWS = "text,label\none,a\ntwo,b\n"


def upload(settings: Settings, *, age_s: float = 0.0, workspace: str = "ws-of-one") -> Path:
    """An upload that was last touched so long ago."""
    path = paste.to_file(ROWS, settings=settings, workspace=workspace)
    for place in (path, path.parent):
        os.utime(place, (time.time() - age_s,) * 2)
    return path


def test_only_old_ones_go_in_every_workspace(settings: Settings) -> None:
    old, older, fresh = (upload(settings, age_s=DAY_S + 60), upload(settings, age_s=9 * DAY_S, workspace="another"),
                         upload(settings))
    assert uploads.sweep(settings) == 2
    assert (old.exists(), older.exists(), fresh.exists()) == (False, False, True)
    assert not old.parent.exists() and uploads.folder(settings, "another").is_dir()


def test_looking_at_one_keeps_it_for_another_day(settings: Settings) -> None:
    path = upload(settings, age_s=9 * DAY_S)
    uploads.look_at(path)
    assert uploads.sweep(settings) == 0 and path.exists()
    uploads.look_at(path.parent / "gone" / "x.csv")


def test_what_an_import_reads_stays_whatever_its_age(settings: Settings) -> None:
    file, several = upload(settings, age_s=9 * DAY_S), upload(settings, age_s=9 * DAY_S)
    assert uploads.sweep(settings, in_use=[str(file), several.parent]) == 0
    assert file.exists() and several.exists()
    assert uploads.sweep(settings, in_use=[file]) == 1 and not several.exists()


def test_links_are_not_followed(settings: Settings, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.csv").write_text(ROWS)
    home = uploads.folder(settings, "ws-of-one")
    home.mkdir(parents=True)
    (home / "link").symlink_to(own)
    assert uploads.sweep(settings, older_than_s=-1) == 0
    assert (own / "mine.csv").exists()


@pytest.mark.parametrize("waiting", [True, False])
def test_the_supervisor_sweeps_and_spares_waiting_imports(settings: Settings, waiting: bool) -> None:
    settings.home.mkdir(parents=True)
    (settings.home / "device.json").write_text("{}")
    path = upload(settings, age_s=9 * DAY_S)
    store = Store(settings)
    if waiting:
        store.jobs.submit([NewJob(workspace="ws-of-one", kind=JobKind.IMPORT, name="Import it",
                                  payload={"path": str(path)}, runs_folder=settings.workspace("ws-of-one") / "runs")])
    supervisor = Supervisor(settings)
    supervisor.ask_to_quit()                                          # no worker is started
    supervisor.step()
    assert path.exists() is waiting
