"""Signals at any moment: nothing runs twice, is lost or under way for ever, and a resumed run ends as an undisturbed
one."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import Status
from core.errors import FailureKind
from core.jobs import process
from core.settings import Settings
from tests import turns
from tests.conftest import WORKSPACE
from tests.jobs.conftest import Yard
from tests.jobs.support.worker import ALONE_STEPS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JOBS, SIGNALS = 39, 32
TO_WORKERS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)
TO_SUPERVISORS = (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)


def test_under_a_hail_of_signals_nothing_runs_twice_is_lost_or_hangs(yard: Yard) -> None:
    rng = random.Random(20)
    settings = {"slots": 3, "stale_after_s": 1.0, "stop_grace_s": 5.0}
    supervisors = [yard.supervise(**settings) for _ in range(2)]
    runs = [yard.submit("alone") for _ in range(JOBS)]
    sent: Counter[str] = Counter()
    stopped: list[tuple[float, subprocess.Popen[bytes]]] = []
    ended: dict[str, int] = {}
    deadline = time.monotonic() + 240
    while len(ended) < JOBS:
        assert time.monotonic() < deadline, {run: yard.run(run).status for run in runs if run not in ended}
        time.sleep(rng.uniform(0.05, 0.35))
        if sum(sent.values()) < SIGNALS:
            if rng.random() < 0.25:
                victim = rng.choice(supervisors)
                number = rng.choice(TO_SUPERVISORS)
                victim.send_signal(number)
                sent[f"supervisor {number.name}"] += 1
                if number is signal.SIGSTOP:
                    stopped.append((time.monotonic() + rng.uniform(0.5, 4.0), victim))
            elif begun := [claim for claim in yard.store.queue.active() if claim.pid]:
                claim, number = rng.choice(begun), rng.choice(TO_WORKERS)
                if process.end(claim.pid, claim.pid_created, number, claim.birth):
                    sent[f"worker {number.name}"] += 1
        for due in [entry for entry in stopped if entry[0] < time.monotonic()]:
            stopped.remove(due)
            due[1].send_signal(signal.SIGCONT)
        supervisors = [child if child.poll() is None else yard.supervise(**settings) for child in supervisors]
        for run in yard.store.jobs.list("ws"):
            if run.status is Status.INTERRUPTED:
                yard.store.queue.resume("ws", run.id)
            elif run.status.final and run.id not in ended:
                ended[run.id] = run.attempts
    assert sum(sent.values()) == SIGNALS and len(sent) >= 5, sent
    for run in yard.store.jobs.list("ws"):
        folder = Path(run.folder)
        steps = [int(line) for line in (folder / "witness").read_text(encoding="utf-8").split()]
        assert (run.status, run.failure) == (Status.DONE, None), run
        assert not (folder / "TWICE").exists(), "two workers were at one run"
        assert sorted(set(steps)) == list(range(1, ALONE_STEPS + 1)), "every step was done"
        assert run.attempts == ended[run.id], "what is done is not begun again"
        assert len(steps) <= ALONE_STEPS + 5 * (run.attempts - 1), "each attempt went on at the last checkpoint"
        events = yard.store.events.after(run.id, 0)
        assert [event.seq for event in events] == sorted({event.seq for event in events})
        assert sum(event.kind == "result" for event in events) >= 1
    assert yard.store.queue.active() == [] and yard.store.queue.waiting() == 0
    assert max(run.attempts for run in yard.store.jobs.list("ws")) > 1


# -- execute -----------------------------------------------------------------------------------------------------------
# ------------------

RECIPES = {
    "partial": {"method": "partial", "epochs": 3.0, "freeze": {"frozen": ["embeddings", "block 0"]}},
    "lora": {"method": "lora", "epochs": 2.0},
    "probe": {"method": "probe"},
}
KILLS = {"partial": 12, "lora": 8, "probe": 6} if turns.whole() else {"partial": 7, "lora": 7, "probe": 5}


@pytest.mark.parametrize("method", RECIPES)
def test_execute_killed_anywhere_and_resumed_ends_bit_for_bit_as_if_undisturbed(
         settings: Settings, tiny_model: Path, tiny_dataset: Dataset, tmp_path: Path, method: str) -> None:
    recipe = {"dataset": tiny_dataset.id, "base_model": str(tiny_model), "batch_size": 8, "max_length": 32,
              "precision": "fp32", "early_stopping_patience": 0, **RECIPES[method]}
    plan = {"workspace": WORKSPACE, "recipe": recipe, "out": str(tmp_path / "runs"), "kills": KILLS[method], "seed": 7}
    environment = {**process.environment(settings), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([sys.executable, "-m", "tests.jobs.support.forker", json.dumps(plan)], cwd=process.ROOT,
                          env=environment, text=True, capture_output=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["killed"] >= KILLS[method], "each kill struck"
    trained = set() if method == "probe" else {"training"}
    assert set(report["phases"]) >= {"caching features", "saving", *trained}
    assert report["different"] == [], "runs whose predictions, metrics or kept step are not the undisturbed run's"
    assert report["left"] == [], "temporary files, or checkpoints of a finished run"


# -- supervised real training
# --------------------------------------------------------------------------------------------------------------


def test_supervised_real_training_killed_again_and_again_ends_bit_for_bit_as_if_undisturbed(
         settings: Settings, tiny_model: Path, tiny_dataset: Dataset, waiting: Callable[..., Any]) -> None:
    from dataclasses import replace

    import pyarrow.parquet as pq

    from core.api import Thaw
    from core.store import Store

    thaw = Thaw(replace(settings, threads=1, heartbeat_s=0.2, stale_after_s=5.0, model_folders=(tiny_model.parent,)))
    recipe = Recipe(dataset=tiny_dataset.id, base_model=str(tiny_model), method="full", epochs=40.0, batch_size=8,
                    learning_rate=1e-3, max_length=32, evaluations_per_epoch=1, early_stopping_patience=0,
                    precision="fp32")
    whole, cut = thaw.experiments.submit(WORKSPACE, [recipe, recipe], name="twice the same")
    store = Store(thaw.settings)
    thaw.ensure_supervisor()

    def predictions(run: str) -> Any:
        return pq.read_table(Path(thaw.runs.get(WORKSPACE, run).folder) / "predictions-test.parquet")

    def status(run: str) -> Status:
        return thaw.runs.get(WORKSPACE, run).status

    def reached(step: int) -> bool:
        return any(point["step"] > step for point in thaw.runs.curves(WORKSPACE, cut).evals) or status(cut).final

    def kill(number: signal.Signals, *, supervisor_too: bool = False) -> None:
        claim = waiting(lambda: next((c for c in store.queue.active() if c.run.id == cut and c.pid), None), 120)
        if supervisor_too:
            for row in store.supervisors.list():
                process.end(row.pid, row.pid_created, signal.SIGKILL, row.birth)
        process.end(claim.pid, claim.pid_created, number, claim.birth)
        if supervisor_too:
            waiting(lambda: process.birth(claim.pid) != claim.birth)
            waiting(lambda: not thaw.supervisor_alive())  # else none is started in its place
            thaw.ensure_supervisor()
        waiting(lambda: status(cut).final, 5 if number is signal.SIGKILL and not supervisor_too else 120)
        failure = thaw.runs.get(WORKSPACE, cut).failure
        assert status(cut) is Status.INTERRUPTED and failure and failure.kind is FailureKind.INTERRUPTED, number
        thaw.runs.resume(WORKSPACE, cut)

    try:
        waiting(lambda: status(whole).final, 240)
        assert thaw.device() is not None, "measured before the first run"
        assert status(whole) is Status.DONE, thaw.runs.log(WORKSPACE, whole)[-2000:]
        waiting(lambda: any(e.kind == "phase" for e in thaw.runs.progress(WORKSPACE, cut).events), 120)
        kill(signal.SIGKILL)
        for step, number, both in ((20, signal.SIGTERM, False), (60, signal.SIGKILL, True),
                                   (110, signal.SIGKILL, False)):
            waiting(lambda step=step: reached(step), 120)
            kill(number, supervisor_too=both)
        waiting(lambda: status(cut).final, 240)
        assert (status(cut), thaw.runs.get(WORKSPACE, cut).attempts) == (Status.DONE, 5)
        first, second = thaw.runs.result(WORKSPACE, whole), thaw.runs.result(WORKSPACE, cut)
        assert first is not None and second is not None
        assert (first.metrics, first.steps, first.best_step) == (second.metrics, second.steps, second.best_step)
        assert predictions(whole).equals(predictions(cut)), "bit for bit"
        assert thaw.experiments.paired(WORKSPACE, whole,
                                       cut).only_a == thaw.experiments.paired(WORKSPACE, whole, cut).only_b == 0
        drawn = thaw.runs.curves(WORKSPACE, cut).steps
        steps = [point["step"] for point in drawn]
        assert steps == sorted(set(steps)) and steps[-1] == first.steps
        assert 0 <= max(point["memory_bytes"] for point in drawn) <= 2 * second.peak_memory_bytes, \
            "what the run adds, as in its plan and its result"
        assert not (Path(thaw.runs.get(WORKSPACE, cut).folder) / "checkpoints").exists()
        waiting(lambda: not list((thaw.settings.home / "tmp").iterdir()))
    finally:
        with contextlib.suppress(ProcessLookupError):
            for row in store.supervisors.list():
                process.end(row.pid, row.pid_created, signal.SIGKILL, row.birth)
            for claim in store.queue.active():
                process.end(claim.pid, claim.pid_created, signal.SIGKILL, claim.birth)
    assert os.getpid() > 1
