"""What can be done to a whole experiment, and how long it will take."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from core.api import Thaw, outlook
from core.api.experiments import UNDO_GRACE_S, UNDO_S
from core.domain import codec
from core.domain.dataset import Dataset
from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Phase, Status
from core.errors import FailureKind, NotFoundError, RecipeError, ThawError
from core.jobs import handlers
from core.jobs.handlers import Job
from core.models import facts as facts_module
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from core.store.queue import Claim
from tests.conftest import WORKSPACE, Notes
from tests.unit.api.test_api import DEVICE, FACTS, OTHER, recipe


@pytest.fixture
def thaw(settings: Settings) -> Thaw:
    return Thaw(settings)


@pytest.fixture
def ready(thaw: Thaw, tiny_dataset: Dataset) -> Dataset:
    facts_module.write(FACTS, thaw.settings)
    (thaw.settings.home / "device.json").write_text(json.dumps(codec.to_json(DEVICE)), encoding="utf-8")
    return tiny_dataset


@pytest.fixture
def started(thaw: Thaw, ready: Dataset) -> list[str]:
    """Three runs: the first is worked on by this process, with a file in its folder."""
    ids = thaw.experiments.submit(WORKSPACE, [recipe(ready, m) for m in ("probe", "lora", "full")], name="Mine")
    begin(thaw)
    return ids


def begin(thaw: Thaw) -> Claim:
    store = Store(thaw.settings)
    claim = store.queue.claim(supervisor="s", host="h", slots=9)
    assert claim is not None
    store.queue.begin(claim.run.id, fence=claim.fence, pid=os.getpid(), pid_created=0.0)
    Path(claim.run.folder).mkdir(parents=True, exist_ok=True)
    (Path(claim.run.folder) / "log.txt").write_text("hello", encoding="utf-8")
    return claim


def experiment_of(thaw: Thaw, ids: list[str]) -> str:
    return str(thaw.runs.get(WORKSPACE, ids[0]).experiment)


def end(thaw: Thaw, claim: Claim, status: Status, kind: FailureKind | None = None) -> None:
    failure = Failure(kind=kind, what="It went wrong.") if kind else None
    assert Store(thaw.settings).queue.finish(claim.run.id, fence=claim.fence, status=status, failure=failure)


def test_the_runs_of_one_experiment_come_in_the_order_of_their_start(thaw: Thaw, started: list[str],
                                                                     ready: Dataset) -> None:
    other = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="Other")
    id = experiment_of(thaw, started)
    assert [run.id for run in thaw.experiments.runs(WORKSPACE, id)] == started
    assert thaw.experiments.get(WORKSPACE, id).name == "Mine"
    thaw.runs.stop(WORKSPACE, started[1])
    thaw.runs.resume(WORKSPACE, started[1])  # it waits at the end of the queue now
    assert [run.id for run in thaw.experiments.runs(WORKSPACE, id)] == started
    assert [run.id for run in thaw.runs.all(WORKSPACE)] == [*other, *started[::-1]]


def test_every_action_on_another_workspaces_experiment_is_refused(thaw: Thaw, started: list[str]) -> None:
    id, api = experiment_of(thaw, started), thaw.experiments
    for action in (api.get, api.stop, api.pause, api.resume, api.delete, api.undo):
        with pytest.raises(NotFoundError, match="another workspace"):
            action(OTHER, id)
    with pytest.raises(NotFoundError):
        api.rename(OTHER, id, "theirs")
    assert api.runs(OTHER, id) == []
    assert len(api.runs(WORKSPACE, id)) == 3 and api.get(WORKSPACE, id).name == "Mine"


def test_stop_all_ends_what_waits_and_asks_what_runs_once(thaw: Thaw, started: list[str]) -> None:
    id = experiment_of(thaw, started)
    assert thaw.experiments.stop(WORKSPACE, id) == 3
    assert [run.status for run in thaw.experiments.runs(WORKSPACE, id)] == ["stopping", "stopped", "stopped"]
    assert thaw.experiments.stop(WORKSPACE, id) == 0, "asking again must not cut off the one that is keeping its best"
    (claim,) = Store(thaw.settings).queue.active()
    assert claim.stop_asked and not claim.stop_forced
    assert Store(thaw.settings).queue.claim(supervisor="s", host="h", slots=9) is None


def test_pausing_takes_what_waits_out_of_the_queue_and_leaves_what_runs(thaw: Thaw, started: list[str]) -> None:
    id, queue = experiment_of(thaw, started), Store(thaw.settings).queue
    assert thaw.experiments.pause(WORKSPACE, id) == 2
    assert [run.status for run in thaw.experiments.runs(WORKSPACE, id)] == ["running", "stopped", "stopped"]
    (claim,) = queue.active()
    assert claim.stop_asked is None and queue.claim(supervisor="s", host="h", slots=9) is None
    assert thaw.experiments.pause(WORKSPACE, id) == 0
    assert thaw.experiments.resume(WORKSPACE, id) == {}
    assert [run.status for run in thaw.experiments.runs(WORKSPACE, id)] == ["running", "queued", "queued"]
    assert queue.claim(supervisor="s", host="h", slots=9) is not None


def test_resume_all_takes_what_may_end_otherwise_and_leaves_what_would_fail_again(thaw: Thaw,
                                                                                  ready: Dataset) -> None:
    ends = [(Status.DONE, None), (Status.STOPPED, None), (Status.INTERRUPTED, FailureKind.INTERRUPTED),
            (Status.FAILED, FailureKind.FETCH), (Status.FAILED, FailureKind.OUT_OF_MEMORY),
            (Status.FAILED, FailureKind.NON_FINITE_LOSS), (Status.FAILED, FailureKind.DATA),
            (Status.FAILED, FailureKind.INTERNAL)]
    ids = thaw.experiments.submit(WORKSPACE, [recipe(ready, seed=i) for i in range(len(ends))], name="Mine")
    for status, kind in ends:
        end(thaw, begin(thaw), status, kind)
    id = experiment_of(thaw, ids)
    assert [run.worth_resuming for run in thaw.experiments.runs(WORKSPACE, id)] == [
        False, True, True, True, False, False, False, False]
    assert thaw.experiments.resume(WORKSPACE, id) == {}
    assert [run.status.value for run in thaw.experiments.runs(WORKSPACE, id)] == [
        "done", "queued", "queued", "queued", "failed", "failed", "failed", "failed"]


def test_resume_all_tells_which_runs_could_not_be(thaw: Thaw, started: list[str], ready: Dataset) -> None:
    id = experiment_of(thaw, started)
    thaw.experiments.stop(WORKSPACE, id)
    shutil.rmtree(thaw.settings.workspace(WORKSPACE) / "datasets" / ready.id)
    refused = thaw.experiments.resume(WORKSPACE, id)
    assert set(refused) == set(started[1:])
    assert all(isinstance(error, NotFoundError) for error in refused.values())


def test_a_new_name_is_the_experiments(thaw: Thaw, started: list[str]) -> None:
    id = experiment_of(thaw, started)
    thaw.experiments.rename(WORKSPACE, id, "  Yours, 100 % _new_ ")
    assert thaw.experiments.get(WORKSPACE, id).name == "Yours, 100 % _new_"
    for bad in ("  ", "x" * 500):
        with pytest.raises(RecipeError):
            thaw.experiments.rename(WORKSPACE, id, bad)
    assert [e.name for e in thaw.experiments.all(WORKSPACE)] == ["Yours, 100 % _new_"]


def test_delete_takes_every_run_also_the_one_at_work(thaw: Thaw, started: list[str], ready: Dataset) -> None:
    keep = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="Other")
    id, store = experiment_of(thaw, started), Store(thaw.settings)
    (claim,) = store.queue.active()
    folder = Path(claim.run.folder)
    store.events.append(started[0], [(0.0, "note", {"text": "x"})])
    assert thaw.experiments.delete(WORKSPACE, id) == 3
    assert [run.id for run in thaw.runs.all(WORKSPACE)] == keep
    assert [e.name for e in thaw.experiments.all(WORKSPACE)] == ["Other"]
    assert not folder.exists() and store.events.after(started[0], 0) == []
    assert store.queue.beat(started[0], fence=claim.fence) is None, "its worker is told to end"
    with pytest.raises(NotFoundError):
        thaw.experiments.get(WORKSPACE, id)


def test_undo_takes_the_whole_start_back_and_nothing_older(thaw: Thaw, started: list[str], ready: Dataset) -> None:
    id = experiment_of(thaw, started)
    assert 0 < thaw.experiments.undo_left_s(thaw.experiments.runs(WORKSPACE, id)) <= UNDO_S
    fork = thaw.runs.fork(WORKSPACE, started[0], recipe(ready, seed=7))
    assert thaw.experiments.undo(WORKSPACE, id) == 1
    assert [run.id for run in thaw.experiments.runs(WORKSPACE, id)] == started and fork not in started
    assert thaw.experiments.undo(WORKSPACE, id) == 3
    assert thaw.runs.all(WORKSPACE) == [] and thaw.experiments.all(WORKSPACE) == []
    assert list((thaw.settings.workspace(WORKSPACE) / "runs").iterdir()) == []


def test_undo_comes_too_late_after_its_seconds(thaw: Thaw, started: list[str]) -> None:
    id = experiment_of(thaw, started)
    Store(thaw.settings).database.execute("UPDATE jobs SET created = created - ?", (UNDO_S + UNDO_GRACE_S + 1,))
    assert thaw.experiments.undo_left_s(thaw.experiments.runs(WORKSPACE, id)) == 0
    with pytest.raises(ThawError, match="cannot be undone any more"):
        thaw.experiments.undo(WORKSPACE, id)
    assert len(thaw.experiments.runs(WORKSPACE, id)) == 3


# -- how long it takes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_line_of_all_workspaces_agrees_with_the_places_that_each_is_told(settings: Settings, seed: int) -> None:
    store, rng = Store(settings), random.Random(seed)
    made = Recipe(dataset="d", base_model="m", method="probe")
    for _ in range(60):
        ws = rng.choice("abcd")
        kind = rng.choice([JobKind.TRAIN, JobKind.TRAIN, JobKind.FEATURES, JobKind.IMPORT])
        store.jobs.submit([NewJob(workspace=ws, kind=kind, name="x", recipe=made if kind is JobKind.TRAIN else None,
                                  runs_folder=settings.home / "runs")])
        claim = store.queue.claim(supervisor="s", host="h", slots=5) if rng.random() < 0.4 else None
        if claim is not None and rng.random() < 0.6:
            store.queue.finish(claim.run.id, fence=claim.fence, status=Status.DONE)
    places = {run.id: run.position for ws in "abcd" for run in store.jobs.list(ws)
              if run.position and run.kind is not JobKind.IMPORT}
    assert [job.id for job in store.queue.line(most=1000)] == sorted(places, key=lambda id: places[id] or 0)
    assert len(store.queue.line(most=3)) == 3


def test_the_time_left_counts_what_runs_and_what_waits_before(thaw: Thaw, started: list[str], ready: Dataset) -> None:
    own = thaw.experiments.runs(WORKSPACE, experiment_of(thaw, started))
    estimates = [thaw.experiments.estimate(WORKSPACE, run.recipe).seconds for run in own]  # type: ignore[union-attr,arg-type]
    found = thaw.experiments.outlook(WORKSPACE, own)
    assert found.left_s == pytest.approx(sum(estimates), rel=0.05)
    assert found.runs[started[1]].starts_s == pytest.approx(estimates[0], rel=0.1)
    later = thaw.experiments.submit(WORKSPACE, [recipe(ready, seed=3)], name="Later")
    behind = thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, later[0])])
    assert behind.runs[later[0]].starts_s == pytest.approx(sum(estimates), rel=0.05)
    end(thaw, Store(thaw.settings).queue.active()[0], Status.FAILED, FailureKind.DATA)
    for id in started[1:]:
        thaw.runs.stop(WORKSPACE, id)
    now = thaw.experiments.runs(WORKSPACE, experiment_of(thaw, started))
    assert thaw.experiments.outlook(WORKSPACE, now).left_s == 0.0


def test_the_pace_of_training_beats_the_estimate(thaw: Thaw, started: list[str]) -> None:
    store = Store(thaw.settings)
    store.events.append(started[0], [(time.time(), "step", {"step": 10, "total_steps": 40, "seconds": 100.0})])
    run = thaw.runs.get(WORKSPACE, started[0])
    assert thaw.experiments.outlook(WORKSPACE, [run]).runs[run.id].ends_s == pytest.approx(300, abs=10)


def test_a_run_that_goes_on_takes_what_is_left_of_it_also_while_it_waits(thaw: Thaw, started: list[str]) -> None:
    store = Store(thaw.settings)
    claim = store.queue.active()[0]
    run = claim.run.id
    whole = thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, run)]).runs[run].ends_s
    store.events.append(run, [(time.time(), "step", {"step": 30, "total_steps": 40, "seconds": 100.0})])
    store.queue.wait_again(run, fence=claim.fence, last=True)

    def takes() -> float:
        outlook._lines.clear()
        found = thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, run)]).runs[run]
        return found.ends_s - found.starts_s

    assert takes() == pytest.approx(whole / 4, rel=0.05)
    for id in started[1:]:
        thaw.runs.stop(WORKSPACE, id)
    time.sleep(0.01)
    again = store.queue.claim(supervisor="s", host="h", slots=5)
    assert again is not None and again.run.id == run and again.resume
    assert takes() == pytest.approx(whole / 4, rel=0.1), "before its first step of this turn"


def test_the_time_of_features_counts_where_they_are_made_at_once(settings: Settings, ready: Dataset) -> None:
    thaw = Thaw(dataclasses.replace(settings, features=True))
    takes = {}
    for features in (True, False):
        outlook._lines.clear()
        id = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="One", features=features)[0]
        assert thaw.runs.get(WORKSPACE, id).makes_features is features
        takes[features] = thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, id)]).left_s
        thaw.runs.stop(WORKSPACE, id)
        assert takes[features] == thaw.experiments.seconds(WORKSPACE, [recipe(ready)], features=features)
    assert takes[True] is not None and takes[False] is not None and takes[True] > takes[False] > 0


def test_no_time_is_told_where_there_is_no_estimate(thaw: Thaw, ready: Dataset) -> None:
    """Of a hub model that nobody has looked at, nothing is known."""
    ids = thaw.experiments.submit(WORKSPACE, [recipe(ready, base_model="some/model")], name="Unknown")
    found = thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, ids[0])])
    assert found.left_s is None and found.runs == {}


def test_somebody_elses_damaged_row_takes_no_time(thaw: Thaw, ready: Dataset) -> None:
    thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="Broken")
    Store(thaw.settings).database.execute("UPDATE jobs SET recipe = '{'")
    ids = thaw.experiments.submit(WORKSPACE, [recipe(ready)], name="Mine")
    outlook._lines.clear()
    assert thaw.experiments.outlook(WORKSPACE, [thaw.runs.get(WORKSPACE, ids[0])]).runs[ids[0]].starts_s == 0.0


@pytest.mark.parametrize("features", [True, False])
def test_features_of_a_run_can_wait_until_they_are_asked_for(ready: Dataset, settings: Settings,
                                                             tiny_model: Path, features: bool) -> None:
    asked = recipe(ready, "probe", base_model=str(tiny_model), precision="fp32", max_length=32)
    thaw = Thaw(dataclasses.replace(settings, model_folders=(tiny_model.parent,)))
    [id] = thaw.experiments.submit(WORKSPACE, [asked], name="Mine", features=features)
    run = thaw.runs.get(WORKSPACE, id)
    assert run.makes_features is features
    result = handlers.train(Job(run=run, settings=settings, observer=Notes(), resume=False))
    assert result.complete and (Phase.FEATURES in result.phase_seconds) is features
    assert (Path(run.folder) / "features").is_dir() is features
