"""A row that cannot be read takes away itself and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.errors import FailureKind
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob

DAMAGES = {"kind": "sculpture", "status": "sleeping", "recipe": '{"dataset": "d", "base_mo', "payload": "[1, 2",
           "failure": '{"kind": "x"}'}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(home=tmp_path / "home"))


def submit(store: Store, count: int) -> list[str]:
    return store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name=f"run {n}",
                                     runs_folder=store.path.parent / "runs",
                                     recipe=Recipe(dataset="d", base_model="m", method="probe")) for n in range(count)])


@pytest.mark.parametrize("column", DAMAGES)
def test_a_damaged_row_is_named_and_the_others_are_listed(store: Store, column: str) -> None:
    bad, good = submit(store, 2)
    store.database.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (DAMAGES[column], bad))
    listed = {run.id: run for run in store.jobs.list("ws")}
    assert set(listed) == {bad, good} and not listed[good].damage
    assert column in listed[bad].damage and listed[bad].failure is not None
    assert column in listed[bad].failure.why and "Delete it" in listed[bad].failure.remedy
    assert store.jobs.get("ws", bad) == listed[bad]
    assert [run.id for run in store.jobs.list("ws", kind=JobKind.TRAIN)] == [good]
    assert store.jobs.delete("ws", bad).name == bad
    assert [run.id for run in store.jobs.list("ws")] == [good]


@pytest.mark.parametrize("column", ["kind", "recipe", "payload"])
def test_a_damaged_row_is_claimed_like_any_other_and_can_be_given_back(store: Store, column: str) -> None:
    bad, good = submit(store, 2)
    store.database.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (DAMAGES[column], bad))
    claim = store.queue.claim(supervisor="s", host="h", slots=1)
    assert claim is not None and claim.run.id == bad and claim.run.damage
    assert [active.run.id for active in store.queue.active()] == [bad]
    assert store.queue.finish(bad, fence=claim.fence, status=Status.FAILED, failure=claim.run.failure)
    found = store.queue.claim(supervisor="s", host="h", slots=1)
    assert found is not None and found.run.id == good


def test_events_that_cannot_be_read_are_left_out(store: Store) -> None:
    store.events.append("r", [(1.0, "step", {"step": 1}), (2.0, "step", {"step": 2}), (3.0, "step", {"step": 3})])
    store.database.execute("UPDATE events SET data = ? WHERE seq = 2", ('{"step": ',))
    assert [event.data["step"] for event in store.events.after("r", 0)] == [1, 3]
    store.database.execute("UPDATE events SET data = '7' WHERE seq = 3")
    assert store.events.last("r", "step") is None


def test_an_event_of_values_that_json_does_not_know_is_written_all_the_same(store: Store) -> None:
    import numpy as np

    store.events.append("r",
                        [(1.0, "step", {"loss": np.float32(0.5), "where": Path("a"), 3: "three", (1, 2): "no key"})])
    assert store.events.after("r", 0)[0].data == {"loss": 0.5, "where": "a", "3": "three"}


def test_an_unknown_kind_of_failure_has_three_parts(store: Store) -> None:
    run = submit(store, 1)[0]
    store.database.execute("UPDATE jobs SET status = 'failed', failure = '{\"kind\": \"melted\", \"what\": "
                           "\"x\"}' WHERE id = ?", (run,))
    failure = store.jobs.get("ws", run).failure
    assert (failure is not None and failure.kind is FailureKind.INTERNAL and failure.what and failure.why
            and failure.remedy)
