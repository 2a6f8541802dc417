"""Executes one recipe many times, each in a fork of a process that has imported everything, killed at a chosen moment
and resumed.

The moments are counted, not timed: every event that is reported, and every file that is opened for writing, renamed,
cut or removed (sys.addaudithook), is one. A first, undisturbed run says how many there are in each phase; the kills are
spread over the phases. `python -m tests.jobs.support.forker PLAN` prints a report as JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from core import settings as settings_module
from core.domain.recipe import Recipe
from core.domain.run import Phase
from core.settings import Settings

WRITES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")


class Moments:
    """An Observer that counts the moments of a run, notes in which phase they lie, and kills its process at one of
    them."""

    def __init__(self, log: Path, kill_at: int | None) -> None:
        self.kill_at, self.count, self.now = kill_at, 0, "fetching"
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        sys.addaudithook(self.audit)

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and ((args[1] is not None and any(mark in str(args[1]) for mark in "wax+"))
                                      or bool((args[2] or 0) & (os.O_WRONLY | os.O_RDWR)))
        if (writes or event in WRITES) and "/proc/" not in str(args[0]):
            self.moment()

    def moment(self) -> None:
        self.count += 1
        os.write(self.log, f"{self.now}\n".encode())
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def phase(self, phase: Phase) -> None:
        self.now = phase.value
        self.moment()

    def progress(self, done: float, total: float | None, unit: str, note: str = "") -> None:
        self.moment()

    def step(self, **data: Any) -> None:
        self.moment()

    def evaluation(self, **data: Any) -> None:
        self.moment()

    def note(self, text: str) -> None:
        self.moment()

    def should_stop(self) -> bool:
        return False


def attempt(recipe: Recipe, settings: Settings, workspace: str, folder: Path, *, resume: bool,
            kill_at: int | None = None) -> tuple[int, list[str]]:
    """Wait status of a fork that executes the recipe, and the phase of each of its moments."""
    log = folder.with_suffix(".moments")
    log.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from core.training.execute import execute

            execute(recipe, settings=settings, workspace=workspace, run_dir=folder, observer=Moments(log, kill_at),
                    resume=resume)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return status, log.read_text(encoding="utf-8").splitlines()


def measured(folder: Path) -> dict[str, Any]:
    """What must be the same however often a run was killed."""
    import pyarrow.parquet as pq

    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    tables = {path.name: pq.read_table(path).to_pydict() for path in sorted(folder.glob("predictions-*.parquet"))}
    return {"metrics": result["metrics"], "steps": result["steps"], "best_step": result["best_step"],
            "tables": repr(tables)}


def moments_to_kill_at(phases: list[str], kills: int, rng: random.Random) -> list[int]:
    """So many moments, spread over the phases that matter, the first and last of each among them."""
    wanted = [p.value for p in (Phase.CACHING, Phase.TRAINING, Phase.EVALUATING, Phase.SAVING)]
    places = {name: [n for n, phase in enumerate(phases, start=1) if phase == name] for name in wanted}
    edges = [n for found in places.values() if found for n in (found[0], found[-1])]
    rest = [n for found in places.values() for n in rng.sample(found, min(len(found), kills))]
    rng.shuffle(rest)
    return list(dict.fromkeys([*edges, *rest]))[:kills]


def main(plan: dict[str, Any]) -> dict[str, Any]:
    settings = settings_module.load()
    recipe, out, rng = Recipe.from_json(plan["recipe"]), Path(plan["out"]), random.Random(plan["seed"])
    out.mkdir(parents=True)
    status, phases = attempt(recipe, settings, plan["workspace"], out / "whole", resume=False)
    assert status == 0, "the undisturbed run failed"
    whole = measured(out / "whole")
    report: dict[str, Any] = {"killed": 0, "phases": [], "different": [], "left": [], "moments": len(phases)}
    # The first run also inspected the model; another one says what a run after it does.
    shutil.rmtree(settings.cache)
    _, phases = attempt(recipe, settings, plan["workspace"], out / "again", resume=False)
    for kill_at in moments_to_kill_at(phases, plan["kills"], rng):
        shutil.rmtree(settings.cache, ignore_errors=True)
        folder = out / f"killed-{kill_at}"
        status, seen = attempt(recipe, settings, plan["workspace"], folder, resume=False, kill_at=kill_at)
        for _ in range(rng.randrange(2)):  # every other one is killed once more on its way
            if os.WIFSIGNALED(status):
                report["killed"] += 1
                report["phases"].append(seen[-1])
                status, seen = attempt(recipe, settings, plan["workspace"], folder, resume=True,
                                       kill_at=rng.randint(1, len(phases)))
        if os.WIFSIGNALED(status):
            report["killed"] += 1
            report["phases"].append(seen[-1])
            status, seen = attempt(recipe, settings, plan["workspace"], folder, resume=True)
        if status or measured(folder) != whole:
            report["different"].append(f"{kill_at}: {seen[-1]}, {status}")
        from core.jobs import leftovers

        leftovers.clear(folder)
        report["left"] += [str(path) for path in (*leftovers.temporary(folder), folder / "checkpoints")
                           if path.exists()]
    report["phases"] = sorted(set(report["phases"]))
    return report


if __name__ == "__main__":
    import peft  # noqa: F401 - imported once, here, for all forks
    import sklearn.linear_model  # noqa: F401
    import torch

    import core.training.trainer  # noqa: F401

    torch.set_num_threads(1)
    print(json.dumps(main(json.loads(sys.argv[1]))))
