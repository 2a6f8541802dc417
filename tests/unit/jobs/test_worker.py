"""What a worker decides before it executes a run that was submitted while the device was not measured."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.domain import codec
from core.domain.dataset import Task
from core.domain.device import Device
from core.domain.recipe import Recipe
from core.domain.run import JobKind, Result, Status, TurnOver
from core.jobs import process, worker
from core.jobs.handlers import Job
from core.jobs.observer import StoreObserver
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A worker owns its process and ignores what comes after its run."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def measured(settings: Settings, precision: str) -> None:
    device = Device(kind="cpu", name="test", memory_bytes=1, cores=1, fp32_gflops=1.0, bf16_gflops=1.0,
                    precision=precision, versions={}, measured=0.0)
    (settings.home / "device.json").write_text(json.dumps(codec.to_json(device)), encoding="utf-8")


def submit(store: Store, settings: Settings, experiment: str, count: int, **fields: Any) -> list[str]:
    recipes = [Recipe(dataset="d", base_model="m", method="lora", seed=seed, **fields) for seed in range(count)]
    return store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name="x", recipe=recipe, experiment=experiment,
                                     runs_folder=settings.home / "runs") for recipe in recipes])


def work(store: Store, settings: Settings) -> str:
    """Claim and execute the next run; the precision that the engine was given."""
    given: list[Recipe] = []

    def handler(job: Job) -> dict[str, Any]:
        assert job.run.recipe is not None
        written = Recipe.from_json(json.loads((Path(job.run.folder) / "recipe.json").read_text()))
        assert written == job.run.recipe
        given.append(written)
        return {}

    claim = store.queue.claim(supervisor="s", host="h", slots=9)
    assert claim is not None
    assert worker.run_job(claim.run.id, fence=claim.fence, settings=settings, handlers={JobKind.TRAIN: handler}) == 0
    return given[0].precision


def test_the_first_run_of_an_experiment_decides_for_all_of_it(settings: Settings) -> None:
    settings.home.mkdir()
    store = Store(settings)
    first = submit(store, settings, "one", 3)
    others = submit(store, settings, "two", 1)
    measured(settings, "bf16")
    assert work(store, settings) == "bf16"
    measured(settings, "fp32")  # another day
    assert [store.jobs.get("ws", run).recipe.precision for run in first] == ["bf16"] * 3  # type: ignore[union-attr]
    assert store.jobs.get("ws", others[0]).recipe.precision == "auto"  # type: ignore[union-attr]
    assert sorted(work(store, settings) for _ in range(3)) == ["bf16", "bf16", "fp32"]


def test_what_was_asked_for_or_executed_before_stays(settings: Settings) -> None:
    settings.home.mkdir()
    store = Store(settings)
    submit(store, settings, "one", 1, precision="fp32")
    cut = submit(store, settings, "one", 1)[0]
    # not measured: the engine decides, in the run folder
    assert ([work(store, settings) for _ in range(2)] == ["fp32", "auto"])
    with sqlite3.connect(settings.database) as database:
        database.execute("UPDATE jobs SET status = 'interrupted' WHERE id = ?", (cut,))
    measured(settings, "bf16")
    assert store.queue.resume("ws", cut)
    assert work(store, settings) == "auto", "what it computed in is written in its folder, not measured again"


@pytest.mark.parametrize(("task", "times"), [(Task.IMAGE_CLASSIFICATION, 1), (Task.TEXT_CLASSIFICATION, 0)])
def test_runs_on_pictures_keep_freed_feature_maps(settings: Settings, monkeypatch: pytest.MonkeyPatch, task: Task,
                                                  times: int) -> None:
    calls: list[str] = []
    monkeypatch.setattr(process, "keep_feature_maps", lambda: calls.append("kept"))
    settings.home.mkdir()
    store = Store(settings)
    submit(store, settings, "one", 1, task=task)
    work(store, settings)
    assert len(calls) == times


@pytest.mark.parametrize(("complete", "status"), [(True, Status.DONE), (False, Status.STOPPED)])
def test_a_stop_when_only_features_were_left_leaves_a_run_that_is_done(settings: Settings, complete: bool,
                                                                       status: Status) -> None:
    store = Store(settings)
    run = submit(store, settings, "e", 1)[0]

    def handler(job: Job) -> Result:
        assert isinstance(job.observer, StoreObserver)
        job.observer.ask_to_stop()
        assert job.observer.should_stop()
        return Result(metrics={}, trainable_params=1, total_params=1, seconds=1.0, phase_seconds={},
                      peak_memory_bytes=1, estimated_memory_bytes=1, artifact_bytes=1, steps=1, samples=1,
                      precision="fp32", device="cpu", complete=complete)

    claim = store.queue.claim(supervisor="s", host="h", slots=9)
    assert claim is not None and claim.run.id == run
    worker.run_job(run, fence=claim.fence, settings=settings, handlers={JobKind.TRAIN: handler})
    assert store.jobs.get("ws", run).status is status


def test_a_run_whose_turn_is_over_waits_behind_the_others_and_goes_on(settings: Settings) -> None:
    settings.home.mkdir()
    store = Store(settings)
    first, second = submit(store, settings, "race", 2)
    alone = submit(store, settings, "another", 1)[0]
    seen: list[tuple[str, bool, bool]] = []

    def handler(job: Job) -> dict[str, Any]:
        others = job.mates_wait()
        seen.append((job.run.id, job.resume, others))
        if others:
            raise TurnOver
        return {}

    for _ in range(4):
        claim = store.queue.claim(supervisor="s", host="h", slots=9)
        assert claim is not None
        assert worker.run_job(claim.run.id, fence=claim.fence, settings=settings,
                              handlers={JobKind.TRAIN: handler}) == 0
    assert seen == [(first, False, True), (second, False, True), (alone, False, False), (first, True, True)]
    assert store.jobs.get("ws", first).status is Status.QUEUED and store.jobs.get("ws", first).failure is None
    assert not store.queue.mates_wait(alone) and store.queue.claim(supervisor="s", host="h", slots=9).run.id == second
