"""The store: schema, order of claims, transitions, events, isolation of workspaces."""

from __future__ import annotations

import multiprocessing
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.domain.recipe import Recipe
from core.domain.run import Failure, JobKind, Status
from core.errors import FailureKind, NotFoundError, ThawError
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from core.store.schema import MIGRATIONS
from core.store.supervisors import SupervisorRow
from tests import cost

RECIPE = Recipe(dataset="d", base_model="m", method="probe")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(home=tmp_path / "home"))


def job(store: Store, *, name: str = "run", workspace: str = "ws", kind: JobKind = JobKind.TRAIN) -> str:
    return store.jobs.submit([NewJob(workspace=workspace, kind=kind, name=name, runs_folder=store.path.parent / "runs",
                                     recipe=RECIPE if kind is JobKind.TRAIN else None)])[0]


def claim(store: Store, *, slots: int = 100, by: str = "s1") -> str | None:
    found = store.queue.claim(supervisor=by, host="here", slots=slots)
    return found.run.id if found else None


def claims_one_by_one(store: Store, count: int) -> list[str]:
    """Each done before the next is claimed, as with one slot."""
    taken = []
    for _ in range(count):
        run = claim(store, slots=1)
        assert run is not None
        store.queue.finish(run, fence=1, status=Status.DONE)
        taken.append(run)
    return taken


def test_a_submitted_job_reads_back_as_it_was_written(store: Store) -> None:
    run = store.jobs.get("ws", job(store, name="probe, seed 0"))
    assert ((run.name, run.status, run.recipe, run.position, run.attempts)
            == ("probe, seed 0", Status.QUEUED, RECIPE, 1, 0))
    assert run.folder.endswith(run.id)


def test_jobs_are_claimed_in_the_order_of_submission_and_only_once(store: Store) -> None:
    ids = [job(store, name=str(i)) for i in range(5)]
    assert [claim(store) for _ in range(6)] == [*ids, None]


def test_slots_are_counted_over_all_supervisors(store: Store) -> None:
    first, second = job(store), job(store)
    assert claim(store, slots=1, by="s1") == first
    assert claim(store, slots=1, by="s2") is None
    store.queue.finish(first, fence=1, status=Status.DONE)
    assert claim(store, slots=1, by="s2") == second


def test_preparing_has_a_lane_of_its_own(store: Store) -> None:
    train, fetch, second_fetch = job(store), job(store, kind=JobKind.PREPARE), job(store, kind=JobKind.PREPARE)
    assert [claim(store, slots=1) for _ in range(3)] == [train, fetch, None]
    store.queue.finish(fetch, fence=1, status=Status.FAILED)
    assert claim(store, slots=1) == second_fetch


def test_positions_count_the_queue_of_everyone(store: Store) -> None:
    ids = [job(store, workspace=f"ws{i}") for i in range(3)]
    assert [store.jobs.get(f"ws{i}", run).position for i, run in enumerate(ids)] == [1, 2, 3]
    claim(store)
    assert [store.jobs.get(f"ws{i}", run).position for i, run in enumerate(ids)] == [None, 1, 2]


def test_workspaces_take_turns(store: Store) -> None:
    first = [job(store, workspace="early") for _ in range(3)]
    second = [job(store, workspace="late") for _ in range(2)]
    assert claims_one_by_one(store, 5) == [first[0], second[0], first[1], second[1], first[2]]


def test_with_two_slots_nobody_has_both_while_somebody_waits(store: Store) -> None:
    first, other = [job(store, workspace="early") for _ in range(3)], job(store, workspace="late")
    assert [claim(store, slots=2), claim(store, slots=2)] == [first[0], other]


def test_who_comes_later_is_served_before_a_second_turn(store: Store) -> None:
    first = [job(store, workspace="early") for _ in range(3)]
    assert claims_one_by_one(store, 2) == first[:2]
    newcomer = job(store, workspace="new")
    assert store.jobs.get("new", newcomer).position == 1
    assert claims_one_by_one(store, 2) == [newcomer, first[2]]


