"""What the killed leave behind is swept, and nothing else."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.run import JobKind
from core.jobs import leftovers
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

LITTER = ("workspaces/ws/datasets/.new-1/rows.parquet", "workspaces/ws/datasets/.deleted-2/x",
          "workspaces/ws/runs/.deleted-r-3/x", "workspaces/ws/runs/ended/.recipe.json-abc",
          "workspaces/ws/runs/ended/artifact/labels.tmp", "tmp/gone-1/thaw-x/rows.csv",
          "workspaces/ws/runs/ended/features/step-1.safetensors.140.tmp", "cache/features/k/done.tmp.npy",
          "cache/shift/k/report.json.tmp", "assets/models/.partial-4/model.safetensors",
          "assets/models/minilm/facts.tmp")
KEPT = ("workspaces/ws/datasets/0123456789abcdef/dataset.json", "workspaces/ws/runs/ended/result.json",
        "cache/features/k/done.npy", "workspaces/ws/runs/ended/artifact/labels.json",
        "assets/models/minilm/model.safetensors", "workspaces/ws/uploads/1/my.tmp.csv",
        "workspaces/ws/runs/ended/checkpoints/checkpoint-3/trainer_state.json")


def put(home: Path, names: tuple[str, ...], *, age_s: float = 0.0) -> None:
    for name in names:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    if age_s:
        for path in home.rglob("*"):
            os.utime(path, (time.time() - age_s,) * 2)


def there(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def test_old_temporary_files_go_and_everything_else_stays(settings: Settings) -> None:
    put(settings.home, (*LITTER, *KEPT), age_s=2 * leftovers.QUIET_S)
    assert leftovers.sweep(settings) == len(LITTER)
    assert there(settings.home) == set(KEPT)
    assert leftovers.sweep(settings) == 0


def test_what_may_still_be_written_to_stays(settings: Settings) -> None:
    put(settings.home, LITTER)
    leftovers.sweep(settings)
    gone = set(LITTER) - there(settings.home)
    assert (gone == {name for name in LITTER if ".deleted-" in name
                     or name.startswith("tmp/")}), "these belong to nobody, however new"


def test_nothing_is_touched_where_a_worker_is_alive(settings: Settings) -> None:
    store = Store(settings)
    run = store.jobs.submit([NewJob(workspace="ws", kind=JobKind.PREPARE,
                                    name="r", runs_folder=settings.workspace("ws") / "runs")])[0]
    claim = store.queue.claim(supervisor="s", host="h", slots=1)
    assert claim is not None
    own = (f"workspaces/ws/runs/{run}/.recipe.json-abc", f"tmp/{run}-{claim.fence}/thaw-x/y")
    put(settings.home, (*own, f"tmp/{run}-0/of an earlier attempt"), age_s=10 * leftovers.QUIET_S)
    leftovers.sweep(settings, active=store.queue.active())
    assert set(own) <= there(settings.home) and not (settings.home / "tmp" / f"{run}-0").exists()
    leftovers.clear(settings.workspace("ws") / "runs" / run)
    assert own[0] not in there(settings.home), "but the worker itself clears its folder before it begins"


def test_our_old_folders_in_the_temporary_folder_of_the_system_go(settings: Settings, tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "system"
    put(system, ("thaw-old/rows.csv", "somebody-else/x"), age_s=2 * leftovers.OLD_S)
    put(system, ("thaw-new/rows.csv",))
    monkeypatch.setattr(tempfile, "tempdir", str(system))
    leftovers.sweep(replace(settings, home=tmp_path / "home"))
    assert there(system) == {"thaw-new/rows.csv", "somebody-else/x"}
