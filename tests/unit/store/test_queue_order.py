"""The turns of the queue: kept right by every transition, and cheap to ask about however long the queue is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.domain.recipe import Recipe
from core.domain.run import JobKind, Status
from core.errors import NotFoundError, ThawError
from core.settings import Settings
from core.store import Store
from core.store.jobs import NewJob
from core.store.schema import MIGRATIONS
from tests import cost

RECIPE = Recipe(dataset="d", base_model="m", method="probe")
COUNTED = ("SELECT lane, workspace, sum(status = 'queued'), sum(status IN ('running', 'stopping')), max(started),"
           " min(CASE WHEN status = 'queued' THEN ticket END) FROM jobs GROUP BY lane, workspace ORDER BY "
           "lane, workspace")
KEPT = "SELECT lane, workspace, waiting, busy, served, first FROM turns ORDER BY lane, workspace"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Settings(home=tmp_path / "home"))


def submit(store: Store, workspace: str, count: int = 1, kind: JobKind = JobKind.TRAIN) -> list[str]:
    return store.jobs.submit([NewJob(workspace=workspace, kind=kind, name="run", runs_folder=store.path.parent / "runs",
                                     recipe=RECIPE if kind is JobKind.TRAIN else None) for _ in range(count)])


def table(store: Store, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in store.database.rows(sql)]


@pytest.mark.parametrize("seed", range(6))
def test_turns_are_what_counting_the_jobs_would_give_after_any_transitions(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    owner: dict[str, str] = {}
    claimed: list[tuple[str, int]] = []
    for _ in range(150):
        step = rng.choice(["submit", "submit", "claim", "claim", "finish", "stop", "resume", "put back", "wait",
                           "delete", "first"])
        if step == "submit":
            ws = rng.choice("abc")
            owner |= dict.fromkeys(submit(store, ws, rng.randint(1, 3), rng.choice([JobKind.TRAIN, JobKind.IMPORT])),
                                   ws)
        elif step == "claim" and (found := store.queue.claim(supervisor="s", host="h", slots=rng.randint(1, 4))):
            claimed.append((found.run.id, found.fence))
        elif step in ("finish", "put back", "wait") and claimed:
            job, fence = claimed.pop(rng.randrange(len(claimed)))
            if step == "finish":
                store.queue.finish(job, fence=fence, status=rng.choice([Status.DONE, Status.FAILED]))
            elif step == "wait":
                store.queue.wait_again(job, fence=fence, last=rng.random() < 0.5)
            else:
                store.queue.put_back(job, fence=fence)
        elif owner and step in ("stop", "resume"):
            job = rng.choice(sorted(owner))
            (store.queue.ask_stop if step == "stop" else store.queue.resume)(owner[job], job)
        elif owner and step == "first":
            job = rng.choice(sorted(owner))
            waits = store.jobs.get(owner[job], job).status is Status.QUEUED
            assert store.queue.put_first(owner[job], job) == waits
        elif owner and step == "delete":
            job = rng.choice(sorted(owner))
            if store.jobs.get(owner[job], job).status.final:
                store.jobs.delete(owner.pop(job), job)
        counted = {row[:2]: row for row in table(store, COUNTED)}
        for row in table(store, KEPT):
            assert row == counted.pop(row[:2], (*row[:2], 0, 0, None, None)), step
        assert not counted
    places = {job: store.jobs.get(ws, job).position for job, ws in owner.items()}
    listed = {run.id: run.position for ws in "abc" for run in store.jobs.list(ws)}
    assert places == listed, "one by one and in a list"
    for lane in (0, 1):
        waiting = [row["id"] for row in store.database.rows("SELECT id FROM jobs WHERE status = 'queued' AND lane = ?",
                                                            (lane,))]
        assert sorted(places[job] or 0 for job in waiting) == list(range(1, len(waiting) + 1))


def test_a_run_put_first_starts_before_its_own_and_not_before_others(store: Store) -> None:
    mine, other = submit(store, "mine", 4), submit(store, "other", 2)
    imported = submit(store, "mine", 1, JobKind.IMPORT)
    assert store.queue.put_first("mine", mine[2])
    order = []
    while claim := store.queue.claim(supervisor="s", host="h", slots=9):
        order.append(claim.run.id)
    lane = [job for job in order if job not in imported]
    assert [job for job in lane if job in mine] == [mine[2], mine[0], mine[1], mine[3]]
    assert [job for job in lane if job in other] == other and lane[:4] == [mine[2], other[0], mine[0], other[1]]
    assert not store.queue.put_first("mine", mine[0]), "it is under way"
    with pytest.raises(NotFoundError):
        store.queue.put_first("other", mine[0])


def test_a_database_of_the_version_before_gets_its_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    store = Store(settings)
    with store.database.write() as connection:      # as version 1 left it
        for line in (*(f"DROP TRIGGER turns_{name}" for name in ("insert", "update", "delete")), "DROP TABLE turns",
                     "DROP TABLE signs",
                     *(f"DROP INDEX jobs_by_{name}" for name in ("ticket", "experiment", "line", "start")),
                     "ALTER TABLE jobs DROP COLUMN lane", "ALTER TABLE jobs DROP COLUMN birth",
                     "ALTER TABLE jobs DROP COLUMN renamed", "ALTER TABLE experiments DROP COLUMN asked",
                     "DROP TABLE rooms", "DROP TABLE guests",
                     "PRAGMA user_version=1"):
            connection.execute(line)
        for number in range(3):
            connection.execute("INSERT INTO jobs (id, workspace, kind, name, status, ticket, folder, recipe, payload, "
                               "created) VALUES (?, 'ws', 'train', 'old', 'queued', ?, 'f', '{}', '{}', 1.0)",
                               (f"job{number}", number + 1))
        connection.execute("INSERT INTO supervisors VALUES ('old', 'here', 1, 1.0, 1.0, 1.0)")
    store.database.close()
    store = Store(settings)
    assert store.database.rows("PRAGMA user_version")[0][0] == len(MIGRATIONS)
    assert [run.position for run in store.jobs.list("ws")] == [3, 2, 1]
    assert table(store, KEPT) == table(store, COUNTED)
    assert [(row.id, row.birth, row.trouble) for row in store.supervisors.list()] == [("old", None, None)]
    claimed = store.queue.claim(supervisor="s", host="h", slots=1)
    assert claimed is not None and claimed.run.id == "job0"


def test_what_anybody_asks_costs_the_same_however_much_others_have_queued(store: Store) -> None:
    mine = submit(store, "mine", 3)
    others = submit(store, "hoarder", 3)
    under_way = store.queue.claim(supervisor="s", host="h", slots=1)
    assert under_way is not None and under_way.run.id == mine[0]
    experiment = store.experiments.create("mine", "first")
    store.database.execute("UPDATE jobs SET experiment = ? WHERE id = ?", (experiment, mine[1]))

    def cancelled_claim() -> None:
        claim = store.queue.claim(supervisor="s", host="h", slots=2)
        assert claim is not None
        store.queue.put_back(claim.run.id, fence=claim.fence)

    asked = {
        "a waiting run": lambda: store.jobs.get("mine", mine[2]),
        "a run under way": lambda: store.jobs.get("mine", mine[0]),
        "the hoarder's next": lambda: store.jobs.get("hoarder", others[0]), "the list": lambda: store.jobs.list("mine"),
        "experiments": lambda: store.experiments.list("mine"), "who works": store.queue.active,
        "no free slot": lambda: store.queue.claim(supervisor="s", host="h", slots=1), "a claim": cancelled_claim,
        "submitting": lambda: submit(store, "mine"), "room": lambda: store.jobs.check_room("mine", 1, most=100),
        "retiring": lambda: store.supervisors.retire("nobody")}
    before = {name: cost.sql(store, work) for name, work in asked.items()}
    submit(store, "hoarder", 5_000)
    after = {name: cost.sql(store, work) for name, work in asked.items()}
    for name, (statements, instructions) in before.items():
        assert after[name].statements == statements, name
        assert after[name].instructions <= 1.3 * instructions + 100, (name, instructions, after[name].instructions)


def test_a_workspace_may_queue_so_many_and_no_more(store: Store) -> None:
    jobs = [NewJob(workspace="ws", kind=JobKind.TRAIN, name="r", runs_folder=store.path, recipe=RECIPE)
            for _ in range(5)]
    ids = store.jobs.submit(jobs[:3], most=4)
    with pytest.raises(ThawError, match="at most 4 waiting"):
        store.jobs.submit(jobs[3:], most=4)
    assert len(store.jobs.list("ws")) == 3, "all or none"
    store.jobs.submit([NewJob(workspace="another", kind=JobKind.TRAIN, name="r", runs_folder=store.path,
                              recipe=RECIPE)], most=4)
    store.queue.ask_stop("ws", ids[0])
    store.jobs.submit(jobs[3:], most=4)
    with pytest.raises(ThawError, match="at most 4 waiting"):
        store.queue.resume("ws", ids[0], most=4)
    assert store.jobs.get("ws", ids[0]).status is Status.STOPPED