@hypothesis_settings(max_examples=30, deadline=None)
@given(owners=st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_the_places_shown_are_the_order_of_the_claims(owners: list[str]) -> None:
    with tempfile.TemporaryDirectory() as home:
        store = Store(Settings(home=Path(home)))
        ids = [job(store, workspace=owner) for owner in owners]
        places = {run: store.jobs.get(owner, run).position for run, owner in zip(ids, owners, strict=True)}
        assert sorted(places.values()) == list(range(1, len(ids) + 1))
        assert claims_one_by_one(store, len(ids)) == sorted(ids, key=places.__getitem__)


def test_a_worker_of_an_older_claim_changes_nothing(store: Store) -> None:
    run = job(store)
    claim(store)
    assert store.queue.put_back(run, fence=1)
    claim(store)
    assert store.queue.begin(run, fence=1, pid=10, pid_created=1.0) is None
    assert store.queue.begin(run, fence=2, pid=11, pid_created=1.0) is not None
    assert store.queue.begin(run, fence=2, pid=12, pid_created=1.0) is None, "a second worker of one claim"
    assert store.queue.beat(run, fence=1) is None
    assert not store.queue.finish(run, fence=1, status=Status.DONE)
    assert store.queue.finish(run, fence=2, status=Status.DONE)
    assert not store.queue.finish(run, fence=2, status=Status.FAILED), "an end is final"
    assert (store.jobs.get("ws", run).status, store.jobs.get("ws", run).attempts) == (Status.DONE, 1)


def test_a_claim_that_a_worker_began_is_not_put_back(store: Store) -> None:
    run = job(store)
    claim(store)
    store.queue.begin(run, fence=1, pid=10, pid_created=1.0)
    assert not store.queue.put_back(run, fence=1)


def test_stop_ends_a_queued_run_at_once_and_asks_a_running_one(store: Store) -> None:
    queued, running = job(store), job(store)
    assert store.queue.ask_stop("ws", queued) is Status.STOPPED
    assert claim(store) == running
    assert store.queue.ask_stop("ws", running) is Status.STOPPING
    assert [(c.stop_asked is not None, c.stop_forced) for c in store.queue.active()] == [(True, False)]
    assert store.queue.ask_stop("ws", running) is Status.STOPPING
    assert store.queue.active()[0].stop_forced
    store.queue.finish(running, fence=1, status=Status.STOPPED)
    assert store.queue.ask_stop("ws", running) is Status.STOPPED, "stopping what has ended changes nothing"


def test_resume_keeps_the_recipe_goes_to_the_end_of_the_queue_and_counts_attempts(store: Store) -> None:
    first, second = job(store), job(store)
    claim(store)
    failure = Failure(kind=FailureKind.INTERRUPTED, what="The worker died.")
    store.queue.finish(first, fence=1, status=Status.INTERRUPTED, failure=failure)
    assert store.jobs.get("ws", first).failure == failure
    assert store.queue.resume("ws", first)
    again = store.jobs.get("ws", first)
    assert (again.status, again.failure, again.recipe, again.position) == (Status.QUEUED, None, RECIPE, 2)
    assert claim(store) == second
    resumed = store.queue.claim(supervisor="s", host="h", slots=9)
    assert resumed is not None
    assert (resumed.run.id, resumed.resume, resumed.run.attempts) == (first, True, 2)
    store.queue.finish(first, fence=2, status=Status.DONE)
    assert not store.queue.resume("ws", first), "a finished run is not resumed"


def test_other_workspaces_are_not_found(store: Store) -> None:
    run = job(store, workspace="mine")
    for call in (store.jobs.get, store.jobs.delete, store.queue.ask_stop, store.queue.resume):
        with pytest.raises(NotFoundError, match=run):
            call("yours", run)
    with pytest.raises(NotFoundError):
        store.jobs.rename("yours", run, "x")
    assert store.jobs.list("yours") == []
    assert store.jobs.get("mine", run).status is Status.QUEUED


def test_a_running_job_cannot_be_deleted(store: Store) -> None:
    run = job(store)
    claim(store)
    with pytest.raises(ThawError, match="Stop it first"):
        store.jobs.delete("ws", run)
    store.queue.finish(run, fence=1, status=Status.DONE)
    store.events.append(run, [(1.0, "note", {"text": "x"})])
    assert store.jobs.delete("ws", run).name == run
    assert store.events.after(run, 0) == []


@hypothesis_settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.integers(0, 5), max_size=6), after=st.integers(0, 30))
def test_event_numbers_grow_by_one_and_reading_returns_exactly_the_newer_ones(tmp_path_factory: pytest.TempPathFactory,
                                                                             batches: list[int], after: int) -> None:
    store = Store(Settings(home=tmp_path_factory.mktemp("home")))
    written: list[int] = []
    for size in batches:
        written += store.events.append("r", [(0.0, "step", {"step": len(written) + i}) for i in range(size)])
    assert written == list(range(1, sum(batches) + 1))
    assert ([(e.seq, e.data["step"]) for e in store.events.after("r", after)]
            == [(s, s - 1) for s in written if s > after])


def test_replaced_entries_vanish_and_their_number_is_not_used_again(store: Store) -> None:
    seq = store.events.append("r", [(0.0, "progress", {"done": 1})])
    assert store.events.append("r", [(0.0, "progress", {"done": 2})], replaces=seq) == [2]
    assert [(e.seq, e.data) for e in store.events.after("r", 0)] == [(2, {"done": 2})]
    assert store.events.last("r", "progress") == store.events.after("r", 1)[0]


def test_an_older_schema_is_brought_forward_with_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    run = job(Store(settings))
    monkeypatch.setattr("core.store.database.MIGRATIONS",
                        (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN extra TEXT DEFAULT 'new';"))
    store = Store(settings)
    assert store.database.rows("SELECT extra FROM jobs WHERE id = ?", (run,))[0]["extra"] == "new"
    monkeypatch.undo()
    with pytest.raises(ThawError, match="newer version"):
        Store(settings)


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    Store(settings)
    monkeypatch.setattr("core.store.database.MIGRATIONS",
                        (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN extra TEXT;\nSELECT * FROM nowhere;"))
    with pytest.raises(ThawError, match="cannot be used"):
        Store(settings)
    monkeypatch.undo()
    assert Store(settings).database.rows("PRAGMA user_version")[0][0] == len(MIGRATIONS)


def _open_at(path: Path, at: float) -> int:
    time.sleep(max(0.0, at - time.time()))
    return len(Store(Settings(home=path)).jobs.list("ws"))


def test_processes_that_open_an_empty_folder_at_once_all_succeed(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.starmap(_open_at, [(tmp_path / "new", time.time() + 1.5)] * 4) == [0] * 4


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "thaw.db").write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(ThawError, match="not a database"):
        Store(Settings(home=tmp_path))


def test_a_deleted_data_folder_is_made_anew(store: Store) -> None:
    job(store)
    for file in store.path.parent.glob("thaw.db*"):
        file.unlink()
    assert store.jobs.list("ws") == []
    assert job(store) in {run.id for run in store.jobs.list("ws")}


def test_write_ahead_log_and_rollback(store: Store) -> None:
    assert store.database.rows("PRAGMA journal_mode")[0][0] == "wal"
    with pytest.raises(sqlite3.IntegrityError):
        store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name="a", runs_folder=store.path, id="same"),
                           NewJob(workspace="ws", kind=JobKind.TRAIN, name="b", runs_folder=store.path, id="same")])
    assert store.jobs.list("ws") == [], "all or nothing"


def test_only_one_supervisor_is_announced_until_it_is_dead(store: Store) -> None:
    living: set[str] = set()

    def alive(row: SupervisorRow) -> bool:
        return row.id in living

    assert store.supervisors.reserve("a", "host", alive=alive)
    living.add("a")
    assert not store.supervisors.reserve("b", "host", alive=alive)
    living.clear()
    assert store.supervisors.reserve("b", "host", alive=alive)
    assert [row.id for row in store.supervisors.list()] == ["b"], "the dead one's row is cleared"
    run = job(store)
    assert not store.supervisors.retire("b"), "work is waiting"
    store.queue.ask_stop("ws", run)
    assert store.supervisors.retire("b")


def test_experiments_without_runs_are_not_listed(store: Store) -> None:
    used, empty = store.experiments.create("ws", "five methods"), store.experiments.create("ws", "empty")
    store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name="r", runs_folder=store.path, experiment=used)])
    assert [e.id for e in store.experiments.list("ws")] == [used] != [empty]


def test_listing_costs_in_proportion_and_asking_after_a_run_costs_the_same_however_much_there_is(store: Store) -> None:
    def submit(count: int) -> list[str]:
        return store.jobs.submit([NewJob(workspace="ws", kind=JobKind.TRAIN, name="run", runs_folder=store.path,
                                         recipe=RECIPE)
                                  for _ in range(count)])

    def note(count: int) -> None:
        store.events.append(run, [(0.0, "step", {"step": i, "loss": 1.0 / (i + 1)}) for i in range(count)])

    run = submit(50)[0]
    note(100)
    assert claim(store, slots=1) == run
    listing = cost.sql(store, lambda: store.jobs.list("ws"))
    asking = cost.sql(store, lambda: (store.jobs.get("ws", run), store.events.after(run, 90)))
    submit(450)
    note(9_900)
    assert len(store.jobs.list("ws")) == 500
    more = cost.sql(store, lambda: store.jobs.list("ws"))
    assert listing.statements == more.statements == 1 and more.instructions < 15 * listing.instructions
    assert cost.sql(store, lambda: (store.jobs.get("ws", run), store.events.after(run, 9_990))) == asking
    assert asking.statements == 2 and asking.instructions < 1_000
